"""A mean over a few videos and how far it can be trusted: a difference below two standard errors is none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

_STANDARD_ERRORS = 2.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over independent values."""

    mean: float
    standard_error: float | None
    """Of the mean; None for a single value, which says nothing of how far others lie."""
    number: int
    """Of the values."""

    @property
    def is_sure(self) -> bool:
        """Whether the mean is further from 0 than two standard errors."""
        return self.standard_error is not None and abs(self.mean) > _STANDARD_ERRORS * self.standard_error

    def __str__(self) -> str:
        error = "unknown" if self.standard_error is None else f"{self.standard_error:.3f}"
        return f"{self.mean:.3f} (standard error {error}, {self.number} values)"


def estimate(values: Sequence[float]) -> Estimate:
    """Of at least one value."""
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Estimate(mean=fmean(values), standard_error=error, number=len(values))


def paired_difference(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """Of `after` minus `before`, value by value: what both have in common, as an easy video, cancels out."""
    return estimate([new - old for old, new in zip(before, after, strict=True)])
