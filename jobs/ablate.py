"""`vos-batch ablate OUTPUT --manifest FILE --truth DIR`: what each part of the method is worth, as one table."""

from typing import Annotated

import typer

from jobs.evaluation.ablation import Dataset, ablate, chosen, markdown, variants
from jobs.terminal.console import exit_on_error, stdout
from jobs.terminal.options import AllowHttpOption, AllowLocalOption, CheckpointOption
from model.segmenter import Precision, SegmenterConfig
from pipeline.errors import InvalidInput
from pipeline.input.origin import Allowed
from pipeline.input.weights import DEFAULT_CHECKPOINT
from pipeline.storage.store import Store

_TABLE = "ablation.md"

app = typer.Typer(add_completion=False)


@app.command(name="ablate")
def ablate_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="Folder of all variants: path or URL.")],
    manifest: Annotated[list[str], typer.Option(metavar="FILE", help="What to segment; may be repeated.")],
    truth: Annotated[list[str], typer.Option(metavar="DIR", help="Masks in DAVIS layout; one for each manifest.")],
    checkpoint: CheckpointOption = DEFAULT_CHECKPOINT,
    without_confidence: Annotated[
        str | None, typer.Option(metavar="PATH", help="The same, trained without the confidence loss.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="VARIANT", help="Only this variant; may be repeated.")
    ] = None,
    precision: Precision = SegmenterConfig.precision,
    min_side: Annotated[int, typer.Option(min=0, help="As for segment.")] = SegmenterConfig.min_side,
    allow_local: AllowLocalOption = False,
    allow_http: AllowHttpOption = False,
) -> None:
    """Change one setting at a time and score it."""
    console = stdout()
    with exit_on_error():
        if len(manifest) != len(truth):
            raise InvalidInput(f"{len(manifest)} --manifest and {len(truth)} --truth: give one truth for each manifest")
        base = SegmenterConfig(precision=precision, min_side=min_side)
        wanted = chosen(variants(base, checkpoint, without_confidence=without_confidence), only or ())
        allowed = Allowed(local=allow_local, http=allow_http)
        datasets = [Dataset(manifest=m, truth=t, allowed=allowed) for m, t in zip(manifest, truth, strict=True)]
        table = markdown(wanted, ablate(output, wanted, datasets, console))
        Store(output).put(_TABLE, table.encode())
        for line in table.splitlines():
            console.print(line)


if __name__ == "__main__":
    app()
