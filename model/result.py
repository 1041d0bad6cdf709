"""What one frame asks of the segmenter and what comes back: plain values, no tensors on a device.

Legend: H, W native frame size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BACKGROUND = 0
"""Label, and channel, of what is no object."""

VOID = 255
"""Label of pixels that a mask says nothing about (DAVIS, YouTube-VOS)."""

Labels = NDArray[np.int32]
"""Label map [H, W]: 0 background, any other value an object id (255 = void in prompts only)."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A given mask of some objects in one frame."""

    labels: Labels
    """[H, W]; pixels of ids outside `object_ids` say nothing about those objects."""
    object_ids: tuple[int, ...]
    """Ids the prompt speaks for, ascending; an id without a pixel says "not in this frame"."""


@dataclass(frozen=True, kw_only=True)
class ObjectStatistics:
    """One object in one frame, from the network's own prediction (before a prompt is merged in)."""

    object_id: int
    score: float | None
    """Mean final probability inside its mask, at network size; None when the mask is empty or not predicted."""
    uncertainty: float | None
    """Mean of U over its dilated mask, in [0, 1]; None before its first prediction."""


@dataclass(frozen=True, kw_only=True)
class FrameStatistics:
    """One frame's reported uncertainty U and how sure the network was, at network size without padding."""

    uncertainty_mean: float
    uncertainty_p50: float
    uncertainty_p95: float
    uncertainty_max: float
    uncertain_fraction: float
    """Share of pixels with U > 0.5."""
    margin: float
    """Mean of the best minus the second-best probability."""
    entropy: float
    """Mean entropy in nats over background and objects."""


@dataclass(frozen=True, kw_only=True)
class BankStatistics:
    """The bank after a frame: sums over the objects and the background."""

    size: int = 0
    merged: int = 0
    appended: int = 0
    evicted: int = 0
    dropped: int = 0
    protected_share: float = 0.0
    """Protected rows as a share of all rows, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class FrameResult:
    """What the segmenter says about one frame."""

    labels: Labels
    """[H, W] native size: 0 or an object id; on a prompted frame the prompt is merged in."""
    objects: tuple[ObjectStatistics, ...]
    """Every object prompted so far, this frame included, by ascending id."""
    statistics: FrameStatistics | None
    """None while the network has predicted nothing."""
    bank: BankStatistics
    prompted: bool
    shot_cut: bool | None = None
    """Another shot begins here (`model.cuts`); None where there was nothing to compare with."""
    probabilities: NDArray[np.float32] | None = None
    """[1 + objects, h, w] at network size, background first; only when asked for."""
