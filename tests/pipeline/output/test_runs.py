"""Records of runs: written once, read back by status, without secrets."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipeline.errors import InvalidOutput
from pipeline.output.layout import run_path
from pipeline.output.runs import RunRecord, read_run, run_ids, write_run
from pipeline.storage.store import Store

RECORD = RunRecord(
    run_id="20260102T030405-0123abcd",
    started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    code_version="0.1.0",
    python="3.11.7",
    versions={"torch": "2.13.0"},
    config={"output": "memory://out", "segmenter": {"max_side": 864}},
    exclusive=True,
    videos=7,
)


@pytest.fixture
def store(tmp_path) -> Store:  # type: ignore[no-untyped-def]
    return Store(str(tmp_path))


def test_a_record_is_read_back(store: Store) -> None:
    write_run(store, RECORD)
    assert read_run(store, RECORD.run_id) == RECORD


def test_a_field_of_a_later_version_does_not_matter(store: Store) -> None:
    write_run(store, RECORD)
    path = run_path(RECORD.run_id)
    store.put(path, json.dumps({**json.loads(store.get(path)), "colour": "blue"}).encode())
    assert read_run(store, RECORD.run_id) == RECORD


def test_runs_are_listed_oldest_first(store: Store) -> None:
    later = "20260203T000000-00000000"
    for run_id in (later, RECORD.run_id):
        write_run(store, replace(RECORD, run_id=run_id))
    assert run_ids(store) == (RECORD.run_id, later)


def test_secrets_stay_out(store: Store) -> None:
    write_run(store, replace(RECORD, config={"checkpoint": "https://host/w?X-Amz-Signature=abc123"}))
    assert b"abc123" not in store.get(run_path(RECORD.run_id))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"run_id": 1}'])
def test_a_file_that_is_none_is_named(store: Store, content: bytes) -> None:
    store.put(run_path("x"), content)
    with pytest.raises(InvalidOutput, match=r"_runs/x\.json is no record of a run"):
        read_run(store, "x")
