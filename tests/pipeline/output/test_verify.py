"""What is wrong with an output is found, all of it, and nothing else."""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidOutput
from pipeline.output import contents
from pipeline.output.commits import create_commit
from pipeline.output.findings import LOST, Kind
from pipeline.output.layout import driver_path
from pipeline.output.lease import Lease
from pipeline.output.marker import claim_output
from pipeline.output.verify import verify
from pipeline.storage.store import Store
from tests.pipeline.made_commits import make_commit
from tests.pipeline.output.planted import DAMAGE, grow_old, put_output, put_video
from tests.properties import costly


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "out"))


def test_a_healthy_output_has_no_finding(store: Store) -> None:
    commits = put_output(store, 5)
    told: list[tuple[int, int]] = []
    report = verify(store, on_progress=lambda done, total: told.append((done, total)))
    assert (report.videos, report.whole, report.found, report.driven) == (5, 5, (), False)
    assert report.bytes == sum(record.bytes for commit in commits for record in commit.files.values())
    assert told == [(5, 5)]


def test_an_empty_output_is_whole(store: Store) -> None:
    claim_output(store)
    assert (verify(store).videos, verify(store).found) == (0, ())


def test_a_folder_that_is_not_ours_is_refused(store: Store) -> None:
    with pytest.raises(InvalidOutput, match="no vos-batch output"):
        verify(store)


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_named(store: Store, kind: Kind) -> None:
    commits = put_output(store, 4)
    path = DAMAGE[kind](store, commits[2])
    (found,) = verify(store).found
    assert (found.kind, found.path) == (kind, path)
    assert verify(store).whole == (3 if kind in LOST else 4)


@costly
@given(st.dictionaries(st.integers(0, 5), st.sampled_from(list(DAMAGE))))
def test_whatever_is_damaged_is_found_and_nothing_else(planted: dict[int, Kind]) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    commits = put_output(store, 6)
    expected = {(kind, DAMAGE[kind](store, commits[index])) for index, kind in planted.items()}
    assert {(one.kind, one.path) for one in verify(store).found} == expected


@pytest.mark.parametrize("table", ["videos", "failures"])
def test_a_table_that_cannot_be_read_is_found(store: Store, table: str) -> None:
    put_output(store, 1)
    store.put(f"{table}/planted.parquet", b"no table")
    (found,) = verify(store).found
    assert (found.kind, found.path) == (Kind.UNREADABLE_TABLE, f"{table}/planted.parquet")


def test_files_that_are_not_ours_are_left_out(store: Store) -> None:
    put_output(store, 1)
    store.put("masks/notes.parquet", b"mine")
    assert verify(store).found == ()


def test_a_file_of_another_video_is_found(store: Store) -> None:
    """Its bytes are what a worker wrote, but not for this video."""
    first, second = put_output(store, 2)
    other = second.files["masks"]
    commit = replace(first, files={**first.files, "masks": replace(other, path=first.files["masks"].path)})
    store.put(commit.files["masks"].path, store.get(other.path))
    store.delete(first.path)
    create_commit(store, replace(commit, driver=2))
    found = [one for one in verify(store).found if one.kind is Kind.WRONG_ROWS]
    assert [one.what for one in found] == ["holds rows of another video"]


@pytest.mark.parametrize("damage", ["none", "other bytes"])
def test_a_large_file_is_read_piece_by_piece(store: Store, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_IN_MEMORY", 100)
    monkeypatch.setattr(contents, "_BLOCK", 77)
    (commit,) = put_output(store, 1)
    if damage == "other bytes":
        DAMAGE[Kind.ALTERED](store, commit)
    assert [one.kind for one in verify(store).found] == [Kind.ALTERED] * (damage != "none")


class TestReplacedResults:
    def test_are_no_finding_while_they_stay(self, store: Store) -> None:
        put_output(store, 2)
        put_video(store, "clip 0", identity="b" * 32, driver=2)
        kinds = {one.kind for one in verify(store).found}
        assert kinds == {Kind.WITHOUT_ROW, Kind.STRAY_ROW}  # `videos` is as before

    def test_are_looked_at_where_the_newest_one_is_damaged(self, store: Store) -> None:
        old = put_output(store, 1)[0]
        new = put_video(store, "clip 0", identity="b" * 32, driver=2)
        DAMAGE[Kind.MISSING](store, new)
        DAMAGE[Kind.ALTERED](store, old)
        found = {(one.kind, one.path) for one in verify(store).found}
        assert found == {(Kind.MISSING, new.files["masks"].path), (Kind.ALTERED, old.files["masks"].path)}


class TestBesideADriver:
    def test_what_it_may_put_in_line_is_left_out(self, tmp_path: Path) -> None:
        store = Store(str(tmp_path / "out"))
        put_output(store, 2)
        with Lease(store, "run"):
            put_video(store, "new", driver=2)
            put_video(store, "clip 0", identity="b" * 32, driver=2)
            DAMAGE[Kind.ORPHANED](store, make_commit("begun"))
            report = verify(store)
            assert (report.found, report.driven) == ((), True)

    def test_what_is_older_is_found(self, tmp_path: Path) -> None:
        store = Store(str(tmp_path / "out"))
        put_output(store, 2)
        left = DAMAGE[Kind.ORPHANED](store, make_commit("begun"))
        grow_old(store)
        with Lease(store, "run"):
            (found,) = verify(store).found
        assert (found.kind, found.path) == (Kind.ORPHANED, left)

    def test_damage_is_found_at_once(self, tmp_path: Path) -> None:
        store = Store(str(tmp_path / "out"))
        commits = put_output(store, 2)
        with Lease(store, "run"):
            DAMAGE[Kind.ALTERED](store, commits[0])
            assert [one.kind for one in verify(store).found] == [Kind.ALTERED]

    def test_what_is_replaced_meanwhile_is_left_out(self, tmp_path: Path) -> None:
        """The files of a commit go after the listing, and so does the commit."""
        store = Store(str(tmp_path / "out"))
        commits = put_output(store, 2)

        def supersede() -> bool:
            put_video(store, "clip 0", identity="b" * 32, driver=2)
            store.delete(commits[0].path)
            for record in commits[0].files.values():
                store.delete(record.path)
            return False

        with Lease(store, "run"):
            assert verify(store, stop=supersede).found == ()


def test_it_stops_when_it_is_told_to(store: Store) -> None:
    put_output(store, 1)
    with pytest.raises(KeyboardInterrupt):
        verify(store, stop=lambda: True)


def test_a_driver_that_was_killed_may_still_live(store: Store) -> None:
    put_output(store, 1)
    store.put(driver_path(7), b'{"released": false}')
    assert verify(store).driven
