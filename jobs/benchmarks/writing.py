"""What is around the network: a worker from the video file to the tables, with a network that takes no time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from torch import Tensor

from jobs.benchmarks.corpus import corpus
from jobs.benchmarks.material import material
from jobs.benchmarks.meter import Meter
from jobs.benchmarks.rows import Column, Section
from jobs.benchmarks.setup import Setup
from model.network import AFBURR
from model.result import BankStatistics, FrameResult, FrameStatistics, ObjectStatistics, Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter

_ROUNDS = 2
_MASKS = 8
"""Different ones, again and again."""


@dataclass(frozen=True, kw_only=True)
class WritingCost:
    """One size of picture and number of objects."""

    height: Annotated[int, Column("height", ",")]
    width: Annotated[int, Column("width", ",")]
    num_objects: Annotated[int, Column("objects")]
    frames_per_s: Annotated[float, Column("frames/s", ",.0f")]
    """Of the faster of the rounds, as what follows."""
    cpu_seconds: Annotated[float, Column("CPU ms", ".1f", scale=1e3)]
    """Of a frame, all threads."""
    mask_bytes: Annotated[float, Column("bytes/mask", ",.0f")]
    """Of the table `masks`, a frame and object."""


def by_picture(setup: Setup) -> Section:
    """Decoding, run lengths and Parquet."""
    rows = [_cost(setup, size, number) for size in setup.pictures for number in setup.written_objects]
    return Section(
        name="writing",
        title=f"From the video file to the tables without a network, {setup.written_frames} frames",
        rows=rows,
        note="frames/s: the most that one worker can reach, however fast its network is",
    )


def _cost(setup: Setup, size: tuple[int, int], num_objects: int) -> WritingCost:
    height, width = size
    setup.tell(f"writing {num_objects} objects at {height} x {width}")
    clip = material(height, width, num_objects=num_objects, num_frames=setup.written_frames)
    with corpus(setup, clip, SegmenterConfig()) as made, made.worker(_NoNetwork) as worker:
        found = []
        for _ in range(_ROUNDS):
            with Meter(setup.device) as meter:
                outcome = made.process(worker)
            found.append(meter.spent)
    spent, frames, masks = min(found, key=lambda s: s.seconds), len(clip.frames), outcome.files["masks"]
    return WritingCost(
        height=height,
        width=width,
        num_objects=num_objects,
        frames_per_s=frames / spent.seconds,
        cpu_seconds=spent.cpu_seconds / frames,
        mask_bytes=masks.bytes / masks.rows,
    )


class _NoNetwork(VideoSegmenter):
    """Knows its masks: those of the prompt, two pixels further to the right in every frame."""

    def __init__(self, network: AFBURR, config: SegmenterConfig, *, object_ids: Sequence[int] = ()) -> None:
        super().__init__(network, config, object_ids=object_ids)
        self._seen = 0

    def submit(self, frame: Tensor, prompt: Prompt | None = None, *, keep_probabilities: bool = False) -> None:
        self._prompted = prompt is not None
        if prompt is not None:
            self._masks = [np.roll(prompt.labels, 2 * shift, axis=1) for shift in range(_MASKS)]
            self._objects_there = tuple(_statistics(object_id) for object_id in prompt.object_ids)
        self._seen += 1

    def collect(self) -> FrameResult:
        return FrameResult(
            labels=self._masks[self._seen % _MASKS],
            objects=self._objects_there,
            statistics=_STATISTICS,
            bank=BankStatistics(),
            prompted=self._prompted,
        )


def _statistics(object_id: int) -> ObjectStatistics:
    return ObjectStatistics(object_id=object_id, score=0.5, uncertainty=0.5)


_STATISTICS = FrameStatistics(**dict.fromkeys(FrameStatistics.__dataclass_fields__, 0.5))
