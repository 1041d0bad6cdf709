import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.reports.curves import json_numbers, read_curves, thinning

VALUES = st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=300)


@given(VALUES, st.integers(1, 50))
def test_thinning_keeps_the_extremes_in_few_points(values: list[float], most: int) -> None:
    given_T = np.array(values)
    thin = thinning(len(values), most)
    highest, lowest = thin.most(given_T), thin.least(given_T)
    assert len(highest) == len(lowest) == len(thin.starts_P) <= most
    if np.isfinite(given_T).any():
        assert np.nanmax(highest) == np.nanmax(given_T)
        assert np.nanmin(lowest) == np.nanmin(given_T)
        # It also lies in the point of its frame.
        assert highest[int(np.nanargmax(given_T)) // thin.every] == np.nanmax(given_T)
    assert thin.last(given_T)[-1] == given_T[-1] or np.isnan(given_T[-1])


def test_few_frames_stay_as_they_are() -> None:
    thin = thinning(2000)
    assert thin.every == 1
    values_T = np.arange(2000.0)
    np.testing.assert_array_equal(thin.most(values_T), values_T)


@pytest.mark.parametrize("frames", [2001, 4000, 1_000_000])
def test_there_are_never_more_points_than_promised(frames: int) -> None:
    thin = thinning(frames)
    assert 1000 <= len(thin.starts_P) <= 2000


def test_what_is_not_known_is_null() -> None:
    assert json_numbers(np.array([0.12345, np.nan, 2]), 2) == [0.12, None, 2.0]
    assert json_numbers(np.array([12.0, np.nan]), 0) == [12, None]


def test_objects_join_and_miss_frames() -> None:
    frames = pa.table(
        {
            "frame_index": [5, 6, 7],
            "bank_size": [1, 2, 3],
            "merged": [0, 0, 1],
            "appended": [1, 1, 1],
            "evicted": [0] * 3,
        }
    )
    masks = pa.table(
        {
            "frame_index": [5, 6, 7, 7],
            "object_id": [1, 1, 1, 9],
            "area": [10, 20, 30, 40],
            "uncertainty": pa.array([None, 0.2, 0.1, 0.7]),
            "score": pa.array([None, 0.9, 0.8, 0.7]),
        }
    )
    expected = pa.table({"frame_index": [6, 7], "object_id": [1, 9], "expected_j": [0.5, 0.25]})
    curves = read_curves(frames, masks, expected, [1, 9])
    one, nine = curves.objects
    np.testing.assert_array_equal(one.area_T, [10, 20, 30])
    np.testing.assert_array_equal(nine.area_T, [np.nan, np.nan, 40])
    np.testing.assert_array_equal(curves.worst_uncertainty(), [np.nan, 0.2, 0.7])
    np.testing.assert_array_equal(curves.worst_expected_j(), [np.nan, 0.5, 0.25])
    np.testing.assert_array_equal(curves.columns["bank_size"], [1, 2, 3])
