"""`vos-batch segment MANIFEST OUTPUT`: segment every video of a manifest that is not complete yet.

    vos-batch segment street.mp4 OUTPUT --box 1:200,80,64,40 --overlay

does the same with one video and what is prompted in the call itself.

The same as `python -m jobs.segment`, which is what `ray job submit` calls.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from importlib import import_module
from typing import Annotated

import typer
from rich.console import Console

from jobs.datasets.one_video import inspect_call
from jobs.pictures.film import render_video
from jobs.terminal.console import INTERRUPTED, exit_on_error, stdout
from jobs.terminal.launch import (
    SOME_FAILED,
    PoolKind,
    WantedPrecision,
    report,
    resolve_precision,
    segment,
    tell_of_precision,
    tell_of_weights,
    worker_config,
)
from jobs.terminal.options import AllowHttpOption, AllowLocalOption, BinaryMasksOption, BoxMasksOption, MaxPixelsOption
from model.bank import BankConfig
from model.ops import SegmentMeanBackend
from model.segmenter import SegmenterConfig
from pipeline.errors import InvalidInput
from pipeline.input.frames import MAX_PIXELS
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.manifest_files import is_manifest
from pipeline.input.origin import Allowed
from pipeline.input.weights import DEFAULT_CHECKPOINT
from pipeline.output.labels import committed_video
from pipeline.output.layout import overlay_path
from pipeline.run.device import Device
from pipeline.run.driver import GRACE_S
from pipeline.run.ending import AtCuts, EndingConfig
from pipeline.scratch import Scratch
from pipeline.storage.store import Store


class BankChoice(StrEnum):
    """Which bank."""

    DEFAULT = "default"
    PUBLISHED = "published"


def _chosen(tasks: Sequence[VideoTask], only: Sequence[str], limit: int | None) -> list[VideoTask]:
    if unknown := set(only) - {task.video_id for task in tasks}:
        raise InvalidInput(f"--only: the manifest has no video {', '.join(sorted(unknown))}")
    chosen = [task for task in tasks if not only or task.video_id in only]
    return chosen if limit is None else chosen[:limit]


def _tasks(
    source: str,
    masks: Sequence[str],
    boxes: Sequence[str],
    allowed: Allowed,
    console: Console,
    *,
    binary_masks: bool,
    max_pixels: int,
) -> list[VideoTask]:
    """Of a manifest, or of one video with its prompts."""
    if is_manifest(source):
        if masks or boxes:
            raise InvalidInput(f"{source} is a manifest, which holds its prompts: leave out --mask and --box")
        return read_manifest(source, allowed)
    if not masks and not boxes:
        raise InvalidInput(
            f"{source} is no manifest (.jsonl, .ndjson, .csv or .parquet): name one, or say what to follow in this "
            "video, with --mask PNG or --box ID:x,y,width,height"
        )
    found = inspect_call(source, masks, boxes, binary_masks=binary_masks, max_pixels=max_pixels)
    for note in found.notes:
        console.print(f"note: {note}")
    return [found.task]


def _show_one(task: VideoTask, output: str, console: Console, *, overlay: bool) -> None:
    """Say what of a single video deserves a look, and draw its result where that is asked for."""
    store, found = Store(output), committed_video(output, task.video_id)
    for row in found.rows("masks", ["frame_index", "object_id", "approximate"]):
        if row["approximate"]:
            where = f"frame {row['frame_index']}, object {row['object_id']}"
            console.print(f"note: {where}: the mask follows its box, not the object: give a mask for a better result")
    if overlay:
        with Scratch() as scratch:
            drawn = render_video(task.video_uri, found, scratch.folder)
            for path in (drawn.video, drawn.sheet):
                store.put_file(name := overlay_path(task.video_id, path.suffix), path)
                console.print(f"drawn: {store.url_of(name)}")


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
        str,
        typer.Argument(
            metavar="MANIFEST|VIDEO",
            help="Manifest: path or URL of a .jsonl, .csv or .parquet file; or, with --mask or --box, a video or a "
            "folder of frames.",
        ),
    ],
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="Output folder: path or URL; empty or an earlier output.")
    ],
    mask: Annotated[
        list[str] | None,
        typer.Option(metavar="[FRAME=]PNG", help="Of VIDEO: a mask of its objects on frame 0, or FRAME; repeatable."),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID:x,y,w,h[@FRAME]", help="Of VIDEO: an object's box in pixels on frame 0, or FRAME; repeatable."
        ),
    ] = None,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Of VIDEO: also draw the result, into OUTPUT/overlays.")
    ] = False,
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
    precision: Annotated[
        WantedPrecision,
        typer.Option(help="auto: bf16 where workers have a GPU, else fp32; others are other results."),
    ] = SegmenterConfig.precision,
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
    both_ways: Annotated[
        bool,
        typer.Option(
            "--both-ways", help="Frames before a prompt follow it where it is the nearest: up to twice the time."
        ),
    ] = False,
    binary_masks: BinaryMasksOption = False,
    box_masks: BoxMasksOption = "network",
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    allow_local: AllowLocalOption = False,
    allow_http: AllowHttpOption = False,
    capture: Annotated[
        bool, typer.Option("--capture", help="On a GPU record a step and replay it: the same masks, not measured yet.")
    ] = False,
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
    """Segment every video of MANIFEST that is not complete in OUTPUT yet, or one VIDEO."""
    console = stdout()
    with exit_on_error():
        segmenter = SegmenterConfig(
            bank=_bank(bank, budget, merge_threshold, update_rate, segment_mean),
            max_side=max_side,
            min_side=min_side,
            precision=resolve_precision(
                precision, device=device, pool=pool, workers=workers, gpus_per_worker=gpus_per_worker
            ),
            memory_every=memory_every,
            refine=refine,
            object_chunk=object_chunk,
        )
        allowed = Allowed(local=allow_local, http=allow_http)
        one = not is_manifest(manifest)
        if overlay and not one:
            raise InvalidInput("--overlay is for one video: `vos-batch export OUTPUT --format overlay` draws them all")
        found = _tasks(
            manifest, mask or (), box or (), allowed, console, binary_masks=binary_masks, max_pixels=max_pixels
        )
        tasks = _chosen(found, only or (), limit)
        config = worker_config(
            output=output,
            checkpoint=checkpoint,
            segmenter=segmenter,
            ending=EndingConfig(at_cuts=at_cuts, stop_when_lost=stop_when_lost),
            both_ways=both_ways,
            binary_masks=binary_masks,
            box_masks=box_masks,
            max_pixels=max_pixels,
            device=device,
            capture=capture,
            torch_threads=torch_threads,
        )
        tell_of_weights(checkpoint, console)
        if precision == "auto":
            console.print(f"precision: {segmenter.precision}")
        tell_of_precision(segmenter.precision, device, console)
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
        if one and not summary.failed:
            _show_one(tasks[0], output, console, overlay=overlay)
    if summary.failed:
        raise typer.Exit(SOME_FAILED)


if __name__ == "__main__":
    app()
