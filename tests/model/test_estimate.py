import math

import pytest

from model.estimate import estimate, paired_difference


def test_the_standard_error_is_that_of_the_mean() -> None:
    found = estimate([0.2, 0.4, 0.6])
    assert (found.mean, found.number) == (pytest.approx(0.4), 3)
    assert found.standard_error == pytest.approx(0.2 / math.sqrt(3))


def test_one_value_has_no_standard_error_and_is_never_sure() -> None:
    found = estimate([0.5])
    assert found.standard_error is None and not found.is_sure


def test_what_both_have_in_common_cancels_out() -> None:
    before, after = [0.1, 0.5, 0.9], [0.2, 0.6, 1.01]
    difference = paired_difference(before, after)
    assert difference.mean == pytest.approx(0.31 / 3) and difference.is_sure
    assert not estimate(before).is_sure or estimate(before).standard_error > difference.standard_error  # type: ignore


def test_a_difference_of_two_standard_errors_is_none() -> None:
    assert not paired_difference([0, 0, 0, 0], [0.1, -0.1, 0.2, 0.0]).is_sure
    assert paired_difference([0.5] * 4, [0.1, 0.15, 0.1, 0.12]).is_sure


def test_pairs_must_fit() -> None:
    with pytest.raises(ValueError):
        paired_difference([0.1], [0.1, 0.2])


def test_it_reads_as_a_mean_with_its_error() -> None:
    assert str(estimate([0.2, 0.4])) == "0.300 (standard error 0.100, 2 values)"
    assert str(estimate([0.2])) == "0.200 (standard error unknown, 1 values)"
