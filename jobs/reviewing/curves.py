"""How many of the bad masks who reviews in some order finds, and after how many.

Legend: N object-frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BAD = 0.5
"""A mask of less J than this is a bad one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Review:
    """An order to review in, against what a random one and the best finds.

    Of object-frames whose order is equal each is as likely to come first: the numbers are means over that.
    """

    order_N: Floats
    """By what they are looked at, the lowest first."""
    J_N: Floats
    bad: float = BAD

    @property
    def is_bad(self) -> NDArray[np.bool_]:
        """Which are bad [N]."""
        bad: NDArray[np.bool_] = self.J_N < self.bad  # noqa: SIM300
        return bad

    def found(self, share: float) -> float:
        """Share of the bad ones among so large a share reviewed; NaN without a bad one."""
        return float(np.interp(share, *self.curve()))

    def oracle(self, share: float) -> float:
        """The same of who knows the truth."""
        return float(np.interp(share, *self.oracle_curve()))

    def gain(self, share: float) -> float:
        """(found - random) / (oracle - random): 1 as good as knowing the truth, 0 as good as chance.

        NaN where knowing the truth gains nothing: without a bad one, or where all are.
        """
        oracle = self.oracle(share)
        return (self.found(share) - share) / (oracle - share) if oracle > share else float("nan")

    def curve(self) -> tuple[Floats, Floats]:
        """Shares reviewed and shares of the bad ones found, from (0, 0) to (1, 1); found is NaN without a bad one."""
        _, place, counts = np.unique(self.order_N, return_inverse=True, return_counts=True)
        bad: Floats = np.bincount(place, self.is_bad, len(counts)).astype(np.float64)
        found = _from_zero(bad) / bad.sum() if bad.any() else np.full(len(bad) + 1, np.nan)
        return _from_zero(counts / len(self.order_N)), found

    def oracle_curve(self) -> tuple[Floats, Floats]:
        """The same of who looks at the bad ones first."""
        share = self.is_bad.mean()
        return np.array([0, share, 1.0]), np.array([0, 1.0, 1.0]) if share else np.full(3, np.nan)

    @property
    def auroc(self) -> float:
        """How likely a bad one comes before a good one, ties half; NaN where there is only one kind."""
        reviewed, found = self.curve()
        share = self.is_bad.mean()
        if not 0 < share < 1:
            return float("nan")
        good = (np.diff(reviewed) - np.diff(found) * share) / (1 - share)
        return float((good * (found[1:] + found[:-1]) / 2).sum())

    @property
    def aurc(self) -> float:
        """Mean error (1 - J) of what is kept, over all shares that may be kept, the most trusted first."""
        return risk(self.order_N, self.J_N)

    @property
    def oracle_aurc(self) -> float:
        """The least that it can be."""
        return risk(self.J_N, self.J_N)


def risk(order_N: Floats, J_N: Floats) -> float:
    """Area under the curve of risk against coverage; equal ones count as their mean."""
    _, place, counts = np.unique(order_N, return_inverse=True, return_counts=True)
    mean = np.bincount(place, 1 - J_N) / counts
    errors = mean[place][np.argsort(-order_N, kind="stable")]
    return float((errors.cumsum() / np.arange(1, len(errors) + 1)).mean())


def _from_zero(steps: Floats) -> Floats:
    return np.append(0.0, steps.cumsum())
