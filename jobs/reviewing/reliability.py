"""Whether expected J is the J that is found: both in bins of what was expected."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The object-frames of which about the same was expected."""

    low: float
    high: float
    number: int
    videos: int
    expected: float
    """Mean."""
    measured: float
    """Mean J."""


def reliability(expected_N: NDArray[np.floating], J_N: NDArray[np.floating], video_N: NDArray[np.integer]) -> list[Bin]:
    """Ten bins of equal width; those that nobody fell into are left out."""
    bin_N = np.minimum((expected_N * BINS).astype(np.int64), BINS - 1)
    return [
        Bin(
            low=number / BINS,
            high=(number + 1) / BINS,
            number=int(inside.sum()),
            videos=len(np.unique(video_N[inside])),
            expected=float(expected_N[inside].mean()),
            measured=float(J_N[inside].mean()),
        )
        for number in range(BINS)
        if (inside := bin_N == number).any()
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Mean distance of expected from measured J, each object-frame counting the same."""
    number = sum(one.number for one in bins)
    return sum(one.number * abs(one.expected - one.measured) for one in bins) / number
