"""An output of real tables without a run, and damage of every kind planted into it."""

import json
import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.result import BankStatistics, FrameResult, ObjectStatistics
from pipeline.input.frames import Frame
from pipeline.output.batches import put_table, write_rows
from pipeline.output.commits import Commit, FileRecord, create_commit
from pipeline.output.committed import read_committed
from pipeline.output.findings import Kind
from pipeline.output.layout import attempt_name, rows_path
from pipeline.output.marker import claim_output
from pipeline.output.videos import sync_videos
from pipeline.output.writer import VideoWriter
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit

RUN = "20260102T030405-0123abcd"


@lru_cache
def tables_of(video_id: str, width: int) -> dict[str, tuple[bytes, FileRecord]]:
    """The files of a video of one frame, `width` pixels wide, and their records."""
    scratch = Store(f"memory://{uuid.uuid4().hex}")
    labels = np.zeros((4, width), np.int32)
    labels[:2] = 1
    frame = Frame(index=0, name=None, timestamp_us=0, rgb=np.zeros((4, width, 3), np.uint8), damaged=False)
    thing = ObjectStatistics(object_id=1, score=None, uncertainty=None)
    result = FrameResult(labels=labels, objects=(thing,), statistics=None, bank=BankStatistics(), prompted=True)
    with VideoWriter(scratch, video_id, "1") as writer:
        writer.add(frame, result)
        files = writer.finish()
    return {table: (scratch.get(record.path), record) for table, record in files.items()}


def put_video(store: Store, video_id: str, *, identity: str = "a" * 32, driver: int = 1) -> Commit:
    """A committed video with real files, another one for every driver."""
    attempt = attempt_name(RUN, driver)
    files = {}
    for table, (data, record) in tables_of(video_id, 8 * driver).items():
        path = rows_path(table, video_id, attempt)
        store.put(path, data)
        files[table] = replace(record, path=path)
    commit = replace(make_commit(video_id, identity, driver=driver), files=files)
    assert create_commit(store, commit)
    return commit


def put_output(store: Store, videos: int) -> list[Commit]:
    """A healthy output, as a run leaves it."""
    claim_output(store)
    commits = [put_video(store, f"clip {index}") for index in range(videos)]
    sync_videos(store, read_committed(store))
    return commits


def grow_old(store: Store) -> None:
    """Make all files of a local output an hour older."""
    for path in Path(store.url.removeprefix("file://")).rglob("*.*"):
        times = path.stat()
        os.utime(path, (times.st_atime - 3600, times.st_mtime - 3600))


def _path(commit: Commit) -> str:
    return commit.files["masks"].path


def _remove(store: Store, commit: Commit) -> str:
    store.delete(_path(commit))
    return _path(commit)


def _cut(store: Store, commit: Commit) -> str:
    store.put(_path(commit), store.get(_path(commit))[:-1])
    return _path(commit)


def _flip(store: Store, commit: Commit) -> str:
    data = bytearray(store.get(_path(commit)))
    data[len(data) // 2] ^= 1
    store.put(_path(commit), bytes(data))
    return _path(commit)


def _swap_rows(store: Store, commit: Commit) -> str:
    """The commit says that the file holds more rows than it does."""
    content = json.loads(store.get(commit.path))
    content["files"]["masks"]["rows"] += 1
    store.put(commit.path, json.dumps(content).encode())
    return _path(commit)


def _break_commit(store: Store, commit: Commit) -> str:
    store.put(commit.path, store.get(commit.path)[:-9])
    return commit.path


def _leave_attempt(store: Store, commit: Commit) -> str:
    path = rows_path("frames", commit.video_id, attempt_name(RUN, 99))
    store.put(path, b"of an attempt that died")
    return path


def _rows(store: Store) -> tuple[str, pa.Table]:
    """The file of `videos` that the output began with."""
    path = min(f"videos/{entry.name}" for entry in store.list("videos"))
    return path, pq.read_table(pa.BufferReader(store.get(path)))


def _forget_row(store: Store, commit: Commit) -> str:
    path, table = _rows(store)
    put_table(store, path, table.filter(pa.compute.not_equal(table["video_id"], commit.video_id)))
    return commit.path


def _change_row(store: Store, commit: Commit) -> str:
    path, table = _rows(store)
    rows = [{**row, "host": "another"} if row["video_id"] == commit.video_id else row for row in table.to_pylist()]
    put_table(store, path, pa.Table.from_pylist(rows, schema=table.schema))
    return path


def _invent_row(store: Store, commit: Commit) -> str:
    row = make_commit(f"never {commit.video_id}").row
    path = f"videos/z{uuid.uuid4().hex}.parquet"
    write_rows(store, "videos", path.removeprefix("videos/").removesuffix(".parquet"), [row])
    return path


DAMAGE: dict[Kind, Callable[[Store, Commit], str]] = {
    Kind.MISSING: _remove,
    Kind.SHORT: _cut,
    Kind.ALTERED: _flip,
    Kind.WRONG_ROWS: _swap_rows,
    Kind.UNREADABLE_COMMIT: _break_commit,
    Kind.ORPHANED: _leave_attempt,
    Kind.WITHOUT_ROW: _forget_row,
    Kind.WRONG_ROW: _change_row,
    Kind.STRAY_ROW: _invent_row,
}
"""By kind what plants it for a video; it returns the path that must be named."""
