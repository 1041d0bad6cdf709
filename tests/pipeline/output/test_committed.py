"""What counts: of every video the newest commit whose files are there."""

import uuid
from pathlib import Path

import pytest

from pipeline.errors import InvalidOutput
from pipeline.output.commits import Commit, create_commit
from pipeline.output.committed import Committed, read_committed
from pipeline.output.layout import safe_name
from pipeline.output.videos import sync_videos
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit, put_commit, put_files


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "out"))


def current(committed: Committed) -> list[str]:
    return [found.file.path for found in committed.current.values()]


def test_nothing_is_committed_at_first(store: Store) -> None:
    committed = read_committed(store)
    assert (current(committed), committed.videos.num_rows, committed.tidy) == ([], 0, True)
    assert committed.newest_driver == 0 and not committed.has("clip", "a" * 32)


def test_a_commit_with_its_files_counts(store: Store) -> None:
    commit = put_commit(store, make_commit("clip", driver=4))
    committed = read_committed(store)
    assert current(committed) == [commit.path]
    assert committed.has("clip", "a" * 32) and not committed.has("clip", "b" * 32)
    assert committed.current[safe_name("clip")].paths == {table: f.path for table, f in commit.files.items()}
    assert committed.videos["video_id"].to_pylist() == ["clip"]
    assert committed.newest_driver == 4


@pytest.mark.parametrize("tabled", [False, True], ids=["in its commit", "in the table"])
@pytest.mark.parametrize("table", ["masks", "frames"])
@pytest.mark.parametrize("what", ["gone", "short"])
def test_a_commit_whose_files_are_gone_or_short_does_not(store: Store, table: str, what: str, tabled: bool) -> None:
    commit = put_commit(store, make_commit("clip"))
    other = put_commit(store, make_commit("other"))
    if tabled:
        sync_videos(store, read_committed(store))
    path = commit.files[table].path
    store.delete(path) if what == "gone" else store.put(path, b"sh")
    committed = read_committed(store)
    assert current(committed) == [other.path]
    assert committed.broken == (commit.file,) and not committed.tidy
    assert committed.videos["video_id"].to_pylist() == ["other"]


def test_an_unreadable_commit_does_not_count(store: Store) -> None:
    commit = put_commit(store, make_commit("clip"))
    store.put(commit.path, b"{")
    committed = read_committed(store)
    assert current(committed) == [] and committed.broken == (commit.file,)


def test_the_highest_driver_is_the_newest_whatever_the_clocks_say(store: Store) -> None:
    old = put_commit(store, make_commit("clip", "a" * 32, attempt="1", minute=50, driver=1))
    new = put_commit(store, make_commit("clip", "b" * 32, attempt="2", minute=1, driver=2))
    committed = read_committed(store)
    assert current(committed) == [new.path] and committed.superseded == (old.file,)


def test_before_drivers_had_numbers_their_clocks_decide(store: Store) -> None:
    put_commit(store, make_commit("clip", "b" * 32, attempt="1", minute=1, driver=0))
    new = put_commit(store, make_commit("clip", "a" * 32, attempt="2", minute=2, driver=0))
    assert current(read_committed(store)) == [new.path]


def test_a_newer_commit_that_is_broken_leaves_the_older_one(store: Store) -> None:
    old = put_commit(store, make_commit("clip", "a" * 32, attempt="1", driver=1))
    late = make_commit("clip", "b" * 32, attempt="2", driver=2)
    create_commit(store, late)  # its files were swept
    committed = read_committed(store)
    assert current(committed) == [old.path] and committed.broken == (late.file,)


def test_a_newer_version_is_told(store: Store) -> None:
    commit = put_commit(store, make_commit("clip"))
    store.put(commit.path, store.get(commit.path).replace(b'"schema_version": 3', b'"schema_version": 99'))
    with pytest.raises(InvalidOutput, match="install a newer vos-batch"):
        read_committed(store)


def test_commits_in_the_table_are_not_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(5):
        put_commit(store, make_commit(f"clip-{index}"))
    sync_videos(store, read_committed(store))
    new = put_commit(store, make_commit("later"))
    read: list[str] = []
    get = Store.get

    def counted(self: Store, name: str) -> bytes:
        read.append(name)
        return get(self, name)

    monkeypatch.setattr(Store, "get", counted)
    assert len(read_committed(store).current) == 6
    assert [name for name in read if name.startswith("_commits/")] == [new.path]


def test_a_reader_follows_what_is_superseded_and_removed_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its listings of commits and of files a driver supersedes, and sweeps without any grace."""
    old = put_commit(store, make_commit("clip", "a" * 32, attempt="1", driver=1))
    listing = Store.list
    new: list[Commit] = []

    def superseded_after(self: Store, folder: str = "") -> object:
        entries = listing(self, folder)
        if folder == "_commits" and not new:
            new.append(put_commit(store, make_commit("clip", "b" * 32, attempt="2", driver=2)))
            store.delete(old.path)
            for record in old.files.values():
                store.delete(record.path)
        return entries

    monkeypatch.setattr(Store, "list", superseded_after)
    assert current(read_committed(store)) == [new[0].path]


@pytest.mark.parametrize("stray", ["an attempt's file", "a row that is nobody's", "a row that is missing"])
def test_it_says_whether_anything_lies_about(store: Store, stray: str) -> None:
    commit = put_commit(store, make_commit("clip", attempt="20260102T030405-0123abcd-1"))
    sync_videos(store, read_committed(store))
    assert read_committed(store).tidy
    if stray == "an attempt's file":
        put_files(store, make_commit("other", attempt="20260102T030405-0123abcd-2"))
    elif stray == "a row that is nobody's":
        store.delete(commit.path)
    else:
        put_commit(store, make_commit("later", attempt="20260102T030405-0123abcd-3"))
    assert not read_committed(store).tidy
