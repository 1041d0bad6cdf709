"""Trees as arrays."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.reviewing.trees import tree_of

STUMP: dict[str, Any] = {
    "feature": [0, -1, 1, -1, -1],
    "threshold": [0.5, 0, 2.0, 0, 0],
    "left": [1, -1, 3, -1, -1],
    "right": [2, -1, 4, -1, -1],
    "value": [0, 1, 0, 2, 3],
}


@given(st.lists(st.tuples(st.floats(-1, 2, width=32), st.floats(0, 4, width=32)), max_size=20))
def test_a_row_goes_the_way_of_its_values(rows: list[tuple[float, float]]) -> None:
    found = tree_of(STUMP, 2).predict(np.array(rows, np.float32).reshape(-1, 2))
    assert found.tolist() == [1 if a <= 0.5 else 2 if b <= 2 else 3 for a, b in rows]


def test_what_it_gives_is_read_back() -> None:
    assert tree_of(tree_of(STUMP, 2).content(), 2).content() == STUMP


@pytest.mark.parametrize(
    "change",
    [
        {"left": [0, -1, 3, -1, -1]},  # in a circle
        {"right": [9, -1, 4, -1, -1]},
        {"feature": [2, -1, 1, -1, -1]},
        {"feature": [-2, -1, 1, -1, -1]},
        {"value": [0, 1, 0, 2]},
        {name: [] for name in STUMP},
    ],
)
def test_what_is_no_tree_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        tree_of(STUMP | change, 2)
