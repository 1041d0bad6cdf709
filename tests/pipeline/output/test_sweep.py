"""A sweep deletes what can never be wanted again and nothing else, whatever died on the way."""

import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.output.commits import create_commit
from pipeline.output.committed import read_committed
from pipeline.output.layout import attempt_name
from pipeline.output.sweep import Sweep, sweep
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit, put_commit, put_files

OWN, OTHER = "20260102T030405-0123abcd", "20260102T030406-abcd0123"
HOUR_S = 3600.0


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


def at(store: Store, *, later_s: float, grace_s: float = 900.0, replaced: frozenset[str] = frozenset()) -> Sweep:
    """A sweep so long after the last write to the store, by the driver with lease 2."""
    written = [entry.modified_s or 0.0 for folder in ("masks", "frames", "_commits") for entry in store.list(folder)]
    now_s = max(written, default=0.0) + later_s
    return Sweep(now_s=now_s, run_id=OWN, driver=2, replaced=replaced, grace_s=grace_s, settled_s=100.0)


def files(store: Store) -> set[str]:
    return {f"{table}/{entry.name}" for table in ("masks", "frames") for entry in store.list(table)}


def paths(*commits: object) -> set[str]:
    return {record.path for commit in commits for record in commit.files.values()}  # type: ignore[attr-defined]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.sampled_from(["dies", "commits"])),
        max_size=8,
    )
)
def test_committed_files_stay_and_all_others_go(attempts: list[tuple[int, str, str]]) -> None:
    """Attempts of three videos under two settings, by one driver after another; some die before the commit."""
    store = Store(f"memory://{uuid.uuid4().hex}")
    newest = {}
    for number, (video, letter, end) in enumerate(attempts, start=1):
        attempt = attempt_name((OWN, OTHER)[number % 2], number)
        commit = put_files(store, make_commit(f"clip-{video}", letter * 32, attempt=attempt, driver=number))
        if end == "commits":
            create_commit(store, commit)
            newest[video] = commit
    sweep(store, at(store, later_s=HOUR_S))
    assert files(store) == paths(*newest.values())
    assert {found.file for found in read_committed(store).current.values()} == {c.file for c in newest.values()}
    assert len(store.list("_commits")) == len(newest)


class TestFilesThatNoCommitLists:
    def test_of_this_run_go_at_once(self, store: Store) -> None:
        put_files(store, make_commit("clip", attempt=attempt_name(OWN, 1)))
        assert sweep(store, at(store, later_s=0.0)).deleted == 2

    def test_of_others_stay_while_their_driver_may_still_commit_them(self, store: Store) -> None:
        put_files(store, make_commit("clip", attempt=attempt_name(OTHER, 1)))
        assert sweep(store, at(store, later_s=99.0)).deleted == 0
        assert sweep(store, at(store, later_s=101.0)).deleted == 2

    def test_of_a_run_that_was_taken_over_go_where_this_one_has_committed(self, store: Store) -> None:
        """What it may still commit comes too late there; elsewhere it would be the video's result."""
        late = put_files(store, make_commit("clip", attempt=attempt_name(OTHER, 1)))
        alone = put_files(store, make_commit("other", attempt=attempt_name(OTHER, 2)))
        own = put_commit(store, make_commit("clip", attempt=attempt_name(OWN, 1), driver=2))
        sweep(store, at(store, later_s=0.0))
        assert files(store) == paths(late, alone, own)
        sweep(store, at(store, later_s=0.0, replaced=frozenset({OTHER})))
        assert files(store) == paths(alone, own)

    def test_of_a_run_that_was_taken_over_stay_where_an_earlier_result_counts(self, store: Store) -> None:
        kept = put_commit(store, make_commit("clip", attempt=attempt_name("20260102T030400-00000000", 1), driver=1))
        late = put_files(store, make_commit("clip", "b" * 32, attempt=attempt_name(OTHER, 1)))
        sweep(store, at(store, later_s=0.0, replaced=frozenset({OTHER})))
        assert files(store) == paths(kept, late)

    def test_that_are_not_ours_stay(self, store: Store) -> None:
        store.put("masks/notes.parquet", b"mine")
        store.put("masks/more/deep.parquet", b"mine")
        sweep(store, at(store, later_s=HOUR_S))
        assert store.get("masks/notes.parquet") and store.get("masks/more/deep.parquet")

    def test_of_a_video_whose_commit_cannot_be_read_stay(self, store: Store) -> None:
        """Perhaps it can be mended; the next result of the video replaces all of it."""
        commit = put_commit(store, make_commit("clip", attempt=attempt_name(OTHER, 1)))
        more = put_files(store, make_commit("clip", attempt=attempt_name(OTHER, 2)))
        store.put(commit.path, b"{")
        sweep(store, at(store, later_s=HOUR_S))
        assert files(store) == paths(commit, more)
        new = put_commit(store, make_commit("clip", attempt=attempt_name(OWN, 3), driver=2))
        sweep(store, at(store, later_s=HOUR_S))
        assert files(store) == paths(new)


