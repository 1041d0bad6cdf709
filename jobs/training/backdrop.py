"""What may lie behind objects of a still, so that they can move away from where they were.

Legend: H W still.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.training.motion import Generator
from pipeline.input.frames import Rgb

_TRIES = 12
_MARGIN = 3
"""Pixels: outlines are coarse, and what is left of an object beside its hole would tell where it was."""


def backdrop(rng: Generator, picture_HW3: Rgb, holes_HW: NDArray[np.bool_]) -> Rgb:
    """The picture with its holes covered by other parts of it, the edges softened.

    What no part covers in some tries keeps what is there: holes should be less than half of the picture.
    """
    wide = cv2.dilate(holes_HW.astype(np.uint8), np.ones((_MARGIN, _MARGIN), np.uint8)).astype(bool)
    filled, left = picture_HW3.copy(), wide.copy()
    for _ in range(_TRIES):
        if not left.any():
            break
        shift = tuple(int(rng.integers(length)) for length in left.shape)
        covered = left & ~np.roll(wide, shift, axis=(0, 1))
        filled[covered] = np.roll(picture_HW3, shift, axis=(0, 1))[covered]
        left &= ~covered
    soft = cv2.GaussianBlur(filled, (_MARGIN, _MARGIN), 0)
    edges = cv2.GaussianBlur(wide.astype(np.float32), (_MARGIN, _MARGIN), 0)
    near = (edges > 0) & (edges < 1)
    filled[near] = soft[near]
    return filled
