"""Pictures and labels in another size."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.input.frames import Rgb


def shrunk(values: NDArray[np.uint8], shorter_side: int, *, labels: bool = False) -> NDArray[np.uint8]:
    """A picture [H, W, 3], or labels [H, W], whose shorter side is at most `shorter_side` pixels."""
    scale = shorter_side / min(values.shape[:2])
    if scale >= 1:
        return values
    size = (round(values.shape[1] * scale), round(values.shape[0] * scale))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_NEAREST if labels else cv2.INTER_AREA), np.uint8)


def scaled(rgb: Rgb, width: int) -> Rgb:
    """A picture `width` pixels wide, in its own proportions."""
    height = max(1, round(width * rgb.shape[0] / rgb.shape[1]))
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
