"""Rows reach the store in files of many, and none waits for long."""

import uuid

import pytest

from pipeline.output.batches import RowBatches
from pipeline.output.marker import claim_output
from pipeline.output.tables import open as open_table
from pipeline.storage.store import Store

FAILURE = {
    "run_id": "run",
    "video_id": "clip",
    "row": 1,
    "attempt": 1,
    "cause": "X",
    "message": "no",
    "retryable": True,
    "trace": None,
    "frame_index": None,
    "worker": None,
    "host": None,
    "failed_at": "2026-01-02T03:04:05+00:00",
}


@pytest.fixture
def store() -> Store:
    store = Store(f"memory://{uuid.uuid4().hex}")
    claim_output(store)
    return store


def rows(store: Store) -> list[int]:
    return sorted(open_table(store.url, "failures").to_table()["row"].to_pylist())


def test_many_rows_are_written_together(store: Store) -> None:
    batches = RowBatches(store, "failures", "run", most_rows=3, clock=lambda: 0.0)
    for row in range(1, 8):
        batches.add({**FAILURE, "row": row})
        batches.write_due()
    assert rows(store) == [1, 2, 3, 4, 5, 6]
    batches.write()
    batches.write()
    assert rows(store) == [1, 2, 3, 4, 5, 6, 7]
    assert len(store.list("failures")) == 3


def test_a_row_does_not_wait_for_long(store: Store) -> None:
    now_s = 100.0
    batches = RowBatches(store, "failures", "run", longest_s=60.0, clock=lambda: now_s)
    batches.write_due()
    batches.add(FAILURE)
    now_s = 159.0
    batches.write_due()
    assert rows(store) == []
    now_s = 160.0
    batches.write_due()
    assert rows(store) == [1]


def test_rows_of_another_table_are_refused(store: Store) -> None:
    batches = RowBatches(store, "videos", "run")
    batches.add(FAILURE)
    with pytest.raises(ValueError, match="videos"):
        batches.write()
