"""A model of expected J: read, written, and what it may say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.reviewing.fitting import SIGNS
from jobs.reviewing.quality import load_model, model_names
from jobs.reviewing.statistics import STATISTICS
from pipeline.errors import InvalidInput
from tests.jobs.reviewing.made import samples

BOXED = load_model()


def changed(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), table.schema.field(name), pa.array(values))


def test_the_model_in_the_box() -> None:
    assert "default" in model_names()
    assert set(BOXED.features) <= STATISTICS.keys()
    assert BOXED.card["videos"] >= 25


@given(st.integers(0, 1000))
def test_expected_j_lies_between_0_and_1_whatever_the_statistics(seed: int) -> None:
    table = samples("v", seed)
    for name, value in zip(STATISTICS, (np.nan, np.inf, -np.inf, 1e30, -1e30), strict=False):
        table = changed(table, name, np.full(len(table), value, np.float32))
    expected = BOXED.expected_j(table)
    assert expected.dtype == np.float32
    assert ((expected >= 0) & (expected <= 1)).all()


@given(st.integers(0, 1000), st.sampled_from([name for name, sign in SIGNS.items() if sign and name in BOXED.features]))
def test_it_never_goes_against_what_is_sure(seed: int, name: str) -> None:
    table = samples("v", seed)
    rng = np.random.default_rng(seed)
    more = table[name].to_numpy() + rng.random(len(table)).astype(np.float32)
    rises = SIGNS[name] * (BOXED.expected_j(changed(table, name, more)) - BOXED.expected_j(table))
    assert (rises >= -1e-5).all()


def test_nobody_is_asked_about_a_prompt() -> None:
    table = samples("v", 0)
    prompted = np.arange(len(table)) % 2 == 0
    expected = BOXED.expected_j(changed(table, "prompted", prompted))
    assert (expected[prompted] == 1).all()
    assert (expected[~prompted] < 1).any()


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    BOXED.save(str(tmp_path / "m.json"))
    again = load_model(str(tmp_path / "m.json"))
    table = samples("v", 3)
    assert again.fingerprint == BOXED.fingerprint
    assert again.card == BOXED.card
    assert (again.expected_j(table) == BOXED.expected_j(table)).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": "other"}, "fit it again"),
        ({"version": 99}, "fit it again"),
        ({"base": 0.123}, "does not match|do not match"),
        ({"features": ["nonsense"]}, "nonsense"),
        ({"worth": [2.0] * len(BOXED.worth)}, "damaged"),
        ({"sums": []}, "damaged"),
        ({"trees": [{}]}, "damaged"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = tmp_path / "m.json"
    BOXED.save(str(path))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InvalidInput, match=reason):
        load_model(str(path))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '"x"', "\udcff"])
def test_garbage_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InvalidInput, match="no model"):
        load_model(str(path))


def test_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="in the box is default"):
        load_model(str(tmp_path / "absent.json"))
