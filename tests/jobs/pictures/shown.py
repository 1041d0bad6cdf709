"""Plain pictures, and what a person would see in those that are made of them."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.input.frames import Rgb

GREY = 100


def grey(height: int = 40, width: int = 60, value: int = GREY) -> Rgb:
    return np.full((height, width, 3), value, np.uint8)


def read_video(path: Path) -> list[Rgb]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def distance(colour: NDArray[np.float64] | Sequence[float], other: Sequence[float]) -> float:
    return float(np.linalg.norm(np.asarray(colour, np.float64) - np.asarray(other)))
