"""Label maps of a byte a pixel: what datasets that we write hold, and what training learns from."""

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
