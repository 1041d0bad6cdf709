"""What a run is told: small frozen values, checked once, that every process of the run gets."""

from dataclasses import dataclass, field

from model.effect import effective
from model.segmenter import SegmenterConfig
from pipeline.errors import InvalidInput
from pipeline.input.box_masks import BoxMasks
from pipeline.input.frames import MAX_PIXELS
from pipeline.run.device import Device
from pipeline.run.ending import EndingConfig
from pipeline.run.watch import Patience


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """All that a worker needs besides the video."""

    output: str
    """URL of OUTPUT."""
    checkpoint: str
    """Name or URL of the weights."""
    checkpoint_fingerprint: str
    """Fingerprint of the weights that the run was planned with; a worker that reads others refuses."""
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    ending: EndingConfig = field(default_factory=EndingConfig)
    both_ways: bool = False
    """Fill frames before a prompt from behind; part of the identity of videos that have some (`run.both_ways`)."""
    binary_masks: bool = False
    """Prompt masks hold only 0 and 255; 255 is object 1."""
    box_masks: BoxMasks = "network"
    """How boxes of prompts become masks; part of the identity of videos that have some."""
    device: Device = "auto"
    reserved_gpus: float = 0.0
    """GPUs that the pool has reserved for each worker."""
    capture: bool = False
    """On a GPU record a step once and replay it (`model.capture`); masks are the same."""
    torch_threads: int = 1
    queue_frames: int = 8
    """Frames that may wait between decoding, network and writing."""
    max_pixels: int = MAX_PIXELS
    """Of a frame; larger videos are refused before they take memory."""
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        if self.reserved_gpus < 0:
            raise InvalidInput(f"GPUs per worker must not be negative, not {self.reserved_gpus:g}")
        if (frames := self.ending.stop_when_lost) is not None and frames < 1:
            raise InvalidInput(f"stop_when_lost must be at least 1, not {frames}")
        for name in ("torch_threads", "queue_frames", "max_pixels"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be at least 1, not {getattr(self, name)}")
        _check_segmenter(self.segmenter)

    def settings(self) -> dict[str, object]:
        """Those settings that can change a mask of any video; they are part of every video's identity."""
        return {**effective(self.segmenter), **effective(self.ending), "binary_masks": self.binary_masks}


def _check_segmenter(config: SegmenterConfig) -> None:
    bank, chunk = config.bank, config.object_chunk
    limits = (
        ("max_side", config.max_side, config.max_side == 0 or config.max_side >= 16, "0 or at least 16 pixels"),
        ("min_side", config.min_side, config.min_side >= 0, "0 or a number of pixels"),
        ("memory_every", config.memory_every, config.memory_every >= 1, "at least 1"),
        ("object_chunk", chunk, chunk is None or chunk >= 1, "at least 1"),
        ("workspace", config.workspace, config.workspace >= 1, "at least 1"),
        ("budget", bank.budget, bank.budget is None or bank.budget > 0, "positive"),
        ("merge_threshold", bank.merge_threshold, -1 <= bank.merge_threshold <= 1, "a cosine, in [-1, 1]"),
        ("update_rate", bank.update_rate, 0 <= bank.update_rate <= 1, "in [0, 1]"),
    )
    for name, value, ok, wanted in limits:
        if not ok:
            raise InvalidInput(f"{name} must be {wanted}, not {value}")
