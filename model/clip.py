"""A video with exact masks: what generated video gives and training takes.

Legend: T frames, H, W frame size, K objects.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A video and the exact place of every object in it."""

    frames: NDArray[np.uint8]
    """[T, H, W, 3] RGB."""
    labels: NDArray[np.uint8]
    """[T, H, W]: 0 background, 1..K the object that is seen there."""
