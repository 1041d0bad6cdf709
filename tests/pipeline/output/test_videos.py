"""The files of `videos`: one row a committed video, whatever was written before."""

import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from fsspec.core import url_to_fs
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DamagedOutput
from pipeline.output.batches import put_table, write_rows
from pipeline.output.committed import read_committed
from pipeline.output.schema import VIDEOS, to_table
from pipeline.output.videos import sync_videos
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit, put_commit
from tests.properties import costly


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "out"))


def sync(store: Store) -> None:
    sync_videos(store, read_committed(store))


def videos(store: Store) -> list[tuple[str, str]]:
    """(video_id, identity) of every row, read as any other tool reads the folder."""
    filesystem, root = url_to_fs(store.url)
    if not store.list("videos"):
        return []
    table = ds.dataset(f"{root}/videos", filesystem=filesystem, format="parquet").to_table()
    assert table.schema.equals(VIDEOS)
    return sorted(zip(table["video_id"].to_pylist(), table["identity"].to_pylist(), strict=True))


def test_it_writes_one_row_a_video_in_one_file(store: Store) -> None:
    for index in range(3):
        put_commit(store, make_commit(f"clip-{index}"))
    sync(store)
    assert videos(store) == [(f"clip-{index}", "a" * 32) for index in range(3)]
    assert len(store.list("videos")) == 1


def test_it_touches_nothing_that_is_right(store: Store) -> None:
    put_commit(store, make_commit("clip-0"))
    sync(store)
    before = store.list("videos")
    put_commit(store, make_commit("clip-1"))
    sync(store)
    assert before[0] in store.list("videos") and len(store.list("videos")) == 2
    after = store.list("videos")
    sync(store)
    assert store.list("videos") == after


def test_it_replaces_files_with_stale_or_repeated_rows(store: Store) -> None:
    first = [put_commit(store, make_commit(f"clip-{index}")) for index in range(3)]
    sync(store)
    write_rows(store, "videos", "repeated", [first[1].row, first[1].row])
    write_rows(store, "videos", "gone", [make_commit("gone").row])
    put_commit(store, make_commit("clip-0", "b" * 32, attempt="2", driver=2))
    sync(store)
    assert videos(store) == [("clip-0", "b" * 32), ("clip-1", "a" * 32), ("clip-2", "a" * 32)]
    assert not {"gone.parquet", "repeated.parquet"} & {entry.name for entry in store.list("videos")}


def test_rows_of_an_earlier_version_are_written_anew(store: Store) -> None:
    """They do not tell their files, so each would cost a look into its commit."""
    commit = put_commit(store, make_commit("clip"))
    put_table(store, "videos/old.parquet", to_table("videos", [commit.row]).select(list(commit.video)))
    sync(store)
    (entry,) = store.list("videos")
    (row,) = pq.read_table(pa.BufferReader(store.get(f"videos/{entry.name}"))).to_pylist()
    assert row["masks_file"] == commit.files["masks"].path


def test_it_names_an_unreadable_file(store: Store) -> None:
    store.put("videos/x.parquet", b"no parquet")
    with pytest.raises(DamagedOutput, match=r"videos/x\.parquet.*delete this file"):
        sync(store)


@costly
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.booleans()), max_size=8))
def test_it_ends_at_what_is_committed(steps: list[tuple[int, str, bool]]) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    for number, (video, letter, synced) in enumerate(steps, start=1):
        put_commit(store, make_commit(f"clip-{video}", letter * 32, attempt=str(number), driver=number))
        if synced:
            sync(store)
    sync(store)
    newest = {f"clip-{video}": letter * 32 for video, letter, _ in steps}
    assert videos(store) == sorted(newest.items())
