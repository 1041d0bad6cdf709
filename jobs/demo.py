"""`vos-batch demo`: the whole machine on three small videos: manifest, Ray actors, bank, tables, pictures.

Two real clips come with the package (credits in NOTICE); the third is generated with exact masks, so that it can
be scored.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console

from jobs.datasets.manifests import build
from jobs.pictures.encode import encode_png
from jobs.pictures.film import Overlay, render_video
from jobs.pictures.mp4 import write_mp4
from jobs.terminal.console import exit_on_error, stdout
from jobs.terminal.launch import SOME_FAILED, report, segment, tell_of_weights, worker_config
from jobs.terminal.options import CheckpointOption
from model.clip import Clip
from model.metrics import ObjectScore, score_sequence
from model.segmenter import SegmenterConfig
from model.synthetic import make_clip
from pipeline.input.manifest import read_manifest
from pipeline.input.weights import DEFAULT_CHECKPOINT
from pipeline.output.labels import committed_video, committed_videos
from pipeline.run.driver import RunSummary
from pipeline.storage.store import Store

SYNTHETIC = "shapes"
_SEED = 7
_MAX_SIDE = 432
_WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo made."""

    summary: RunSummary
    overlays: Mapping[str, Overlay]
    """By video_id."""
    scores: list[ObjectScore]
    """Of the generated clip."""


def make_corpus(folder: Path) -> Path:
    """Write videos with their first masks and a manifest; files that are there stay. Returns the manifest."""
    store = Store(str(folder))
    for item in resources.files("jobs").joinpath("demo_data").iterdir():
        if not (folder / item.name).exists() and not item.name.startswith("__"):
            store.put(item.name, item.read_bytes())
    if not (folder / f"{SYNTHETIC}.mp4").exists():
        clip = synthetic_clip()
        store.put(f"{SYNTHETIC}.png", encode_png(clip.labels[0]))
        write_mp4(folder / f"{SYNTHETIC}.mp4", clip.frames, fps=12)
    manifest = folder / "manifest.jsonl"
    build("pairs", str(folder), str(manifest))
    return manifest


def synthetic_clip() -> Clip:
    """The generated video with its exact masks."""
    return make_clip(_SEED, num_frames=36, height=240, width=426, num_objects=3)


def run_demo(folder: Path, console: Console, *, checkpoint: str = DEFAULT_CHECKPOINT) -> DemoResult:
    """Make the corpus, segment it on Ray, score the generated clip, draw the overlays.

    Raises:
        PipelineError: something of it could not be done.
    """
    console.print(f"1/3 writing three small videos to {folder / 'corpus'}")
    tasks = read_manifest(str(make_corpus(folder / "corpus")))
    output = str(folder / "output")
    console.print("2/3 segmenting them on Ray actors")
    tell_of_weights(checkpoint, console)
    config = worker_config(output=output, checkpoint=checkpoint, segmenter=SegmenterConfig(max_side=_MAX_SIDE))
    workers = None if torch.cuda.is_available() else min(_WORKERS, os.cpu_count() or 1)
    summary = segment(tasks, config, console=console, pool="ray", workers=workers)
    report(summary, console, output=output)
    done = [task for task in tasks if task.video_id not in summary.failed]
    console.print("3/3 drawing what was found")
    found = committed_videos(output)
    overlays = {
        task.video_id: render_video(task.video_uri, found[task.video_id], folder / "overlays" / task.video_id)
        for task in done
    }
    scores = score_synthetic(output) if SYNTHETIC in overlays else []
    return DemoResult(summary=summary, overlays=overlays, scores=scores)


def score_synthetic(output: str) -> list[ObjectScore]:
    """J and F of the generated clip, read back from the tables (first and last frame left out, as DAVIS does)."""
    truth = synthetic_clip().labels
    found = committed_video(output, SYNTHETIC).labels(range(len(truth)))
    return score_sequence(np.stack([frame.labels for frame in found]), truth)


def _tell(result: DemoResult, folder: Path, console: Console) -> None:
    if result.scores:
        mean = float(np.mean([score.J_and_F for score in result.scores]))
        objects = ", ".join(f"object {s.object_id}: J {s.J:.3f} F {s.F:.3f}" for s in result.scores)
        console.print()
        console.print(f"generated clip: J&F {mean:.3f} ({objects})")
    console.print()
    console.print("pictures (coloured masks, and under them how uncertain each frame was):")
    for overlay in result.overlays.values():
        console.print(f"  {overlay.sheet}")
        console.print(f"  {overlay.video}")
    output = shlex.quote(str(folder / "output"))
    manifest = shlex.quote(str(folder / "corpus" / "manifest.jsonl"))
    console.print(f"tables: {output}/masks, frames, videos (Parquet)")
    console.print()
    console.print("try next:")
    for command in (
        f"vos-batch status {output}",
        f"vos-batch segment {manifest} {output} --max-side {_MAX_SIDE}   # finds everything done",
        f"vos-batch report {output} --to report --manifest {manifest}   # pages: what deserves a look",
        "vos-batch segment VIDEO OUTPUT --box 1:x,y,width,height --overlay   # one of yours, and what to follow",
        "vos-batch manifest build --layout pairs FOLDER --output my.jsonl   # NAME.mp4 beside NAME.png",
    ):
        console.print(f"  {command}")


app = typer.Typer(add_completion=False)


@app.command(name="demo")
def demo_command(
    output: Annotated[Path, typer.Option(help="Folder for the videos, tables and pictures.")] = Path("demo-output"),
    checkpoint: CheckpointOption = DEFAULT_CHECKPOINT,
) -> None:
    """Segment three small videos and show the result."""
    console = stdout()
    with exit_on_error():
        result = run_demo(output, console, checkpoint=checkpoint)
    _tell(result, output, console)
    if result.summary.failed:
        raise typer.Exit(SOME_FAILED)


if __name__ == "__main__":
    app()
