"""Which part of a picture a person needs to see to decide on an object.

Legend: H, W size of a frame in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.input.frames import Rgb

Pixel = TypeVar("Pixel", bound=np.generic)
Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""
CONTEXT = 4.0
"""A crop is so many times as wide as the object: what is around it tells whether it is whole."""
SMALLEST = 96
"""Pixels of a frame that a crop shows at least, so that tiny objects have something around them."""
LONGER_SIDE = 480
"""Pixels of a crop's picture, at most."""


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A part of the frames of a video."""

    left: int
    top: int
    width: int
    height: int
    """Pixels of the frame."""
    scale: float
    """Pixels of the crop's picture in one of the frame, at most 1."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its picture."""
        return max(1, round(self.height * self.scale)), max(1, round(self.width * self.scale))

    def of(self, values: NDArray[Pixel]) -> NDArray[Pixel]:
        """This part of a frame [H, W, ...], in the frame's own pixels."""
        return values[self.top : self.top + self.height, self.left : self.left + self.width]

    def picture(self, rgb: Rgb) -> Rgb:
        """This part of a frame [H, W, 3], in its own size."""
        part, (height, width) = self.of(rgb), self.size
        if part.shape[:2] == (height, width):
            return np.ascontiguousarray(part, np.uint8)
        return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def box_inside(self, box: Box) -> tuple[float, float, float, float]:
        """A box of the frame in pixels of the crop's picture."""
        x, y, width, height = box
        return (x - self.left) * self.scale, (y - self.top) * self.scale, width * self.scale, height * self.scale


def crop_around(box: Box, around: Box, size: tuple[int, int]) -> Crop:
    """The crop for an object in this box, of a frame of `size` (H, W); it also shows most of what is `around`."""
    x, y, box_width, box_height = box
    # Twice as far as the farthest side of `around` reaches: the object stays in the middle.
    reach = max(
        x - around[0], y - around[1], around[0] + around[2] - x - box_width, around[1] + around[3] - y - box_height
    )
    side = max(SMALLEST, round(CONTEXT * max(box_width, box_height)), max(box_width, box_height) + 2 * reach)
    left, crop_width = _span(x + box_width / 2, side, size[1])
    top, crop_height = _span(y + box_height / 2, side, size[0])
    return _crop(left, top, crop_width, crop_height)


def _span(centre: float, side: int, length: int) -> tuple[int, int]:
    """Begin and length of what a crop shows of a frame's side: moved inwards before it is cut."""
    shown = min(side, length)
    return min(max(0, round(centre - shown / 2)), length - shown), shown


def _crop(left: int, top: int, width: int, height: int) -> Crop:
    scale = min(1.0, LONGER_SIDE / max(width, height))
    return Crop(left=left, top=top, width=width, height=height, scale=scale)


def union(boxes: Sequence[Box]) -> Box:
    """The box around all of them, at least one."""
    left, top = min(x for x, _, _, _ in boxes), min(y for _, y, _, _ in boxes)
    right, bottom = max(x + width for x, _, width, _ in boxes), max(y + height for _, y, _, height in boxes)
    return left, top, right - left, bottom - top
