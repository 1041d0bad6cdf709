"""Expected against measured J."""

import numpy as np
import pytest

from jobs.reviewing.reliability import calibration_error, reliability


def test_bins_hold_what_fell_into_them() -> None:
    expected, J = np.array([0.05, 0.31, 0.39, 0.3, 1.0]), np.array([0.0, 0.4, 0.5, 0.3, 0.8])
    bins = reliability(expected, J, np.array([0, 1, 1, 2, 2]))
    assert [(one.low, one.high, one.number, one.videos) for one in bins] == [
        (0, 0.1, 1, 1),
        (0.3, 0.4, 3, 2),
        (0.9, 1, 1, 1),
    ]
    assert [one.measured for one in bins] == pytest.approx([0, 0.4, 0.8])
    assert [one.expected for one in bins] == pytest.approx([0.05, 1 / 3, 1])
    assert calibration_error(bins) == pytest.approx((0.05 + 3 * (0.4 - 1 / 3) + 0.2) / 5)
