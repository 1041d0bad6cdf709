"""What is held of drivers to which something happens: at every operation of a run, and at every two.

A pair is one thing that happens at any operation of a run, and a second at any later one that changes something: of the
same driver, of the one that runs while it is frozen, or of the run that comes next.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from jobs.status import read_status
from pipeline.output import tables
from pipeline.output.layout import attempt_of
from tests.pipeline.protocol.drivers import EVERYTHING, drive
from tests.pipeline.protocol.world import CHANGES, Point, Saved, World, tapped

Record = Callable[[str, object], None]

KINDS: Mapping[str, tuple[str, int] | None] = {
    "a first run": None,
    "a superseding run": ("ab", 16),
    "a run over some": ("abc", 16),
}
"""By kind of run what was run before: videos and setting."""
NEXT_S = 70.0
"""Until the next run: the lease of a driver that died has run out, its last requests may still be on the way."""
_LONG_S = 3600.0

_WELL: set[int] = set()
"""States of worlds that are known to end well."""


@cache
def _beginning(kind: str) -> Saved:
    with tapped() as world:
        if (before := KINDS[kind]) is not None:
            drive(world, *before, name="earlier")
        world.open_dataset(for_s=800.0)
        return world.save()


@contextmanager
def _world(saved: Saved, points: Mapping[int, Point]) -> Iterator[World]:
    with tapped() as world:
        world.resume(saved)
        world.disturb(points)
        yield world


@cache
def operations(kind: str) -> list[str]:
    """Of an undisturbed run of this kind, while somebody has the old tables open."""
    with _world(_beginning(kind), {}) as world:
        assert drive(world, "ab", 32) == "done"
        return world.operations


def points(asked: list[str], what: str) -> list[int]:
    """The numbers of the operations at which it may happen."""
    # Of what ends the run, what happens before a read happens before the next change too.
    return [*range(len(asked))] if what.startswith("freeze") else _changes(asked)


def holds_everywhere(kind: str, what: str, record: Record) -> None:
    """Let it happen at every operation of such a run."""
    asked = operations(kind)
    assert len(asked) > 30
    found = {number: single(kind, what, number) for number in points(asked, what)}
    record("cases", len(found))
    assert {number: wrong for number, wrong in found.items() if wrong} == {}


def undisturbed(kind: str) -> list[str]:
    """What is wrong when nothing happens."""
    with _world(_beginning(kind), {}) as world:
        assert drive(world, "ab", 32) == "done"
        return _wrong(world)


def single(kind: str, what: str, number: int) -> list[str]:
    """What is wrong after one thing that happened."""
    with _world(_beginning(kind), {number: EVERYTHING[what]}) as world:
        drive(world, "ab", 32)
        assert world.operations[: number + 1] == operations(kind)[: number + 1]
        return _wrong(world)


def pairs(kind: str, first: str, second: str) -> Iterator[tuple[int, int, list[str]]]:
    """Where the first thing happened, where the second, and what is wrong then."""
    happens, then = EVERYTHING[first], EVERYTHING[second]
    begun = set()
    for number in points(operations(kind), first):
        with _world(_beginning(kind), {number: happens}) as world:
            drive(world, "ab", 32)
            own, after, state = len(world.operations), world.save(), world.state(aged=True)
            _drive_next(world)
            asked = world.operations
        for later in _changes(asked[:own]):
            if later > number:
                with _world(_beginning(kind), {number: happens, later: then}) as world:
                    drive(world, "ab", 32)
                    _drive_next(world)
                    yield number, later, _wrong(world)
        if state not in begun:  # else the next run has met the same before
            begun.add(state)
            for later in _changes(asked[own:]):
                with _world(after, {later: then}) as world:
                    _drive_next(world)
                    yield number, own + later, _wrong(world)


def _changes(asked: list[str]) -> list[int]:
    return [number for number, kind in enumerate(asked) if kind in CHANGES]


def _drive_next(world: World) -> None:
    world.sleep(NEXT_S)
    drive(world, "ab", 32, name="the next")


def _wrong(world: World) -> list[str]:
    world.check("afterwards")
    if (state := world.state()) not in _WELL:
        _end(world)
        if not world.violations:
            _WELL.add(state)
    return world.violations


def _end(world: World) -> None:
    """A run after long completes everything, and a later one leaves nothing but what is committed."""
    for name in ("the next to last", "the last"):
        world.sleep(_LONG_S)
        world.disturb({})
        if (end := drive(world, "ab", 32, name=name)) != "done":
            world.violations.append(f"{name}: {end}")
    with world.quiet():
        world.violations += _not_tidy(world)


def _not_tidy(world: World) -> Iterator[str]:
    url = world.store.url
    rows = tables.open(url, "videos").to_table().to_pylist()
    if missing := set("ab") - {row["video_id"] for row in rows}:
        yield f"at the end: no row of {missing}"
    for table in ("masks", "frames"):
        files = {f"{table}/{entry.name}" for entry in world.store.list(table) if attempt_of(entry.name)}
        if files != {row[f"{table}_file"] for row in rows}:
            yield f"at the end: {sorted(files)} are there"
        if tables.open(url, table).count_rows() != len(rows):
            yield f"at the end: {table} has not one row a video"
    if sum(read_status(url).videos.values()) != len(rows):
        yield "at the end: status counts others"
