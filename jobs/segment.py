"""`vos-batch segment MANIFEST OUTPUT`: segment every video of a manifest that is not complete yet.

The same as `python -m jobs.segment`, which is what `ray job submit` calls.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from importlib import import_module
from typing import Annotated

import typer

from jobs.terminal.console import INTERRUPTED, exit_on_error, stdout
from jobs.terminal.launch import SOME_FAILED, PoolKind, report, segment, tell_of_weights, worker_config
from jobs.terminal.options import AllowHttpOption, AllowLocalOption, BinaryMasksOption, MaxPixelsOption
from model.bank import BankConfig
from model.ops import SegmentMeanBackend
from model.segmenter import Precision, SegmenterConfig
from pipeline.errors import InvalidInput
from pipeline.input.frames import MAX_PIXELS
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.origin import Allowed
from pipeline.input.weights import DEFAULT_CHECKPOINT
from pipeline.run.device import Device
from pipeline.run.driver import GRACE_S
from pipeline.run.ending import AtCuts, EndingConfig


class BankChoice(StrEnum):
    """Which bank."""

    DEFAULT = "default"
    PUBLISHED = "published"


def _chosen(tasks: Sequence[VideoTask], only: Sequence[str], limit: int | None) -> list[VideoTask]:
    if unknown := set(only) - {task.video_id for task in tasks}:
        raise InvalidInput(f"--only: the manifest has no video {', '.join(sorted(unknown))}")
    chosen = [task for task in tasks if not only or task.video_id in only]
    return chosen if limit is None else chosen[:limit]


def _check_loads(backend: SegmentMeanBackend) -> None:
    if backend == "torch-scatter":
        try:
            import_module("torch_scatter")
        except (ImportError, OSError) as error:  # OSError: it was built for another torch
            raise InvalidInput(
                f"--segment-mean torch-scatter does not load here ({error}): `make scatter` builds it; without the "
                "option the masks are the same"
            ) from error


def _bank(
    choice: BankChoice,
    budget: int | None,
    merge_threshold: float | None,
    update_rate: float | None,
    segment_mean: SegmentMeanBackend,
) -> BankConfig:
    _check_loads(segment_mean)
    base = BankConfig.published() if choice is BankChoice.PUBLISHED else BankConfig()
    given = {"budget": budget, "merge_threshold": merge_threshold, "update_rate": update_rate}
    base = replace(base, segment_mean=segment_mean)
    return replace(base, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


app = typer.Typer(add_completion=False)


@app.command(name="segment")
def segment_command(
    manifest: Annotated[
        str, typer.Argument(metavar="MANIFEST", help="Manifest: path or URL of a .jsonl, .csv or .parquet file.")
    ],
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="Output folder: path or URL; empty or an earlier output.")
    ],
    checkpoint: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="Weights: a name, or a .safetensors path or URL.")
    ] = DEFAULT_CHECKPOINT,
    pool: Annotated[
        PoolKind | None, typer.Option(help="Default: ray with several workers or inside a cluster.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Default: the cluster's GPUs, else 1.")] = None,
    gpus_per_worker: Annotated[
        float | None, typer.Option(min=0, help="Default: 1 where there are GPUs, else 0.")
    ] = None,
    device: Annotated[Device, typer.Option(help="auto: the GPU where there is one.")] = "auto",
    max_side: Annotated[
        int, typer.Option(min=0, help="Longest side the network sees; 0 = no limit.")
    ] = SegmenterConfig.max_side,
    min_side: Annotated[
        int, typer.Option(min=0, help="Shortest side the network sees: smaller videos are enlarged.")
    ] = SegmenterConfig.min_side,
    precision: Precision = "fp32",
    memory_every: Annotated[int, typer.Option(help="Memorize every n-th frame.")] = 1,
    refine: Annotated[bool, typer.Option(help="Uncertain-region refinement.")] = True,
    bank: Annotated[BankChoice, typer.Option(help="published: as the authors' code behaves.")] = BankChoice.DEFAULT,
    budget: Annotated[int | None, typer.Option(help="Features the bank may hold, over all objects.")] = None,
    merge_threshold: Annotated[float | None, typer.Option(help="Merge a feature above this cosine.")] = None,
    update_rate: Annotated[float | None, typer.Option(help="Weight of new features in a merge.")] = None,
    segment_mean: Annotated[
        SegmentMeanBackend, typer.Option(help="What computes the merges; torch-scatter must be built: make scatter.")
    ] = BankConfig.segment_mean,
    object_chunk: Annotated[int | None, typer.Option(min=1, help="Objects at a time, to save memory.")] = None,
    at_cuts: Annotated[
        AtCuts, typer.Option(help="stop: a video ends at its first cut behind its last prompt, and needs a prompt.")
    ] = EndingConfig.at_cuts,
    stop_when_lost: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="A video ends after N frames without any object, too.")
    ] = None,
    binary_masks: BinaryMasksOption = False,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    allow_local: AllowLocalOption = False,
    allow_http: AllowHttpOption = False,
    torch_threads: Annotated[int, typer.Option(help="Threads of each worker on the CPU.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N videos of the manifest.")] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this video; may be repeated.")] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that replaced results stay for readers of them.")
    ] = GRACE_S,
    not_exclusive: Annotated[
        bool, typer.Option("--not-exclusive", help="Also on a store where a second run might slip in.")
    ] = False,
) -> None:
    """Segment every video of MANIFEST that is not complete in OUTPUT yet."""
    console = stdout()
    with exit_on_error():
        segmenter = SegmenterConfig(
            bank=_bank(bank, budget, merge_threshold, update_rate, segment_mean),
            max_side=max_side,
            min_side=min_side,
            precision=precision,
            memory_every=memory_every,
            refine=refine,
            object_chunk=object_chunk,
        )
        allowed = Allowed(local=allow_local, http=allow_http)
        tasks = _chosen(read_manifest(manifest, allowed), only or (), limit)
        config = worker_config(
            output=output,
            checkpoint=checkpoint,
            segmenter=segmenter,
            ending=EndingConfig(at_cuts=at_cuts, stop_when_lost=stop_when_lost),
            binary_masks=binary_masks,
            max_pixels=max_pixels,
            device=device,
            torch_threads=torch_threads,
        )
        tell_of_weights(checkpoint, console)
        try:
            summary = segment(
                tasks,
                config,
                console=console,
                pool=pool,
                workers=workers,
                gpus_per_worker=gpus_per_worker,
                grace_s=grace,
                not_exclusive=not_exclusive,
            )
        except KeyboardInterrupt:
            console.print("interrupted: what is complete stays, the same command goes on from there")
            raise typer.Exit(INTERRUPTED) from None
        report(summary, console, output=output)
    if summary.failed:
        raise typer.Exit(SOME_FAILED)


if __name__ == "__main__":
    app()
