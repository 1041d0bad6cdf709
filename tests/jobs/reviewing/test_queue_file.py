"""The queue as a file."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from jobs.reviewing.queue import QueueItem
from jobs.reviewing.queue_file import QUEUE, write_queue
from pipeline.errors import InvalidInput
from pipeline.storage.store import Store

ITEM = QueueItem(
    video_id='a "b", <script>\n',
    frame_index=31,
    object_id=2,
    first_frame=30,
    last_frame=40,
    expected_j=0.25,
    expected_gain=4.5,
    reasons=("lost at frame 31", "far from its prompt: 112 frames"),
)
URL = "memory://queues/"


def test_parquet_has_a_row_an_item_and_says_what_columns_mean() -> None:
    write_queue(f"{URL}queue.parquet", [ITEM, ITEM])
    table = pq.read_table(io.BytesIO(Store(URL).get("queue.parquet")))
    assert table.schema.equals(QUEUE, check_metadata=True)
    assert table.to_pylist()[1] == {**vars(ITEM), "reasons": list(ITEM.reasons)}
    assert all(b"description" in field.metadata for field in table.schema)


def test_csv_joins_the_reasons() -> None:
    write_queue(f"{URL}queue.csv", [ITEM])
    (row,) = csv.DictReader(io.StringIO(Store(URL).get("queue.csv").decode(), newline=""))
    assert row["video_id"] == ITEM.video_id
    assert row["reasons"] == "lost at frame 31; far from its prompt: 112 frames"
    assert {name: float(row[name]) for name in ("frame_index", "expected_gain")} == {
        "frame_index": 31,
        "expected_gain": 4.5,
    }


def test_json_says_what_it_is() -> None:
    write_queue(f"{URL}queue.json", [ITEM])
    content = json.loads(Store(URL).get("queue.json"))
    assert (content["format"], content["version"]) == ("vos-batch-queue", 1)
    assert content["items"] == [{**vars(ITEM), "reasons": list(ITEM.reasons)}]


@pytest.mark.parametrize("ending", ["parquet", "csv", "json"])
def test_an_empty_queue_is_a_file_too(ending: str) -> None:
    write_queue(f"{URL}empty.{ending}", [])
    assert Store(URL).get(f"empty.{ending}")


def test_another_ending_is_refused_before_anything_is_written() -> None:
    with pytest.raises(InvalidInput, match=r"queue\.txt: a queue is a file that ends in \.parquet, \.csv, \.json"):
        write_queue(f"{URL}queue.txt", [ITEM])
