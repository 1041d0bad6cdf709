"""Label maps of a byte a pixel: what datasets that we write hold, and what training learns from."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model.result import VOID, Labels
from pipeline.errors import InvalidInput

LabelMap = NDArray[np.uint8]
"""[H, W]: 0 background, 1..n objects, 255 void."""


def as_label_map(labels: Labels, name: str) -> LabelMap:
    """Labels [H, W] as bytes; `name` starts the message. Raises InvalidInput where an id is larger than 254."""
    if (largest := int(labels.max(initial=0))) > VOID:
        raise InvalidInput(f"{name}: holds the id {largest}; number its objects from 1 to {VOID - 1}")
    return labels.astype(np.uint8)


def renumbered(labels: Labels, numbers: Mapping[int, int]) -> LabelMap:
    """Labels [H, W] of any ids with objects by their number, 1 to 254; void where they have none."""
    ids, inverse = np.unique(labels, return_inverse=True)
    table = np.array([0 if i == 0 else numbers.get(int(i), VOID) for i in ids], np.uint8)
    return table[inverse].reshape(labels.shape)
