"""Polygons, boxes and masks as a manifest holds them.

Legend: H, W size of a picture in pixels; N corners.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.annotations.annotated import Shape, Size
from pipeline.errors import InvalidInput
from pipeline.input.objects import PromptObject
from pipeline.input.run_lengths import uncompressed
from pipeline.input.shapes import mask_of_shape, pixels_of_box
from pipeline.output import rle

_ROUND = 64
"""Corners of what is round."""


def numbers(values: object, where: str, what: str) -> list[float]:
    """A list of finite numbers. Raises InvalidInput that says `where` and `what` they should be."""
    if isinstance(values, list | tuple):
        found = [float(value) for value in values if _is_number(value)]
        if len(found) == len(values):
            return found
    raise InvalidInput(f"{where}: {what} are no list of numbers; correct or remove it")


def number(value: object, where: str, what: str) -> float:
    """A finite number. Raises InvalidInput as `numbers`."""
    if not _is_number(value):
        raise InvalidInput(f"{where}: {what} is no number; correct or remove it")
    return float(value)  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def box_of_corners(x0: float, y0: float, x1: float, y1: float) -> Shape:
    """The box between two opposite corners."""
    return {"box": [min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)]}


def turned_box(box: Sequence[float], degrees: float, around: tuple[float, float]) -> Shape:
    """A box of x, y, width, height that is turned clockwise around a point."""
    x, y, w, h = box
    if not degrees % 360:
        return {"box": list(box)}
    corners = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)]) - around
    return {"polygons": [_turned(corners, degrees, around)]}


def ellipse(centre: tuple[float, float], radii: tuple[float, float], degrees: float = 0) -> Shape:
    """An ellipse, turned clockwise around its centre, as a polygon."""
    angles = np.linspace(0, 2 * np.pi, _ROUND, endpoint=False)
    corners = np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], axis=1)
    return {"polygons": [_turned(corners, degrees, centre)]}


def _turned(corners_N2: NDArray[Any], degrees: float, around: tuple[float, float]) -> list[float]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    flat: list[float] = (corners_N2 @ np.array([[cos, sin], [-sin, cos]]) + around).ravel().tolist()
    return flat


def of_mask(mask: NDArray[np.bool_]) -> Shape:
    """The pixels [H, W] of an object as run lengths."""
    counts = rle.encode(mask.astype(np.int32), [1])[0].counts
    return {"rle": {"size": list(mask.shape), "counts": counts}}


def of_rle(value: object, size: Size, where: str) -> Shape:
    """COCO's run lengths, as text or as numbers, of a picture. Raises InvalidInput for another picture's."""
    if not isinstance(value, Mapping) or not {"size", "counts"} <= value.keys():
        raise InvalidInput(f"{where}: the mask is no run-length encoding of size and counts; correct or remove it")
    found = value["size"]
    if not isinstance(found, list) or tuple(found) != size:
        raise InvalidInput(
            f"{where}: the run-length encoding has the size {found}, its picture {list(size)} (height, width); export "
            "masks of the size of the pictures"
        )
    return {"rle": {"size": found, "counts": value["counts"]}}


def as_object(object_id: int, shape: Shape, size: Size) -> PromptObject:
    """An object of a manifest. Raises InvalidPrompt for a shape that is none, or has no place in the picture."""
    ((kind, value),) = shape.items()
    found = _MAKE[kind](object_id, value)
    if kind == "box":
        pixels_of_box(found, size)  # of the others the pixels are looked at anyway
    return found


def absent_object(object_id: int, size: Size) -> PromptObject:
    """One of which a prompt says that it is not in the picture."""
    return PromptObject.of_rle(object_id, {"size": list(size), "counts": [size[0] * size[1]]})


_MAKE: Mapping[str, Callable[[int, Any], PromptObject]] = {
    "rle": PromptObject.of_rle,
    "polygons": PromptObject.of_polygons,
    "box": PromptObject.of_box,
}


def is_empty(shape: Shape) -> bool:
    """Whether run lengths cover no pixel. Raises InvalidPrompt for damaged ones."""
    if "rle" not in shape:
        return False
    return not any(uncompressed(shape["rle"]["counts"])[1::2])


def pixels_of(found: PromptObject, size: Size) -> NDArray[np.bool_]:
    """Its pixels [H, W]; of a box all. Raises InvalidPrompt."""
    if found.kind != "box":
        return mask_of_shape(found, size)
    inside = np.zeros(size, bool)
    inside[pixels_of_box(found, size).inside] = True
    return inside


def union(shapes: Sequence[Shape], size: Size) -> Shape:
    """The parts of one object as one shape. Raises InvalidPrompt."""
    if len(shapes) == 1:
        return shapes[0]
    if all("polygons" in shape for shape in shapes):
        return {"polygons": [ring for shape in shapes for ring in shape["polygons"]]}
    covered = np.zeros(size, bool)
    for shape in shapes:
        covered |= pixels_of(as_object(1, shape, size), size)
    return of_mask(covered)
