"""The queue as a file: Parquet, CSV or JSON, by how its name ends."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from jobs.reviewing.queue import QueueItem
from pipeline.errors import InvalidInput
from pipeline.output.schema import column
from pipeline.storage.store import Store
from pipeline.storage.urls import name_of, parent_url

FORMAT, VERSION = "vos-batch-queue", 1
"""What a JSON file says that it is."""
_JOIN = "; "

QUEUE = pa.schema(
    [
        column("video_id", pa.string(), "the manifest's video_id"),
        column("frame_index", pa.int64(), "the frame to look at", unit="frames"),
        column("object_id", pa.int32(), "the object to look at"),
        column("first_frame", pa.int64(), "first frame of the event that it stands for", unit="frames"),
        column("last_frame", pa.int64(), "last frame of the event", unit="frames"),
        column("expected_j", pa.float64(), "expected J of the mask that is there", unit="0..1"),
        column(
            "expected_gain",
            pa.float64(),
            "what a correction here is expected to mend, when those above it are made",
            unit="J, summed over object-frames",
        ),
        column("reasons", pa.list_(pa.field("element", pa.string(), nullable=False)), "why, in words; joined in CSV"),
    ],
    metadata={"table": "queue"},
)
"""One row an item, worst first."""


def check_queue_file(url: str) -> None:
    """Raise InvalidInput, naming the formats, unless `url` ends as a queue does; nothing is written."""
    if PurePosixPath(name_of(url)).suffix not in _FORMATS:
        raise InvalidInput(f"--to: {url}: a queue is a file that ends in {', '.join(_FORMATS)}")


def write_queue(url: str, items: Sequence[QueueItem]) -> None:
    """Write the items to a path or URL. Raises InvalidInput for another ending, InvalidOutput, StoreUnavailable."""
    check_queue_file(url)
    data = _FORMATS[PurePosixPath(name_of(url)).suffix]([asdict(item) for item in items])
    Store(parent_url(url)).put(name_of(url), data)


_Rows = Sequence[Mapping[str, Any]]


def _table(rows: _Rows, schema: pa.Schema = QUEUE) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def _parquet(rows: _Rows) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(_table([{**row, "reasons": list(row["reasons"])} for row in rows]), buffer, compression="zstd")
    return buffer.getvalue()


def _csv(rows: _Rows) -> bytes:
    schema = pa.schema([field if field.name != "reasons" else pa.field("reasons", pa.string()) for field in QUEUE])
    buffer = io.BytesIO()
    pc.write_csv(_table([{**row, "reasons": _JOIN.join(row["reasons"])} for row in rows], schema), buffer)
    return buffer.getvalue()


def _json(rows: _Rows) -> bytes:
    return (json.dumps({"format": FORMAT, "version": VERSION, "items": rows}, indent=1) + "\n").encode()


_FORMATS: Mapping[str, Callable[[_Rows], bytes]] = {".parquet": _parquet, ".csv": _csv, ".json": _json}
