"""Whatever happens to a driver at whichever of its operations, nothing committed is lost and the next run ends well."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.status import read_status
from pipeline.output import tables
from pipeline.output.layout import attempt_of
from tests.pipeline.protocol.drivers import EVERYTHING, drive
from tests.pipeline.protocol.world import CHANGES, World, tapped

BEFORE = {"a first run": None, "a superseding run": ("ab", 16), "a run over some": ("abc", 16)}
"""By kind of run what was run before: videos and setting."""


SLOW = dict.fromkeys(("freeze beside a subset", "freeze beside a superset"), pytest.mark.slow)


@contextmanager
def prepared(kind: str) -> Iterator[World]:
    """A world in which a run of this kind is to come, while somebody has the old tables open."""
    with tapped() as world:
        if (before := BEFORE[kind]) is not None:
            drive(world, *before, name="earlier")
        world.open_dataset(for_s=800.0)
        yield world


def ends_well(world: World) -> None:
    """The next run completes everything, and a later one leaves nothing but what is committed."""
    world.readers_look = False
    world.sleep(3600.0)
    assert drive(world, "ab", 32, name="the next")[0] == "done"
    world.sleep(3600.0)
    assert drive(world, "ab", 32, name="the last")[0] == "done"
    with world.quiet():
        rows = tables.open(world.store.url, "videos").to_table().to_pylist()
        assert {row["video_id"] for row in rows} >= set("ab")
        for table in ("masks", "frames"):
            files = {f"{table}/{entry.name}" for entry in world.store.list(table) if attempt_of(entry.name)}
            assert files == {row[f"{table}_file"] for row in rows}
            assert tables.open(world.store.url, table).count_rows() == len(rows)
        assert sum(read_status(world.store.url).videos.values()) == len(rows)
    assert world.violations == []


def operations(kind: str) -> list[str]:
    """Of an undisturbed run of this kind."""
    with prepared(kind) as world:
        return drive(world, "ab", 32)[1].operations


@pytest.mark.parametrize("what", [pytest.param(what, marks=SLOW.get(what, ())) for what in EVERYTHING])
@pytest.mark.parametrize("kind", BEFORE)
def test_at_every_operation(kind: str, what: str) -> None:
    asked = operations(kind)
    assert len(asked) > 30
    for number, operation in enumerate(asked):
        # Of what ends the run, what happens before a read happens before the next change too.
        if operation not in CHANGES and not what.startswith("freeze"):
            continue
        with prepared(kind) as world:
            _, driver = drive(world, "ab", 32, points={number: EVERYTHING[what]})
            assert driver.operations[: number + 1] == asked[: number + 1]
            world.check("afterwards")
            ends_well(world)


@pytest.mark.parametrize("kind", BEFORE)
def test_an_undisturbed_run_is_done(kind: str) -> None:
    with prepared(kind) as world:
        assert drive(world, "ab", 32)[0] == "done"
        ends_well(world)
