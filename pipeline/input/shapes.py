"""Objects of a manifest as masks: run lengths and polygons exactly, of boxes the pixels.

Legend: H, W size of the picture in pixels.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pipeline.errors import InvalidPrompt
from pipeline.input.objects import PromptObject
from pipeline.input.run_lengths import mask_of, uncompressed

Mask = NDArray[np.bool_]
"""[H, W]"""

_BEYOND = 0.1
"""How far a shape may reach beyond the picture, as a share of its side: boxes of detectors do, and are cut there."""
_LONGEST = 100
"""How long an outline may be, in sums of the sides of the picture."""


class Box(NamedTuple):
    """Pixels [top, bottom) x [left, right) of a picture; at least one."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def inside(self) -> tuple[slice, slice]:
        """Of an array [H, W]."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def area(self) -> int:
        """Pixels."""
        return (self.right - self.left) * (self.bottom - self.top)


def mask_of_shape(given: PromptObject, size: tuple[int, int]) -> Mask:
    """The mask of run lengths or polygons in a picture of `size` [H, W]. Raises InvalidPrompt where it does not fit."""
    return _of_rle(given.value, size) if given.kind == "rle" else _of_polygons(given.value, size)


def pixels_of_box(given: PromptObject, size: tuple[int, int]) -> Box:
    """The pixels whose centre is in the box, cut to a picture of `size` [H, W].

    Raises InvalidPrompt for a box that has no pixel there or reaches far beyond.
    """
    x, y, width, height = given.value
    name = f"its box (x {x}, y {y}, width {width}, height {height})"
    _check_near((x, x + width), (y, y + height), size, name)
    left, right = _span(x, width, size[1])
    top, bottom = _span(y, height, size[0])
    if left >= right or top >= bottom:
        raise InvalidPrompt(f"{name} lies outside the picture of {_pixels(size)}: {_ADVICE}")
    return Box(left, top, right, bottom)


_ADVICE = "give pixels of the picture after its rotation (width x height), or leave the object out"


def _span(start: float, length: float, side: int) -> tuple[int, int]:
    """The first pixel and the one behind the last, at least one of a box that is thinner than a pixel."""
    first, end = math.ceil(start - 0.5), math.ceil(start + length - 0.5)
    if first == end:
        first = math.floor(start + length / 2)
        end = first + 1
    return max(0, first), min(side, end)


def _of_rle(rle: Mapping[str, Any], size: tuple[int, int]) -> Mask:
    if (given := tuple(rle["size"])) != size:
        raise InvalidPrompt(
            f"its rle is {_pixels(given)}, the video {_pixels(size)} (width x height, after its rotation): make it in "
            "the video's size"
        )
    return mask_of(uncompressed(rle["counts"]), *size)


def _of_polygons(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    for place, polygon in enumerate(polygons):
        _check_near(polygon[::2], polygon[1::2], size, f"its polygons[{place}]")
        _check_length(polygon, size, f"its polygons[{place}]")
    encoded = coco.merge(coco.frPyObjects(polygons, *size))
    mask: Mask = coco.decode(encoded).astype(bool)
    if not mask.any():
        raise InvalidPrompt(f"its polygons cover no pixel of the picture of {_pixels(size)}: {_ADVICE}")
    return mask


def _check_near(xs: Sequence[float], ys: Sequence[float], size: tuple[int, int], name: str) -> None:
    for values, side, axis in ((xs, size[1], "x"), (ys, size[0], "y")):
        lowest, highest = min(values), max(values)
        if lowest < -_BEYOND * side or highest > (1 + _BEYOND) * side:
            raise InvalidPrompt(
                f"{name} reaches from {axis} {lowest:g} to {highest:g}, beyond the picture of {_pixels(size)}: "
                f"{_ADVICE}"
            )


def _check_length(polygon: Sequence[float], size: tuple[int, int], name: str) -> None:
    """The library's memory goes with the length, which few points can make large."""
    points = np.asarray(polygon, np.float64).reshape(-1, 2)
    length = np.abs(np.diff(points, axis=0, append=points[:1])).max(axis=1).sum()
    if length > _LONGEST * sum(size):
        raise InvalidPrompt(f"{name} is {length:,.0f} pixels long, as no outline is: simplify it, or give an rle")


def _pixels(size: Sequence[int]) -> str:
    return f"{size[1]} x {size[0]}"
