"""Masks as polygons along the edges of their pixels, which COCO's library fills to the very same masks.

Legend: H, W size of a mask; C corners, those where two parts touch counted twice.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def polygons(mask: NDArray[np.bool_]) -> list[list[int]] | None:
    """`x0, y0, x1, y1, ...` of each part of a mask [H, W]; None where it has a hole, for which polygons have no way.

    Pixels belong to one part that share an edge.
    """
    y_C, x_C, turn_C = _corners(mask)
    corners_C2 = np.stack([x_C, y_C], axis=1)
    found = []
    for ring in _rings(y_C, x_C, turn_C):
        left, top = corners_C2[ring[0]]  # corners are in the order of rows: it is the uppermost, and of these leftmost
        if not mask[top, left]:
            return None  # behind it is no pixel of the mask: the ring runs around a hole
        found.append(corners_C2[ring].ravel().tolist())
    return found


def _corners(mask: NDArray[np.bool_]) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Row, column, and whether a crossing has its upper left pixel inside; row by row."""
    padded = np.pad(mask, 1).astype(np.int8)
    upper_left, upper_right, lower_left, lower_right = (
        padded[:-1, :-1],
        padded[:-1, 1:],
        padded[1:, :-1],
        padded[1:, 1:],
    )
    is_corner = (upper_left + upper_right + lower_left + lower_right) % 2 == 1
    is_crossing = (upper_left == lower_right) & (upper_right == lower_left) & (upper_left != upper_right)
    y_C, x_C = np.nonzero(is_corner | is_crossing)
    times = 1 + is_crossing[y_C, x_C]
    y_C, x_C = np.repeat(y_C, times), np.repeat(x_C, times)
    return y_C, x_C, upper_left[y_C, x_C] > 0


def _rings(y_C: Ints, x_C: Ints, turn_C: NDArray[np.bool_]) -> Iterator[list[int]]:
    """Closed ways over the corners: in a row every second gap between corners is an edge, and so in a column."""
    count = len(y_C)
    order = np.arange(count)
    second = np.zeros(count, bool)
    second[1:] = (y_C[1:] == y_C[:-1]) & (x_C[1:] == x_C[:-1])
    crossing = second.copy()
    crossing[:-1] |= second[1:]
    # At a crossing the left edge goes on with the upper one where the pixel between them is inside, else the lower.
    late = np.where(crossing & ~turn_C, ~second, second)
    across, along = order ^ 1, np.empty(count, np.int64)
    column = np.lexsort((late, y_C, x_C))
    along[column] = column[order ^ 1]
    to_beside, to_next, left = across.tolist(), along.tolist(), [True] * count
    for start in range(count):
        if left[start]:
            ring, corner = [], start
            while left[corner]:
                beside = to_beside[corner]
                left[corner] = left[beside] = False
                ring += [corner, beside]
                corner = to_next[beside]
            yield ring
