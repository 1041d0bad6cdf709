"""Orders of review, against counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.reviewing.curves import Review, risk

PAIRS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from([0.0, 0.2, 0.49, 0.5, 0.9, 1.0])), min_size=1, max_size=40
)


def review(pairs: list[tuple[int, float]]) -> Review:
    order, J = np.array(pairs, np.float64).T
    return Review(order_N=order, J_N=J)


@given(PAIRS)
def test_auroc_counts_pairs(pairs: list[tuple[int, float]]) -> None:
    bad = [order for order, J in pairs if J < 0.5]
    good = [order for order, J in pairs if J >= 0.5]
    found = review(pairs).auroc
    if not (bad and good):
        assert np.isnan(found)
    else:
        before = sum((b < g) + (b == g) / 2 for b in bad for g in good)
        assert found == pytest.approx(before / len(bad) / len(good))


@given(st.permutations(range(20)), st.lists(st.booleans(), min_size=20, max_size=20))
def test_found_counts_the_first(order: list[int], bad: list[bool]) -> None:
    one = review([(place, 0.0 if is_bad else 1.0) for place, is_bad in zip(order, bad, strict=True)])
    first = [is_bad for _, is_bad in sorted(zip(order, bad, strict=True))]
    for number in range(21):
        wanted = sum(first[:number]) / sum(bad) if any(bad) else float("nan")
        assert one.found(number / 20) == pytest.approx(wanted, nan_ok=True)
        assert one.oracle(number / 20) == pytest.approx(min(1, number / sum(bad)) if any(bad) else wanted, nan_ok=True)


@given(PAIRS)
def test_who_knows_the_truth_gains_all_and_who_knows_nothing_nothing(pairs: list[tuple[int, float]]) -> None:
    J = [J for _, J in pairs]
    bad = sum(value < 0.5 for value in J)
    if 0 < bad < len(J):
        truth = Review(order_N=np.array(J), J_N=np.array(J))
        blind = Review(order_N=np.zeros(len(J)), J_N=np.array(J))
        for share in (0.05, 0.1, 0.5):
            assert truth.gain(share) == pytest.approx(1)
            assert blind.gain(share) == pytest.approx(0, abs=1e-9)
        assert blind.auroc == pytest.approx(0.5)


@pytest.mark.parametrize("J", [[1.0, 1.0], [0.0, 0.0]])
def test_without_both_kinds_there_is_nothing_to_gain(J: list[float]) -> None:
    assert np.isnan(Review(order_N=np.array([0.0, 1.0]), J_N=np.array(J)).gain(0.1))


def test_risk_is_the_mean_error_of_what_is_kept() -> None:
    J = np.array([1.0, 0.5, 0.0])
    assert risk(J, J) == pytest.approx((0 + 0.25 + 0.5) / 3)
    assert risk(-J, J) == pytest.approx((1 + 0.75 + 0.5) / 3)
    assert risk(np.zeros(3), J) == pytest.approx(0.5)


@given(PAIRS)
def test_no_order_is_better_than_the_truth(pairs: list[tuple[int, float]]) -> None:
    one = review(pairs)
    assert one.oracle_aurc <= one.aurc + 1e-9
