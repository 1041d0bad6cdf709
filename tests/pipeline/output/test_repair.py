"""An output is put back in line: what is damaged does not count any more, and nothing that counts is touched."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import OutputInUse
from pipeline.output import verify as verifying
from pipeline.output.commits import read_commit
from pipeline.output.committed import read_committed
from pipeline.output.findings import LOST, Finding, Kind
from pipeline.output.layout import safe_name
from pipeline.output.lease import Lease, LeaseTimes
from pipeline.output.look import Damaged, Look, Video
from pipeline.output.repair import Repaired, repair
from pipeline.output.verify import verify
from pipeline.storage.store import Store
from tests.pipeline.output.planted import DAMAGE, grow_old, put_output, put_video, tables_of
from tests.pipeline.protocol.world import CHANGES, Driver, Killed, World, _InTurn, tapped
from tests.properties import costly

_REMOVED = LOST - {Kind.UNREADABLE_COMMIT}
"""Kinds after which a video has no result any more; what a commit said, its row of `videos` still tells."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "out"))


def mended(store: Store) -> Repaired:
    """After a repair, an hour after the damage; the output must be healthy then."""
    grow_old(store)
    repaired = repair(store, grace_s=900.0)
    assert verify(store).found == ()
    return repaired


def results(store: Store) -> dict[str, str]:
    """By video_id the commit that counts."""
    return {found.video_id: found.file.path for found in read_committed(store).current.values()}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_put_in_line(store: Store, kind: Kind) -> None:
    commits = put_output(store, 4)
    DAMAGE[kind](store, commits[2])
    repaired = mended(store)
    assert repaired.again == (("clip 2",) if kind in _REMOVED else ())
    assert repaired.restored == (("clip 2",) if kind is Kind.UNREADABLE_COMMIT else ())
    assert set(results(store)) == {f"clip {index}" for index in range(4)} - set(repaired.again)


@costly
@given(st.dictionaries(st.integers(0, 4), st.sampled_from(list(DAMAGE))))
def test_whatever_is_damaged_the_others_stay(planted: dict[int, Kind]) -> None:
    with tapped() as world:
        world.check = lambda where: None  # type: ignore[method-assign]
        world.drivers.append(Driver(name="repair"))
        with world.quiet():
            commits = put_output(world.store, 5)
            for index, kind in planted.items():
                DAMAGE[kind](world.store, commits[index])
        world.sleep(3600.0)
        repaired = in_world(world)
        with world.quiet():
            assert {one.kind for one in repaired.report.found} == set(planted.values())
            stay = {commit.video_id for commit in commits} - set(repaired.again)
            assert set(results(world.store)) == stay
            assert stay >= {commits[i].video_id for i in range(5) if planted.get(i) not in LOST}
            assert verify(world.store).found == ()


def test_a_healthy_output_stays_as_it_is(store: Store) -> None:
    put_output(store, 3)
    before = {folder: store.list(folder) for folder in ("masks", "frames", "videos", "_commits")}
    assert mended(store).deleted == 0
    after = {folder: store.list(folder) for folder in before}
    assert {folder: [entry.name for entry in entries] for folder, entries in after.items()} == {
        folder: [entry.name for entry in entries] for folder, entries in before.items()
    }


def test_the_earlier_result_counts_again(store: Store) -> None:
    old = put_output(store, 2)[0]
    new = put_video(store, "clip 0", identity="b" * 32, driver=2)
    DAMAGE[Kind.ALTERED](store, new)
    repaired = mended(store)
    assert (repaired.earlier, repaired.again) == (("clip 0",), ())
    assert results(store)["clip 0"] == old.path


def test_a_commit_is_written_anew_from_its_row(store: Store) -> None:
    commit = put_output(store, 2)[0]
    DAMAGE[Kind.UNREADABLE_COMMIT](store, commit)
    mended(store)
    assert read_commit(store, commit.file) == commit


def test_a_commit_that_cannot_be_read_goes_where_no_row_or_no_file_is_left(store: Store) -> None:
    commits = put_output(store, 3)
    DAMAGE[Kind.WITHOUT_ROW](store, commits[0])
    for commit in commits[:2]:
        DAMAGE[Kind.UNREADABLE_COMMIT](store, commit)
    DAMAGE[Kind.ALTERED](store, commits[1])
    assert mended(store).again == (safe_name("clip 0"), "clip 1")


def test_tables_that_cannot_be_read_are_rebuilt_or_removed(store: Store) -> None:
    put_output(store, 3)
    store.put("failures/planted.parquet", b"no table")
    (entry,) = store.list("videos")
    store.put(f"videos/{entry.name}", b"no table")
    mended(store)
    assert len(store.list("failures")) == 0
    assert read_committed(store).tidy


