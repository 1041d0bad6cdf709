"""What is measured, and a segmenter on a clip whose frames are measured one by one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import torch

from jobs.benchmarks.machine import num_cores
from jobs.benchmarks.material import Material, material
from jobs.benchmarks.meter import Meter, Spent
from model.capture import CudaGraphs
from model.network import AFBURR
from model.result import FrameResult
from model.segmenter import Precision, SegmenterConfig, VideoSegmenter
from pipeline.input.weights import DEFAULT_CHECKPOINT

PRECISIONS: dict[str, tuple[Precision, ...]] = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16", "fp16")}
"""By type of device, fp32 first: the others are held against it."""
WARM_UP = 3
"""Frames before the first one that counts: the prompted one, and two with which memory and threads settle."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is measured."""

    network: AFBURR
    checkpoint: str = DEFAULT_CHECKPOINT
    """What it was loaded from: workers load it again."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    capture: bool = False
    """Record steps on a GPU and replay them."""
    height: int = 480
    width: int = 854
    """Of a frame; the network sees it at this size."""
    num_objects: tuple[int, ...] = (1, 3, 10, 20)
    frames: int = 5
    """Timed ones of every measurement."""
    banks: tuple[int, ...] = (1_600, 5_000, 20_000, 50_000, 150_000)
    """Features stored of each channel, as far as a frame does not bring more."""
    threads: int = 1
    """Torch's, of each process."""
    workers: tuple[int, ...] = (1, 2)
    video_frames: int = 24
    """Of the clip that a worker segments: opening it should count for little."""
    pictures: tuple[tuple[int, int], ...] = ((480, 854), (1080, 1920))
    """Heights and widths where only decoding and writing are measured."""
    written_objects: tuple[int, ...] = (1, 5, 20)
    """Objects, there."""
    written_frames: int = 60
    """Frames, there."""
    long_frames: int = 1_000
    """Of the video that shows whether a frame costs the same early and late."""
    long_window: int = 100
    """Frames there of which a median is taken."""
    long_budget: int = 7_000
    """Features there; they are full after about as many frames as a window has."""
    tell: Callable[[str], None] = lambda _: None
    """Gets what is measured next."""

    @property
    def precisions(self) -> tuple[Precision, ...]:
        return PRECISIONS[self.device.type]

    @property
    def size(self) -> str:
        return f"{self.height} x {self.width}"

    @property
    def fewest(self) -> str:
        """What is measured where one number of objects suffices."""
        return f"{self.num_objects[0]} object{'s' if self.num_objects[0] > 1 else ''}"

    @property
    def positions(self) -> int:
        """Features that a frame has of every channel."""
        return -(-self.height // 16) * -(-self.width // 16)

    @property
    def most_workers(self) -> int:
        """For which this machine has a GPU, or cores, each."""
        return torch.cuda.device_count() if self.device.type == "cuda" else max(1, num_cores() // self.threads)

    def segmenter(self, **settings: object) -> SegmenterConfig:
        """As users have it, at the clip's own size."""
        return SegmenterConfig(max_side=0, min_side=0, **settings)  # type: ignore[arg-type]

    def make(self, clip: Material, config: SegmenterConfig) -> VideoSegmenter:
        """A segmenter of the clip."""
        record = CudaGraphs() if self.capture and self.device.type == "cuda" else None
        return VideoSegmenter(self.network, config, object_ids=clip.object_ids, record=record)

    def clip(self, num_objects: int, num_frames: int = 16) -> Material:
        """The clip, with so many objects and at most so many frames."""
        return _material(self.height, self.width, num_objects, num_frames)


_material = lru_cache(maxsize=2)(
    lambda height, width, objects, frames: material(height, width, num_objects=objects, num_frames=frames)
)


class Steps:
    """A segmenter on a clip, frame by frame."""

    result: FrameResult

    def __init__(self, setup: Setup, clip: Material, config: SegmenterConfig) -> None:
        self.segmenter = setup.make(clip, config)
        self.spent: list[Spent] = []
        """Of each frame so far."""
        self._clip = clip
        self._device = setup.device

    def step(self) -> None:
        """The next frame; the first is prompted."""
        number = len(self.spent)
        picture = self._clip.picture(number)
        with Meter(self._device) as meter:
            self.result = self.segmenter.step(picture, None if number else self._clip.prompt)
        self.spent.append(meter.spent)