class TestSuperseded:
    def test_stays_for_a_grace_time(self, store: Store) -> None:
        old = put_commit(store, make_commit("clip", "a" * 32, attempt=attempt_name(OTHER, 1)))
        new = put_commit(store, make_commit("clip", "b" * 32, attempt=attempt_name(OWN, 1), driver=2))
        assert sweep(store, at(store, later_s=899.0)) == (0, 1)
        assert files(store) == paths(old, new)
        assert sweep(store, at(store, later_s=901.0)) == (3, 0)
        assert files(store) == paths(new)

    def test_without_grace_it_goes_at_once(self, store: Store) -> None:
        put_commit(store, make_commit("clip", "a" * 32, attempt=attempt_name(OTHER, 1)))
        new = put_commit(store, make_commit("clip", "b" * 32, attempt=attempt_name(OWN, 1), driver=2))
        sweep(store, at(store, later_s=0.0, grace_s=0.0))
        assert files(store) == paths(new)

    def test_by_a_broken_commit_it_is_not(self, store: Store) -> None:
        """A driver that lost its lease committed late, and its files were swept."""
        old = put_commit(store, make_commit("clip", "a" * 32, attempt=attempt_name(OTHER, 1)))
        create_commit(store, make_commit("clip", "b" * 32, attempt=attempt_name(OTHER, 2), driver=2))
        sweep(store, at(store, later_s=HOUR_S))
        assert files(store) == paths(old)
        assert [found.file for found in read_committed(store).current.values()] == [old.file]
        assert len(store.list("_commits")) == 1  # nobody will ever read the other


def test_a_video_with_one_commit_needs_no_look_into_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(5):
        put_commit(store, make_commit(f"clip-{index}", attempt=attempt_name(OTHER, 1)))
    what = at(store, later_s=HOUR_S)
    monkeypatch.delattr(Store, "get")
    assert sweep(store, what).deleted == 0


def test_what_is_committed_while_files_are_listed_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are listed before commits: a driver that lost its lease may sweep beside the one that has it."""
    commit = put_files(store, make_commit("clip", attempt=attempt_name(OTHER, 1)))
    what = at(store, later_s=HOUR_S)
    listing = Store.list

    def committed_after(self: Store, folder: str = "") -> object:
        entries = listing(self, folder)
        if folder == "frames":
            create_commit(store, commit)
        return entries

    monkeypatch.setattr(Store, "list", committed_after)
    assert sweep(store, what).deleted == 0


def test_temporaries_of_killed_writers_go_when_they_are_old(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    commit = put_commit(store, make_commit("clip", attempt=attempt_name(OTHER, 1)))
    for folder in ("masks", "_commits", "_work"):
        left = tmp_path / folder / f".vos-batch-{uuid.uuid4().hex}.tmp"
        left.parent.mkdir(exist_ok=True)
        left.write_bytes(b"half")
    store.put("_work/probe.0123", b"")
    (tmp_path / "masks" / ".notes").write_bytes(b"mine")
    assert sweep(store, at(store, later_s=0.0)).deleted == 0
    assert sweep(store, at(store, later_s=HOUR_S)).deleted == 4
    assert not list(tmp_path.rglob("*.tmp")) and not store.list("_work")
    assert (tmp_path / "masks" / ".notes").exists() and all((tmp_path / path).exists() for path in paths(commit))
