"""Starting a run from a command: its configuration, its pool, and what is told about it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from rich.console import Console

from jobs.terminal.console import interruptible
from jobs.terminal.progress import show_progress
from model.checkpoint import UNTRAINED, fingerprint
from model.runtime import multiplies_bf16
from model.segmenter import Precision, SegmenterConfig
from pipeline.credentials import without_credentials
from pipeline.errors import InvalidInput
from pipeline.input.box_masks import BoxMasks
from pipeline.input.frames import MAX_PIXELS
from pipeline.input.manifest import VideoTask
from pipeline.input.weights import DEFAULT_CHECKPOINT, load_network, names, read_card
from pipeline.run.config import WorkerConfig
from pipeline.run.device import Device
from pipeline.run.driver import GRACE_S, RunSummary, run
from pipeline.run.ending import EndingConfig
from pipeline.run.pool import LocalPool, Pool
from pipeline.run.ray_cluster import in_ray_cluster
from pipeline.storage.urls import absolute_url

SOME_FAILED = 3
"""Exit code of a run that could not complete some videos (design, section 10)."""
_SHOWN = 10

PoolKind = Literal["local", "ray"]
WantedPrecision = Literal["auto", "fp32", "bf16", "fp16"]
"""auto: bf16 where workers have a GPU, else fp32."""


def segment(
    tasks: Sequence[VideoTask],
    config: WorkerConfig,
    *,
    console: Console,
    pool: PoolKind | None = None,
    workers: int | None = None,
    gpus_per_worker: float | None = None,
    grace_s: float = GRACE_S,
    not_exclusive: bool = False,
) -> RunSummary:
    """Segment the tasks and show how far it is; what is left open (None) follows from the machine.

    `grace_s`, `not_exclusive`: as of `run`.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM asked the run to end, and it has.
        PipelineError: the run as a whole could not be started or go on.
    """

    with interruptible() as stop, show_progress(console) as on_progress:
        return run(
            tasks,
            config,
            _pool(config, pool, workers, gpus_per_worker),
            on_progress=on_progress,
            tell=console.print,
            stop=stop,
            grace_s=grace_s,
            not_exclusive=not_exclusive,
        )


def _pool(config: WorkerConfig, kind: PoolKind | None, workers: int | None, gpus_per_worker: float | None) -> Pool:
    if workers is not None and workers < 1:
        raise InvalidInput(f"--workers must be at least 1, not {workers}")
    if _kind(kind, workers) == "ray":
        from pipeline.run.ray_pool import RayPool  # importing Ray takes a second that the local pool need not spend

        return RayPool(config, workers=workers, gpus_per_worker=gpus_per_worker)
    if (workers or 1) > 1:
        raise InvalidInput(f"the local pool has one worker, not {workers}: use --pool ray")
    return LocalPool(replace(config, reserved_gpus=gpus_per_worker or 0.0))


def _kind(kind: PoolKind | None, workers: int | None) -> PoolKind:
    return kind or ("ray" if (workers or 1) > 1 or in_ray_cluster() else "local")


def resolve_precision(
    wanted: WantedPrecision,
    *,
    device: Device,
    pool: PoolKind | None = None,
    workers: int | None = None,
    gpus_per_worker: float | None = None,
) -> Precision:
    """One precision for all workers of a run, by what they are asked to compute on.

    It is part of what names a result, so it is known before anything is planned and never left to a worker.

    Raises:
        InvalidInput: what workers of a cluster will get is open.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if _on_gpus(device, _kind(pool, workers), gpus_per_worker) else "fp32"


def _on_gpus(device: Device, kind: PoolKind, gpus_per_worker: float | None) -> bool:
    if device != "auto":
        return device == "cuda"
    if gpus_per_worker:
        return True
    if kind == "ray" and gpus_per_worker is not None:  # none is reserved, so none is used
        return False
    if kind == "ray" and in_ray_cluster():
        raise InvalidInput(
            "--precision auto is bf16 on GPUs and fp32 on CPUs, and what the cluster will give its workers is open: "
            "say it with --gpus-per-worker or --device, or name the precision"
        )
    return torch.cuda.is_available()


def worker_config(
    *,
    output: str,
    checkpoint: str = DEFAULT_CHECKPOINT,
    segmenter: SegmenterConfig | None = None,
    ending: EndingConfig | None = None,
    both_ways: bool = False,
    binary_masks: bool = False,
    box_masks: BoxMasks = "network",
    max_pixels: int = MAX_PIXELS,
    device: Device = "auto",
    capture: bool = False,
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
        ending=ending or EndingConfig(),
        both_ways=both_ways,
        binary_masks=binary_masks,
        box_masks=box_masks,
        max_pixels=max_pixels,
        device=device,
        capture=capture,
        torch_threads=torch_threads,
    )


def tell_of_weights(checkpoint: str, console: Console) -> None:
    """Say what a user must know before using the masks."""
    if checkpoint in UNTRAINED:
        console.print("note: these weights are untrained, the masks will mean nothing (see --checkpoint)")
    elif licence := read_card(checkpoint).get("licence"):
        console.print(f"weights {without_credentials(checkpoint)}: {licence}")


def tell_of_precision(precision: Precision, device: Device, console: Console) -> None:
    """Say where another precision is faster; what a cluster's processors can do is not known here."""
    on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
    if precision == "bf16" and on_cpu and not in_ray_cluster() and not multiplies_bf16():
        console.print("note: this processor has no units for bf16 (AMX): fp32, the default, is faster here")


def report(summary: RunSummary, console: Console, *, output: str) -> None:
    """Say in a few lines what the run did."""
    if not summary.complete and not summary.failed:
        console.print(f"nothing to do: all {summary.skipped} videos are complete in {output}")
        _report_needs(summary, console)
        return
    skipped = f", {summary.skipped} were complete before" if summary.skipped else ""
    console.print(f"{summary.complete} videos ({summary.frames} frames) segmented{skipped}")
    for word, ids in (("truncated", summary.truncated), ("damaged", summary.damaged)):
        if ids:
            console.print(f"{len(ids)} {word}: {_few(ids)}")
    _report_needs(summary, console)
    for video_id, failure in list(summary.failed.items())[:_SHOWN]:
        console.print(f"failed: {video_id}: {failure.message}")
    if len(summary.failed) > _SHOWN:
        console.print(f"and {len(summary.failed) - _SHOWN} more: vos-batch status {output}")


def _report_needs(summary: RunSummary, console: Console) -> None:
    if needs := summary.needs_prompt:
        shown = _few([f"{video_id} (frame {frame})" for video_id, frame in needs.items()])
        console.print(f"{len(needs)} ended early and need a prompt there or later: {shown}")


def _few(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
