"""Pictures and labels in another size."""

from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.input.frames import Rgb

Pixel = TypeVar("Pixel", np.uint8, np.int32)


def shrunk(values: NDArray[Pixel], shorter_side: int, *, labels: bool = False) -> NDArray[Pixel]:
    """A picture [H, W, 3], or labels [H, W], whose shorter side is at most `shorter_side` pixels."""
    height, width = shrunk_size(values.shape[:2], shorter_side)
    if (height, width) == values.shape[:2]:
        return values
    interpolation = cv2.INTER_NEAREST if labels else cv2.INTER_AREA
    return np.asarray(cv2.resize(values, (width, height), interpolation=interpolation), values.dtype)


def shrunk_size(size: Sequence[int], shorter_side: int) -> tuple[int, int]:
    """Height and width of what has that size (H, W), when its shorter side is at most `shorter_side` pixels."""
    height, width = size
    scale = min(1.0, shorter_side / min(height, width))
    return round(height * scale), round(width * scale)


def scaled(rgb: Rgb, width: int) -> Rgb:
    """A picture `width` pixels wide, in its own proportions."""
    height = max(1, round(width * rgb.shape[0] / rgb.shape[1]))
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
