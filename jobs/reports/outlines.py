"""Outlines of masks as SVG paths, which a browser draws sharp at any size.

Legend: H, W size of a mask in pixels; N corners of a part of it.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_OFF = 0.7
"""Pixels of the picture that an outline may be off, to be short."""
_PARTS = 50
"""Nor may it be off by more than so little of its length."""
_COVERED = 64
"""Of 255: so much of a pixel must be in the mask where several become one; thin parts stay."""


def outline(mask: NDArray[np.bool_], size: tuple[int, int]) -> str:
    """The path around all parts and holes of a mask [H, W], in a picture of another `size` (height, width).

    Its unit is half a pixel of that picture, 0 the middle of the first half; the even-odd rule says what is inside. ""
    for an empty mask.
    """
    # At twice its size the outline goes around pixels, not through their middles.
    height, width = 2 * size[0], 2 * size[1]
    smaller = height < mask.shape[0]
    pixels = cv2.resize(
        mask.astype(np.uint8) * 255, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    )
    contours, _ = cv2.findContours((pixels >= _COVERED).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return "".join(_path(_short(contour)) for contour in contours)


def _short(contour: NDArray[Any]) -> NDArray[np.int32]:
    """The corners of a contour without those that hardly turn; a part of few pixels keeps its form."""
    off = min(2 * _OFF, cv2.arcLength(contour, True) / _PARTS)
    return np.asarray(cv2.approxPolyDP(contour, off, True)[:, 0], np.int32)


def _path(corners_N2: NDArray[np.int32]) -> str:
    """Absolute to the first corner, then from corner to corner: short numbers."""
    steps = np.diff(corners_N2, axis=0).tolist()
    x, y = corners_N2[0].tolist()
    lines = "l" + " ".join(f"{dx} {dy}" for dx, dy in steps) if steps else ""
    return f"M{x} {y}{lines}z"