def test_files_of_others_that_a_commit_names_stay(store: Store) -> None:
    """A commit that was tampered with lists the file of another video."""
    first, second = put_output(store, 2)
    path = first.path
    store.put(path, store.get(path).replace(first.files["masks"].path.encode(), second.files["masks"].path.encode()))
    assert mended(store).again == ("clip 0",)
    assert set(results(store)) == {"clip 1"}


def test_a_driver_at_work_is_left_alone(store: Store) -> None:
    DAMAGE[Kind.MISSING](store, put_output(store, 1)[0])
    times = LeaseTimes(refresh_s=0.05, stale_s=5.0)
    with Lease(store, "run", times=times), pytest.raises(OutputInUse):
        repair(store, grace_s=0.0, lease_times=times)
    assert [one.kind for one in verify(store).found] == [Kind.MISSING]


def test_what_a_second_look_finds_right_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes may be lost on the way to the reader, too."""
    commits = put_output(store, 2)

    class Mistaken(Look):
        def video(self, safe: str) -> Video:
            found = Finding(kind=Kind.ALTERED, path="masks/x", what="so it seemed", commit=commits[0].path)
            damaged = Damaged(file=commits[0].file, commit=commits[0], found=(found,))
            video = super().video(safe)
            return replace(video, damaged=(damaged,)) if safe == commits[0].file.safe else video

    monkeypatch.setattr(verifying, "Look", Mistaken)
    repaired = repair(store, grace_s=900.0)
    assert [one.kind for one in repaired.report.found] == [Kind.ALTERED]
    assert (repaired.again, repaired.deleted, len(results(store))) == ((), 0, 2)


def in_world(world: World) -> Repaired:
    """A repair by the driver that is last in the world; its requests come one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "ThreadPoolExecutor", _InTurn)
        driver = world.drivers[-1]
        return repair(
            world.store, grace_s=900.0, stop=lambda: driver.stopped, clock=lambda: world.now_s, sleep=world.sleep
        )


def damaged_world(world: World) -> set[str]:
    """Everything that can be wrong; the videos whose results must stay, which is looked at after every change."""
    with world.quiet():
        commits = put_output(world.store, len(DAMAGE) + 1)
        put_video(world.store, "clip 0", identity="b" * 32, driver=2)
        for kind, commit in zip(DAMAGE, commits[1:], strict=True):
            DAMAGE[kind](world.store, commit)
    world.sleep(3600.0)
    lost = {commit.video_id for kind, commit in zip(DAMAGE, commits[1:], strict=True) if kind in _REMOVED}
    stay = {commit.video_id for commit in commits} - lost
    world.check = lambda where: look(world, where, stay)  # type: ignore[method-assign]
    return stay


def look(world: World, where: str, stay: set[str]) -> None:
    """Note results that are gone, or whose files are not what they were."""
    with world.quiet():
        shown = {found.video_id: found for found in read_committed(world.store).current.values()}
        held = {video_id for video_id in stay & shown.keys() if is_right(world.store, shown[video_id].paths)}
    if gone := stay - held:
        world.violations.append(f"{where}: {sorted(gone)}")


def is_right(store: Store, paths: Mapping[str, str]) -> bool:
    """Whether the files hold what some worker wrote."""
    return all(store.get(path) in written() for path in paths.values())


@lru_cache
def written() -> set[bytes]:
    made = [tables_of(f"clip {index}", width) for index in range(10) for width in (8, 16)]
    return {data for tables in made for data, _ in tables.values()}


@pytest.mark.parametrize(
    "end",
    [
        "crash before",
        pytest.param("crash after", marks=pytest.mark.slow),
        pytest.param("signal", marks=pytest.mark.slow),
    ],
)
def test_at_every_operation_it_may_end(end: str) -> None:
    """No result that is whole is ever lost, and the next repair puts the rest in line."""
    with tapped() as world:
        damaged_world(world)
        world.drivers.append(Driver(name="undisturbed"))
        world.disturb({})
        in_world(world)
        operations = list(world.operations)
    changes = [number for number, kind in enumerate(operations) if kind in CHANGES]
    assert len(changes) > 15
    for number in changes:
        with tapped() as world:
            stay = damaged_world(world)

            def happen(_world: World, driver: Driver, now: str) -> None:
                driver.dead |= end == f"crash {now}"
                driver.stopped |= end == "signal"

            world.drivers.append(Driver(name=end))
            world.disturb({number: happen})
            with suppress(Killed, KeyboardInterrupt):
                in_world(world)
            world.sleep(3600.0)
            world.drivers.append(Driver(name="the next"))
            world.disturb({})
            in_world(world)
            with world.quiet():
                assert verify(world.store).found == ()
                assert set(results(world.store)) == stay
            assert world.violations == []
