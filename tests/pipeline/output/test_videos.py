import uuid
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from fsspec.core import url_to_fs
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidOutput
from pipeline.output.commits import CommitLog
from pipeline.output.schema import VIDEOS
from pipeline.output.videos import sync_videos, write_rows
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "out"))


def videos(store: Store) -> list[tuple[str, str]]:
    """(video_id, identity) of every row, read as any other tool reads the folder."""
    filesystem, root = url_to_fs(store.url)
    if not store.list("videos"):
        return []
    table = ds.dataset(f"{root}/videos", filesystem=filesystem, format="parquet").to_table()
    assert table.schema.equals(VIDEOS)
    return sorted(zip(table["video_id"].to_pylist(), table["identity"].to_pylist(), strict=True))


def test_sync_videos_writes_one_row_a_video_in_one_file(store: Store) -> None:
    log = CommitLog(store)
    for index in range(3):
        log.commit(make_commit(f"clip-{index}"))
    sync_videos(store)
    assert videos(store) == [(f"clip-{index}", "a" * 32) for index in range(3)]
    assert len(store.list("videos")) == 1


def test_sync_videos_touches_nothing_that_is_right(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CommitLog(store)
    log.commit(make_commit("clip-0"))
    sync_videos(store)
    before = store.list("videos")
    log.commit(make_commit("clip-1"))
    sync_videos(store)
    assert before[0] in store.list("videos") and len(store.list("videos")) == 2
    after = store.list("videos")
    monkeypatch.setattr(CommitLog, "read", None)
    sync_videos(store)
    assert store.list("videos") == after


def test_sync_videos_drops_stale_and_repeated_rows(store: Store) -> None:
    log = CommitLog(store)
    first = [make_commit(f"clip-{index}") for index in range(3)]
    for commit in first:
        log.commit(commit)
    sync_videos(store)
    write_rows(store, "videos", "repeated", [first[1].video, first[1].video])
    write_rows(store, "videos", "gone", [make_commit("gone").video])
    log.commit(make_commit("clip-0", "b" * 32, attempt="2", minute=1))
    sync_videos(store)
    assert videos(store) == [("clip-0", "b" * 32), ("clip-1", "a" * 32), ("clip-2", "a" * 32)]
    assert "gone.parquet" not in [entry.name for entry in store.list("videos")]


def test_sync_videos_names_an_unreadable_file(store: Store) -> None:
    store.put("videos/x.parquet", b"no parquet")
    with pytest.raises(InvalidOutput, match=r"videos/x\.parquet.*delete this file"):
        sync_videos(store)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.booleans()), max_size=8))
def test_sync_videos_ends_at_the_commits(steps: list[tuple[int, str, bool]]) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    log = CommitLog(store)
    for minute, (video, letter, sync) in enumerate(steps):
        log.commit(make_commit(f"clip-{video}", letter * 32, attempt=str(minute), minute=minute))
        if sync:
            sync_videos(store)
    sync_videos(store)
    assert videos(store) == sorted((c.video_id, c.identity) for c in log.read_all())
