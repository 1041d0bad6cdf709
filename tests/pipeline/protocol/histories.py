"""What is run before and after something happens, and how it must end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from jobs.status import read_status
from pipeline.output import tables
from pipeline.output.layout import attempt_of
from tests.pipeline.protocol.drivers import FAULTS, drive
from tests.pipeline.protocol.world import CHANGES, Fault, Saved, World, tapped

BEFORE = {"a first run": None, "a superseding run": ("ab", 16), "a run over some": ("abc", 16)}
"""By kind of run what was run before: videos and setting."""


@contextmanager
def prepared(kind: str, faults: Mapping[int, Fault]) -> Iterator[World]:
    """A world in which a run of this kind is to come, while somebody has the old tables open."""
    with tapped() as world:
        world.restore(_earlier(kind))
        world.open_dataset(for_s=800.0)
        world.disturb(faults)
        yield world


@lru_cache
def _earlier(kind: str) -> Saved:
    with tapped() as world:
        if (before := BEFORE[kind]) is not None:
            drive(world, *before, name="earlier")
        return world.saved()


def ends_well(world: World) -> None:
    """The next run completes everything, and a later one leaves nothing but what is committed."""
    world.check("afterwards")
    world.disturb({})
    world.readers_look = False
    world.sleep(3600.0)
    assert drive(world, "ab", 32, name="the next") == "done"
    world.sleep(3600.0)
    assert drive(world, "ab", 32, name="the last") == "done"
    with world.quiet():
        rows = tables.open(world.store.url, "videos").to_table().to_pylist()
        assert {row["video_id"] for row in rows} >= set("ab")
        for table in ("masks", "frames"):
            files = {f"{table}/{entry.name}" for entry in world.store.list(table) if attempt_of(entry.name)}
            assert files == {row[f"{table}_file"] for row in rows}
            assert tables.open(world.store.url, table).count_rows() == len(rows)
        assert sum(read_status(world.store.url).videos.values()) == len(rows)
    assert world.violations == []


def points(operations: list[str], fault: str, *, after: int = -1) -> list[int]:
    """The operations at which a fault may make a difference.

    Of what ends a run, what happens before a read happens before the next change too; who is frozen reads what the
    other has left.
    """
    every = range(after + 1, len(operations))
    return [number for number in every if fault.startswith("freeze") or operations[number] in CHANGES]


@lru_cache
def undisturbed(kind: str) -> tuple[str, ...]:
    """The operations of a run of this kind to which nothing happens."""
    with prepared(kind, {}) as world:
        assert drive(world, "ab", 32) == "done"
        asked = tuple(world.operations)
        ends_well(world)
    return asked


def hold_at_every_operation(kind: str, fault: str) -> None:
    """A fault at each operation of a run."""
    asked = undisturbed(kind)
    assert len(asked) > 30
    for number in points(list(asked), fault):
        with prepared(kind, {number: FAULTS[fault]}) as world:
            drive(world, "ab", 32)
            assert tuple(world.operations[: number + 1]) == asked[: number + 1]
            ends_well(world)
