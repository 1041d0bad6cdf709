"""Where another shot begins, told from the picture while the segmenter goes through it.

A frame is reduced to a `Look`: its colours, the network's features at 1/16 and a thumbnail, none of which small motion
changes. Two frames are of different shots where all three differ. A hard cut is a frame that differs so from the one
before it, and so is the first that is not black in a fade through black. Other fades are slower, and so is a camera
that turns: but in a fade every picture between two is a mixture of the two, which motion does not give.

A hard cut is marked on the first frame of the new shot. A fade is marked once, as soon as it comes to rest: on one of
its last frames as a rule, at the latest a few frames after it; and on its first frame that differs so from the one
before, if there is one.

Thresholds were chosen on sequences of DAVIS's training set and cuts and fades between them.

Legend: h w network size, C features at 1/16, G cells, B histogram bins, T values of a thumbnail, D = C G + B + T,
n frames that are remembered.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.state import CutState

_CELLS = (3, 4)
_LEVELS = 8
"""Of each colour, in the histogram."""
_BINS = _LEVELS**3
_THUMBNAIL = (12, 16)
_STRIDE = 4
"""Of the pixels that are looked at."""

_BLANK = 0.03
"""Standard deviation of a thumbnail that shows nothing (black, white): such a frame belongs to no shot."""
_SPANS = (4, 8, 12, 16)
"""Frames over which a fade is looked for, once a shot has so many: longer fades are found by a part of them."""
_LEAST_MIXED = 0.3
"""Of the pictures between two: median share of what a mixture of the two does not explain, of their difference."""
_WORST_MIXED = 0.45
"""The same, of the worst of them."""
_AT_REST = 0.5
"""A fade has come to rest when a frame changes by less than this share of what frames changed by before."""
_QUIET = 16
"""Frames after a fade in which nothing is marked: they may be its end."""

_Values = NDArray[np.float32]


class _Limits(NamedTuple):
    """Two frames are of different shots where they differ by more in each."""

    features: float
    """1 - cosine, mean over the cells."""
    colours: float
    """Share of the pixels that have other colours."""
    thumbnail: float
    """1 - correlation."""


_HARD = _Limits(features=0.15, colours=0.2, thumbnail=0.2)
_FADED = _Limits(features=0.2, colours=0.25, thumbnail=0.2)


def look(picture: Tensor, r4: Tensor) -> Tensor:
    """What a frame is compared by, as one row of values [D] on its device.

    Args:
        picture: RGB [1, 3, h, w] in [0, 1].
        r4: the network's features of it [1, C, ceil(h / 16), ceil(w / 16)].
    """
    seen = picture[0, :, ::_STRIDE, ::_STRIDE]
    levels = (seen * _LEVELS).long().clamp_(max=_LEVELS - 1).flatten(1)
    bins = (levels[0] * _LEVELS + levels[1]) * _LEVELS + levels[2]
    # Sums of ones are exact in any order, so that no device gives other ones.
    colours = seen.new_zeros(_BINS).index_add_(0, bins, torch.ones_like(bins, dtype=seen.dtype)) / len(bins)
    features = F.normalize(F.adaptive_avg_pool2d(r4[0].float(), _CELLS).flatten(1), dim=0)
    thumbnail = F.adaptive_avg_pool2d(seen, _THUMBNAIL)
    return torch.cat([features.flatten(), colours, thumbnail.flatten()])


class _Look:
    """The parts of a row."""

    def __init__(self, row_D: _Values) -> None:
        self.row = row_D
        size = 3 * _THUMBNAIL[0] * _THUMBNAIL[1]
        self.features, self.colours, self.thumbnail = np.split(row_D, (len(row_D) - size - _BINS, len(row_D) - size))
        self.blank = bool(self.thumbnail.std() < _BLANK)
        centred = self.thumbnail - self.thumbnail.mean()
        self.contrast = centred / max(float(np.linalg.norm(centred)), 1e-9)

    def differs(self, other: "_Look", limits: _Limits) -> bool:
        return (
            0.5 * float(np.abs(self.colours - other.colours).sum()) > limits.colours
            and 1 - float(self.contrast @ other.contrast) > limits.thumbnail
            and 1 - float(self.features @ other.features) / (_CELLS[0] * _CELLS[1]) > limits.features
        )

    def step(self, other: "_Look") -> float:
        """How far the thumbnails are from each other."""
        return float(np.linalg.norm(self.thumbnail - other.thumbnail))


@dataclass
class _Fade:
    """A fade that has been seen and not yet marked."""

    step: float
    """What a frame changed by, on average."""
    frames_left: int
    """It is marked after so many frames at the latest."""


class ShotCuts:
    """Looks at the frames of one video in their order."""

    def __init__(self) -> None:
        self._before: list[_Look] = []
        self._fade: _Fade | None = None
        self._quiet = 0

    def add(self, row_D: _Values) -> bool | None:
        """Whether another shot begins with this frame, by its `look`; None: there is nothing to compare it with.

        A frame that shows nothing begins no shot, and is as if it were not there.
        """
        seen = _Look(row_D)
        if not self._before:
            self._before = [] if seen.blank else [seen]
            return None
        if seen.blank:
            return False
        cut = self._is_cut(seen)
        self._before = [seen] if cut else [*self._before[1 - _SPANS[-1] :], seen]
        return cut

    def _is_cut(self, seen: _Look) -> bool:
        if self._quiet:
            self._quiet -= 1
            return False
        if seen.differs(self._before[-1], _HARD):
            self._fade = None
            return True
        if self._fade is None:
            self._fade = self._faded(seen)
            return False
        self._fade.frames_left -= 1
        if self._fade.frames_left and seen.step(self._before[-1]) >= _AT_REST * self._fade.step:
            return False
        self._fade, self._quiet = None, _QUIET
        return True

    def _faded(self, seen: _Look) -> _Fade | None:
        # A shot that fades in grows brighter after it has been marked.
        for span in _SPANS if len(self._before) == _SPANS[-1] else ():
            first, *between = self._before[-span:]
            if seen.differs(first, _FADED) and _are_mixtures(between, first, seen):
                return _Fade(step=seen.step(first) / span, frames_left=span // 2 + 2)
        return None

    def state(self) -> CutState:
        """All that `restore` needs."""
        rows = np.stack([look.row for look in self._before]) if self._before else np.zeros((0, 0), np.float32)
        step, frames_left = (self._fade.step, self._fade.frames_left) if self._fade else (0.0, 0)
        return CutState(
            looks=torch.from_numpy(rows), fade_step=step, fade_frames_left=frames_left, quiet_frames=self._quiet
        )

    def restore(self, state: CutState) -> None:
        """Continue where `state()` was taken."""
        self._before = [_Look(row) for row in state.looks.numpy().copy()]
        self._fade = _Fade(state.fade_step, state.fade_frames_left) if state.fade_frames_left else None
        self._quiet = state.quiet_frames


def _are_mixtures(between: list[_Look], first: _Look, last: _Look) -> bool:
    """Whether the thumbnails between two are mixtures of the two, nearly: points of the line from one to the other."""
    way_T = last.thumbnail - first.thumbnail
    from_first_nT = np.stack([look.thumbnail for look in between]) - first.thumbnail
    length = float(np.linalg.norm(way_T))
    shares_n = from_first_nT @ way_T / length**2
    left_n = np.linalg.norm(from_first_nT - shares_n[:, None] * way_T, axis=1) / length
    return bool(np.median(left_n) < _LEAST_MIXED and left_n.max() < _WORST_MIXED)
