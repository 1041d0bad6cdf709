"""`vos-batch segment MANIFEST OUTPUT`: segment every video of a manifest that is not complete yet.

The same as `python -m jobs.segment`, which is what `ray job submit` calls.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Literal

import typer
from rich.console import Console

from jobs.terminal.console import INTERRUPTED, exit_on_error, interruptible, stdout
from jobs.terminal.progress import show_progress
from model.bank import BankConfig
from model.checkpoint import UNTRAINED, fingerprint
from model.segmenter import Precision, SegmenterConfig
from pipeline.credentials import without_credentials
from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.weights import DEFAULT_CHECKPOINT, load_network, names, read_card
from pipeline.run.config import Device, WorkerConfig, in_ray_cluster
from pipeline.run.driver import RunSummary, run
from pipeline.run.pool import LocalPool, Pool
from pipeline.storage.urls import absolute_url

SOME_FAILED = 3
_SHOWN = 10

PoolKind = Literal["local", "ray"]


class BankChoice(StrEnum):
    """Which bank."""

    DEFAULT = "default"
    PUBLISHED = "published"


def segment(
    tasks: Sequence[VideoTask],
    config: WorkerConfig,
    *,
    console: Console,
    pool: PoolKind | None = None,
    workers: int | None = None,
    gpus_per_worker: float | None = None,
) -> RunSummary:
    """Segment the tasks and show how far it is; what is left open (None) follows from the machine.

    Raises:
        PipelineError: the run as a whole could not be started or go on.
    """

    def tell(line: str) -> None:
        console.out(line, highlight=False)

    with show_progress(console) as on_progress:
        return run(tasks, config, _pool(config, pool, workers, gpus_per_worker), on_progress=on_progress, tell=tell)


def _pool(config: WorkerConfig, kind: PoolKind | None, workers: int | None, gpus_per_worker: float | None) -> Pool:
    if workers is not None and workers < 1:
        raise InvalidInput(f"--workers must be at least 1, not {workers}")
    kind = kind or ("ray" if (workers or 1) > 1 or in_ray_cluster() else "local")
    if kind == "ray":
        from pipeline.run.ray_pool import RayPool  # importing Ray takes a second that the local pool need not spend

        return RayPool(config, workers=workers, gpus_per_worker=gpus_per_worker)
    if (workers or 1) > 1:
        raise InvalidInput(f"the local pool has one worker, not {workers}: use --pool ray")
    return LocalPool(replace(config, reserved_gpus=gpus_per_worker or 0.0))


def worker_config(
    *,
    output: str,
    checkpoint: str = DEFAULT_CHECKPOINT,
    segmenter: SegmenterConfig | None = None,
    binary_masks: bool = False,
    device: Device = "auto",
    torch_threads: int = 1,
) -> WorkerConfig:
    """The configuration of a run; reads the weights once, for their fingerprint.

    Raises:
        InvalidCheckpoint: the weights cannot be used.
        InvalidInput: a setting is out of range.
    """
    checkpoint = checkpoint if checkpoint in names() else absolute_url(checkpoint)
    return WorkerConfig(
        output=absolute_url(output),
        checkpoint=checkpoint,
        checkpoint_fingerprint=fingerprint(load_network(checkpoint)),
        segmenter=segmenter or SegmenterConfig(),
        binary_masks=binary_masks,
        device=device,
        torch_threads=torch_threads,
    )


def tell_of_weights(checkpoint: str, console: Console) -> None:
    """Say what a user must know before using the masks."""
    if checkpoint in UNTRAINED:
        console.out(
            "note: these weights are untrained, the masks will mean nothing (see --checkpoint)", highlight=False
        )
    elif licence := read_card(checkpoint).get("licence"):
        console.out(f"weights {without_credentials(checkpoint)}: {licence}", highlight=False)


def report(summary: RunSummary, console: Console, *, output: str) -> None:
    """Say in a few lines what the run did."""
    if not summary.complete and not summary.failed:
        console.out(f"nothing to do: all {summary.skipped} videos are complete in {output}", highlight=False)
        return
    skipped = f", {summary.skipped} were complete before" if summary.skipped else ""
    console.out(f"{summary.complete} videos ({summary.frames} frames) segmented{skipped}", highlight=False)
    for word, ids in (("truncated", summary.truncated), ("damaged", summary.damaged)):
        if ids:
            console.out(f"{len(ids)} {word}: {_few(ids)}", highlight=False)
    for video_id, failure in list(summary.failed.items())[:_SHOWN]:
        console.out(f"failed: {video_id}: {failure.message}", highlight=False)
    if len(summary.failed) > _SHOWN:
        console.out(f"and {len(summary.failed) - _SHOWN} more: vos-batch status {output}", highlight=False)


def _few(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")


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
