"""Masks as row-major run lengths, which tools for annotators have instead of COCO's column-major ones."""

import numpy as np
from numpy.typing import NDArray


def row_runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Lengths of the runs of a mask [H, W] row by row: background first, so its length may be 0, and in turns."""
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(changes, prepend=0, append=len(flat))
    return np.insert(lengths, 0, 0) if flat[0] else lengths
