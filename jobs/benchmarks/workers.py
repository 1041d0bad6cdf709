"""What a worker makes of the network's speed, from the video file to the tables, and two workers of one's."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch

from jobs.benchmarks.corpus import Corpus, corpus
from jobs.benchmarks.machine import num_cores
from jobs.benchmarks.material import Material
from jobs.benchmarks.meter import Meter
from jobs.benchmarks.rows import Column, Section
from jobs.benchmarks.setup import Setup
from pipeline.errors import InvalidInput
from pipeline.input.video import open_video
from pipeline.output.committed import read_committed
from pipeline.run.driver import run
from pipeline.run.ray_pool import RayPool
from pipeline.storage.store import Store

_ROUNDS = 2


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One way to segment the clip."""

    what: Annotated[str, Column("")]
    seconds: Annotated[float, Column("s/frame", ".3f")]
    """Of the faster of the rounds."""
    cpu_seconds: Annotated[float, Column("CPU s", ".3f")]
    """All threads."""
    share: Annotated[float, Column("of the network alone", ".1%")]
    """Speed by the wall."""


def by_chain(setup: Setup) -> Section:
    """The network alone on decoded frames, and a worker on the file, taking turns."""
    setup.tell("a worker against the network alone")
    clip = setup.clip(setup.num_objects[0], setup.video_frames)
    with corpus(setup, clip, setup.segmenter()) as made, made.worker() as worker:
        with open_video(made.tasks[0].video_uri) as reader:
            pictures = [torch.from_numpy(frame.rgb).permute(2, 0, 1) for frame in reader]
        alone, whole = [], []
        for _ in range(_ROUNDS):
            with Meter(setup.device) as meter:
                _bare(setup, clip, pictures)
            alone.append(meter.spent)
            with Meter(setup.device) as meter:
                made.process(worker)
            whole.append(meter.spent)
    best = min(spent.seconds for spent in alone)
    rows = [
        Chain(
            what=what,
            seconds=min(s.seconds for s in spent) / len(pictures),
            cpu_seconds=min(s.cpu_seconds for s in spent) / len(pictures),
            share=best / min(s.seconds for s in spent),
        )
        for what, spent in (("network alone", alone), ("worker, file to tables", whole))
    ]
    title = f"A worker against the network alone, {setup.size}, {setup.fewest}, {len(pictures)} frames"
    return Section(name="pipeline", title=title, rows=rows)


def _bare(setup: Setup, clip: Material, pictures: Sequence[torch.Tensor]) -> None:
    segmenter = setup.make(clip, setup.segmenter())
    for t, picture in enumerate(pictures):
        segmenter.step(picture, None if t else clip.prompt)


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """So many workers, each with a video of its own."""

    workers: Annotated[int, Column("workers")]
    frames_per_s: Annotated[float, Column("frames/s", ".2f")]
    """Of all workers together, from opening their videos to putting the tables."""
    speedup: Annotated[float, Column("speed", ".2f")]
    """Against the first row."""
    bound: Annotated[float, Column("bound by cores", ".2f")]
    """What `speedup` can be at most: a worker's other threads decode and write, and need the cores as well."""


def by_workers(setup: Setup) -> Section:
    """Ray workers, as a run starts them."""
    clip = setup.clip(setup.num_objects[0], setup.video_frames)
    on_cpu = setup.device.type == "cpu"
    able = [number for number in setup.workers if number <= setup.most_workers]
    rates = [_rate(setup, clip, number) for number in able]
    alone = _share_of_network(setup, clip) if able else 1.0
    rows = [
        Scaling(
            workers=number,
            frames_per_s=rate,
            speedup=rate / rates[0],
            bound=min(number / able[0], max(1.0, num_cores() * alone / able[0])) if on_cpu else number / able[0],
        )
        for number, rate in zip(able, rates, strict=True)
    ]
    left = [str(number) for number in setup.workers if number not in able]
    title = f"By number of workers, {setup.size}, {setup.fewest}, {setup.video_frames} frames each"
    note = f"left out: {', '.join(left)} workers, for which this machine is too small" if left else ""
    why = "bound by cores: cores x the network's share of the processor time that one worker takes"
    return Section(name="workers", title=title, rows=rows, note="\n".join(filter(None, [note, why if rows else ""])))


def _share_of_network(setup: Setup, clip: Material) -> float:
    """Of the processor time of a worker, with all its threads, that of the thread that nothing goes on without."""
    setup.tell("a worker's threads")
    with corpus(setup, clip, setup.segmenter()) as made, made.worker() as worker:
        whole, network = time.process_time(), time.thread_time()
        made.process(worker)
        return min(1.0, (time.thread_time() - network) / (time.process_time() - whole))


def _rate(setup: Setup, clip: Material, workers: int) -> float:
    setup.tell(f"{workers} workers")
    with corpus(setup, clip, setup.segmenter(), videos=workers) as made:
        summary = run(made.tasks, made.config, RayPool(made.config, workers=workers), grace_s=0)
        if summary.failed:
            raise InvalidInput("; ".join(failure.message for failure in summary.failed.values()))
        return _frames_per_s(made)


def _frames_per_s(made: Corpus) -> float:
    """Of each video by itself, for workers begin as they get ready."""
    videos = read_committed(Store(made.config.output)).videos.to_pylist()
    return sum(float(video["frames_decoded"]) / float(video["seconds_total"]) for video in videos)
