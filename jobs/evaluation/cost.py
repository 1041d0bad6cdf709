"""What a network costs on this machine, by number of objects and precision.

Every precision segments the same generated clip, frame by frame in turn, so that whatever else the machine does slows
all of them; its exact masks say whether a faster one is also a worse one.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from jobs.pictures.label_maps import LabelMap
from model.bank import BankConfig
from model.clip import Clip
from model.metrics import SequenceScorer, mean_scores
from model.network import AFBURR
from model.result import FrameResult, Prompt
from model.segmenter import Precision, SegmenterConfig, VideoSegmenter
from model.synthetic import make_clip
from pipeline.errors import InvalidInput

PRECISIONS: dict[str, tuple[Precision, ...]] = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16", "fp16")}
"""By type of device, fp32 first: the others are held against it."""
_SEED = 0
_STRIDE = 16


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is measured."""

    height: int = 480
    width: int = 854
    num_objects: tuple[int, ...] = (1, 3)
    frames: int = 8
    """Timed ones, all with a full bank."""
    bank_rows: int = 5_000
    """Features stored of every channel; of a large frame at least what two frames bring."""

    @property
    def positions(self) -> int:
        """Features that a frame has of every channel."""
        return -(-self.height // _STRIDE) * -(-self.width // _STRIDE)

    @property
    def rows(self) -> int:
        """Features stored of every channel."""
        return max(self.bank_rows, 2 * self.positions)

    @property
    def warm_up(self) -> int:
        """Frames until the bank is full, and one that reads it all."""
        return -(-self.rows // self.positions) + 1


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One number of objects in one precision."""

    num_objects: int
    precision: Precision
    gflop: float
    """Of a frame: matrix products and convolutions (2 a multiply-add) of query encoding, read, decoding and
    refinement, memorizing all objects and the background, and the search for each new feature's nearest stored one."""
    seconds: float
    """Of a frame, median."""
    speedup: float
    """Against fp32."""
    bank_rows: int
    """Of all channels together, at the end."""
    peak_bytes: int
    """On a GPU what torch held at most in a step of this row, on the CPU what the process held at most so far."""
    J_and_F: float
    """Against the clip's exact masks, without the prompted frame."""
    J_to_fp32: float
    """Mean J of the masks against those of fp32."""


def benchmark(network: AFBURR, setup: Setup) -> list[Cost]:
    """Measure a network on the device where it is, with torch's current threads.

    Raises InvalidInput for a frame or a number of objects that no clip can be made of.
    """
    return [cost for num_objects in setup.num_objects for cost in _costs(network, setup, num_objects)]


def _costs(network: AFBURR, setup: Setup, num_objects: int) -> Iterator[Cost]:
    clip = _clip(setup, num_objects)
    device = next(network.parameters()).device
    config = _bank(setup, 1 + num_objects)
    runs = [_Run(network, device, config, precision) for precision in PRECISIONS[device.type]]
    for t in range(len(clip.frames)):
        for run in runs:
            run.step(clip, t, counted=t == len(clip.frames) - 1)
            run.score(clip.labels[t], runs[0].result)
    fp32 = runs[0]
    for run in runs:
        yield Cost(
            num_objects=num_objects,
            precision=run.precision,
            gflop=run.gflop,
            seconds=run.seconds(setup),
            speedup=fp32.seconds(setup) / run.seconds(setup),
            bank_rows=run.result.bank.size,
            peak_bytes=run.peak_bytes,
            J_and_F=mean_scores(run.truth.all_frames()).J_and_F,
            J_to_fp32=mean_scores(run.agreement.all_frames()).J,
        )


def _clip(setup: Setup, num_objects: int) -> Clip:
    number = setup.warm_up + setup.frames + 1  # operations are counted on one more, for counting takes time
    try:
        return make_clip(_SEED, num_frames=number, height=setup.height, width=setup.width, num_objects=num_objects)
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def _bank(setup: Setup, channels: int) -> BankConfig:
    """Nothing merges, so that the bank is full at once, whatever the network makes of the clip."""
    return BankConfig(policy="append", budget=channels * setup.rows)


class _Run:
    """One precision on one clip."""

    result: FrameResult

    def __init__(self, network: AFBURR, device: torch.device, bank: BankConfig, precision: Precision) -> None:
        config = SegmenterConfig(bank=bank, precision=precision, max_side=0, min_side=0)
        self.precision = precision
        self.gflop = 0.0
        self.peak_bytes = 0
        self.truth, self.agreement = SequenceScorer(), SequenceScorer()
        self._segmenter = VideoSegmenter(network, config)
        self._device = device
        self._seconds: list[float] = []

    def step(self, clip: Clip, t: int, *, counted: bool) -> None:
        frame = torch.from_numpy(clip.frames[t].transpose(2, 0, 1).copy())
        prompt = _prompt(clip) if t == 0 else None
        with _Timer(self._device) as timer:
            if counted:
                self._count(frame)
            else:
                self.result = self._segmenter.step(frame, prompt)
        self._seconds.append(timer.seconds)
        self.peak_bytes = max(self.peak_bytes, timer.peak_bytes)

    def _count(self, frame: torch.Tensor) -> None:
        with FlopCounterMode(display=False) as counter:
            self.result = self._segmenter.step(frame)
        self.gflop = counter.get_total_flops() / 1e9

    def score(self, truth: LabelMap, fp32: FrameResult) -> None:
        labels, prompted = self.result.labels, self.result.prompted
        self.truth.add(labels, truth, prompted=prompted)
        self.agreement.add(labels, fp32.labels, prompted=prompted)

    def seconds(self, setup: Setup) -> float:
        return median(self._seconds[setup.warm_up : setup.warm_up + setup.frames])


def _prompt(clip: Clip) -> Prompt:
    labels = clip.labels[0].astype(np.int32)
    return Prompt(labels=labels, object_ids=tuple(range(1, int(labels.max()) + 1)))


class _Timer:
    """Seconds and peak memory of a block."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"

    def __enter__(self) -> "_Timer":
        if self._cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        if self._cuda:
            torch.cuda.synchronize()
        self.seconds = time.perf_counter() - self._start
        self.peak_bytes = torch.cuda.max_memory_allocated() if self._cuda else _peak_rss()


def _peak_rss() -> int:
    import resource  # not on Windows, where the other commands must start

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
