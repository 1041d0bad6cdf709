"""`vos-batch ablate OUTPUT --manifest FILE --truth DIR`: what each part of the method is worth, as one table."""

import typer

from jobs.evaluation.ablation import Dataset, ablate, chosen, markdown, variants
from jobs.terminal.console import exit_on_error, stdout
from model.segmenter import Precision, SegmenterConfig
from pipeline.errors import InvalidInput
from pipeline.input.weights import DEFAULT_CHECKPOINT
from pipeline.storage.store import Store

_TABLE = "ablation.md"

app = typer.Typer(add_completion=False)


@app.command(name="ablate")
def ablate_command(
    output: str = typer.Argument(metavar="OUTPUT", help="Folder of all variants: path or URL."),
    manifest: list[str] = typer.Option(..., metavar="FILE", help="What to segment; may be repeated."),
    truth: list[str] = typer.Option(..., metavar="DIR", help="Masks in DAVIS layout; one for each manifest."),
    checkpoint: str = typer.Option(DEFAULT_CHECKPOINT, metavar="NAME|PATH", help="Weights, as for segment."),
    without_confidence: str | None = typer.Option(
        None, metavar="PATH", help="The same, trained without the confidence loss."
    ),
    only: list[str] = typer.Option([], metavar="VARIANT", help="Only this variant; may be repeated."),
    precision: Precision = typer.Option(SegmenterConfig.precision),
    min_side: int = typer.Option(SegmenterConfig.min_side, min=0, help="As for segment."),
) -> None:
    """Change one setting at a time and score it."""
    console = stdout()
    with exit_on_error():
        if len(manifest) != len(truth):
            raise InvalidInput(f"{len(manifest)} --manifest and {len(truth)} --truth: give one truth for each manifest")
        base = SegmenterConfig(precision=precision, min_side=min_side)
        wanted = chosen(variants(base, checkpoint, without_confidence=without_confidence), only)
        datasets = [Dataset(manifest=m, truth=t) for m, t in zip(manifest, truth, strict=True)]
        table = markdown(wanted, ablate(output, wanted, datasets, console))
        Store(output).put(_TABLE, table.encode())
        console.out(table, highlight=False)


if __name__ == "__main__":
    app()
