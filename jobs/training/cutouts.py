"""Cut-outs: objects of stills and scenes that are pasted into clips."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.training.motion import Generator
from jobs.training.stills import Still
from pipeline.input.frames import Rgb

_STRIP = (0.04, 0.1)
"""How wide a strip is, in longer extents of the cut-out that it is taken from: least and most."""
_BANDS = 12


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """A picture, and what of it is pasted."""

    picture: Rgb
    mask: NDArray[np.uint8]
    """255 where the object is."""


def any_cutout(rng: Generator, stills: Sequence[Still]) -> Cutout:
    """A random object of one of the stills, which are all usable."""
    while True:
        still = stills[int(rng.integers(len(stills)))]
        if ids := still.object_ids():
            mask = still.labels == ids[rng.integers(len(ids))]
            return Cutout(picture=still.picture, mask=mask.astype(np.uint8) * 255)


def strip(rng: Generator, cutout: Cutout) -> Cutout:
    """What lies within a narrow band across a cut-out: of some bands the one that shows most of it."""
    ys, xs = np.nonzero(cutout.mask)
    extent = max(int(np.ptp(ys)), int(np.ptp(xs)), 1)
    width = max(2.0, rng.uniform(*_STRIP) * extent)
    seen = [_band(rng, ys, xs) <= width / 2 for _ in range(_BANDS)]
    mask = np.zeros_like(cutout.mask)
    most = max(seen, key=np.count_nonzero)
    mask[ys[most], xs[most]] = 255
    return replace(cutout, mask=mask)


def _band(rng: Generator, ys: NDArray[np.intp], xs: NDArray[np.intp]) -> NDArray[np.float64]:
    """How far each pixel is from a line through one of them, in any direction."""
    angle, through = rng.uniform(0, math.pi), rng.integers(len(ys))
    off: NDArray[np.float64] = (xs - xs[through]) * math.sin(angle) - (ys - ys[through]) * math.cos(angle)
    return np.abs(off)


def shrunk(cutout: Cutout, extent: float) -> Cutout:
    """Its part of the picture, with a longer extent of so many pixels: sampled from a larger one it would flicker."""
    ys, xs = np.nonzero(cutout.mask)
    box = (slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1))
    scale = min(1.0, extent / max(np.ptp(ys) + 1, np.ptp(xs) + 1))
    size = [max(1, round(scale * length)) for length in (np.ptp(xs) + 1, np.ptp(ys) + 1)]
    picture, mask = (cv2.resize(v[box], size, interpolation=cv2.INTER_AREA) for v in (cutout.picture, cutout.mask))
    return Cutout(picture=np.asarray(picture, np.uint8), mask=np.asarray(mask, np.uint8))
