"""`vos-batch segment MANIFEST OUTPUT`: segment every video of a manifest that is not complete yet.

The same as `python -m jobs.segment`, which is what `ray job submit` calls.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import typer

from jobs.terminal.console import INTERRUPTED, exit_on_error, interruptible, stdout
from jobs.terminal.launch import SOME_FAILED, PoolKind, report, segment, tell_of_weights, worker_config
from model.bank import BankConfig
from model.segmenter import Precision, SegmenterConfig
from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.weights import DEFAULT_CHECKPOINT
from pipeline.run.device import Device


class BankChoice(StrEnum):
    """Which bank."""

    DEFAULT = "default"
    PUBLISHED = "published"


def _chosen(tasks: Sequence[VideoTask], only: Sequence[str], limit: int | None) -> list[VideoTask]:
    if unknown := set(only) - {task.video_id for task in tasks}:
        raise InvalidInput(f"--only: the manifest has no video {', '.join(sorted(unknown))}")
    chosen = [task for task in tasks if not only or task.video_id in only]
    return chosen if limit is None else chosen[:limit]


def _bank(
    choice: BankChoice, budget: int | None, merge_threshold: float | None, update_rate: float | None
) -> BankConfig:
    base = BankConfig.published() if choice is BankChoice.PUBLISHED else BankConfig()
    given = {"budget": budget, "merge_threshold": merge_threshold, "update_rate": update_rate}
    return replace(base, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


app = typer.Typer(add_completion=False)


@app.command(name="segment")
def segment_command(
    manifest: str = typer.Argument(
        metavar="MANIFEST", help="Manifest: path or URL of a .jsonl, .csv or .parquet file."
    ),
    output: str = typer.Argument(metavar="OUTPUT", help="Output folder: path or URL; empty or an earlier output."),
    checkpoint: str = typer.Option(
        DEFAULT_CHECKPOINT, metavar="NAME|PATH", help="Weights: a name, or a .safetensors path or URL."
    ),
    pool: PoolKind | None = typer.Option(None, help="Default: ray with several workers or inside a cluster."),
    workers: int | None = typer.Option(None, min=1, help="Default: the cluster's GPUs, else 1."),
    gpus_per_worker: float | None = typer.Option(None, min=0, help="Default: 1 where there are GPUs, else 0."),
    device: Device = typer.Option("auto", help="auto: the GPU where there is one."),
    max_side: int = typer.Option(SegmenterConfig.max_side, min=0, help="Longest side the network sees; 0 = no limit."),
    min_side: int = typer.Option(
        SegmenterConfig.min_side, min=0, help="Shortest side the network sees: smaller videos are enlarged."
    ),
    precision: Precision = typer.Option("fp32"),
    memory_every: int = typer.Option(1, help="Memorize every n-th frame."),
    refine: bool = typer.Option(True, help="Uncertain-region refinement."),
    bank: BankChoice = typer.Option(BankChoice.DEFAULT, help="published: as the authors' code behaves."),
    budget: int | None = typer.Option(None, help="Features the bank may hold, over all objects."),
    merge_threshold: float | None = typer.Option(None, help="Merge a feature above this cosine."),
    update_rate: float | None = typer.Option(None, help="Weight of new features in a merge."),
    object_chunk: int | None = typer.Option(None, min=1, help="Objects at a time, to save memory."),
    binary_masks: bool = typer.Option(False, "--binary-masks", help="255 is the object (DAVIS-2016)."),
    torch_threads: int = typer.Option(1, help="Threads of each worker on the CPU."),
    limit: int | None = typer.Option(None, min=1, help="Only the first N videos of the manifest."),
    only: list[str] = typer.Option([], metavar="ID", help="Only this video; may be repeated."),
) -> None:
    """Segment every video of MANIFEST that is not complete in OUTPUT yet."""
    console = stdout()
    with exit_on_error():
        segmenter = SegmenterConfig(
            bank=_bank(bank, budget, merge_threshold, update_rate),
            max_side=max_side,
            min_side=min_side,
            precision=precision,
            memory_every=memory_every,
            refine=refine,
            object_chunk=object_chunk,
        )
        tasks = _chosen(read_manifest(manifest), only, limit)
        config = worker_config(
            output=output,
            checkpoint=checkpoint,
            segmenter=segmenter,
            binary_masks=binary_masks,
            device=device,
            torch_threads=torch_threads,
        )
        tell_of_weights(checkpoint, console)
        try:
            with interruptible():
                summary = segment(
                    tasks, config, console=console, pool=pool, workers=workers, gpus_per_worker=gpus_per_worker
                )
        except KeyboardInterrupt:
            console.print("interrupted: what is complete stays, the same command goes on from there")
            raise typer.Exit(INTERRUPTED) from None
        report(summary, console, output=output)
    if summary.failed:
        raise typer.Exit(SOME_FAILED)


if __name__ == "__main__":
    app()
