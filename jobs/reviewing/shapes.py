"""What the run lengths of a mask say of its shape, at a cost that does not grow with the picture: nothing is drawn.

Legend: R runs of a mask, background and object in turns; C characters; G = GRID x GRID points.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

GRID = 32
"""Points along a side of a mask's box, at which it is looked at for fragments."""

_FIRST, _BITS, _MORE = 48, 5, 32
_CENTRES = (np.arange(GRID) + 0.5) / GRID


class Shape(NamedTuple):
    """A mask's shape; of an empty mask all are 0."""

    fragments: float
    """Parts that touch nowhere, on a grid of its box."""
    largest_fragment: float
    """Share of the mask that lies in its largest part, on the same grid."""
    raggedness: float
    """Runs of the mask a column of its box, less 1: 0 for an ellipse."""


EMPTY = Shape(0.0, 0.0, 0.0)


def shape_of(row: Mapping[str, Any]) -> Shape:
    """Of a row of `masks`, with its rle, height and box."""
    if row["bbox_x"] is None:
        return EMPTY
    ends_R = run_ends(row["rle"])
    parts = _parts(_on_grid(ends_R, row))
    return Shape(float(len(parts)), float(parts.max(initial=0) / max(1, parts.sum())), _raggedness(ends_R, row))


def overlap(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """Intersection over union of the masks of two rows of `masks` of one video; 1 when both are empty."""
    if not (first["area"] and second["area"]):
        return float(first["area"] == second["area"])
    size = [first["height"], first["width"]]
    both = [{"size": size, "counts": row["rle"].encode()} for row in (first, second)]
    shared = int(coco.area(coco.merge(both, intersect=True)))
    union: int = first["area"] + second["area"] - shared
    return shared / union


def run_ends(counts: str) -> NDArray[np.int64]:
    """Where the runs of compressed counts end [R]: pixels down the columns, background first."""
    bits_C = np.frombuffer(counts.encode(), np.uint8).astype(np.int64) - _FIRST
    last_R = np.flatnonzero(bits_C < _MORE)
    first_R = np.append(0, last_R[:-1] + 1)
    place_C = np.arange(len(bits_C)) - np.repeat(first_R, last_R - first_R + 1)
    values_R = np.add.reduceat((bits_C & (_MORE - 1)) << (_BITS * place_C), first_R)
    negative_R = bits_C[last_R] & (_MORE >> 1) > 0
    values_R -= negative_R << (_BITS * (last_R - first_R + 1))
    # Each is the difference to the last but one, from the fourth on.
    values_R[1::2] = values_R[1::2].cumsum()
    values_R[2::2] = values_R[2::2].cumsum()
    return values_R.cumsum()


def _on_grid(ends_R: NDArray[np.int64], row: Mapping[str, Any]) -> NDArray[np.uint8]:
    """[G]: 1 where a point of the box lies in the mask, column by column."""
    x = row["bbox_x"] + (_CENTRES * row["bbox_w"]).astype(np.int64)
    y = row["bbox_y"] + (_CENTRES * row["bbox_h"]).astype(np.int64)
    pixel_G = x[:, None] * row["height"] + y
    inside: NDArray[np.uint8] = (np.searchsorted(ends_R, pixel_G, side="right") & 1).astype(np.uint8)
    return inside


def _parts(grid: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Points of each connected part."""
    statistics = cv2.connectedComponentsWithStats(grid, connectivity=8)[2]
    return statistics[1:, cv2.CC_STAT_AREA].astype(np.int64)


def _raggedness(ends_R: NDArray[np.int64], row: Mapping[str, Any]) -> float:
    columns: int = row["bbox_w"]
    return len(ends_R) // 2 / columns - 1
