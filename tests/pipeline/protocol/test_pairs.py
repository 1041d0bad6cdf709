"""Two things happen: to one driver, to it and to the one that it froze beside, or to it and to the one after it."""

from collections.abc import Callable
from itertools import product

import pytest

from tests.pipeline.protocol.drivers import FAULTS, drive
from tests.pipeline.protocol.histories import BEFORE, ends_well, points, prepared, undisturbed
from tests.pipeline.protocol.world import Fault, World

TOGETHER = ("crash", "lost answer", "signal", "freeze beside the same", "freeze beside other settings")


def history(world: World) -> None:
    """A run, and the next one of an operator who saw it end; to either something may happen."""
    drive(world, "ab", 32)
    drive(world, "ab", 32, name="again")


def operations_after(kind: str, first: dict[int, Fault]) -> list[str]:
    """Of the whole history, of all drivers in it."""
    with prepared(kind, first) as world:
        world.readers_look = False
        history(world)
        return world.operations


@pytest.mark.chaos
@pytest.mark.parametrize(("first", "second"), list(product(TOGETHER, repeat=2)))
@pytest.mark.parametrize("kind", BEFORE)
def test_at_every_two_operations(
    kind: str, first: str, second: str, record_property: Callable[[str, object], None]
) -> None:
    """The second at every operation after the first, whichever driver makes it."""
    pairs = 0
    for number in points(list(undisturbed(kind)), first):
        earlier = {number: FAULTS[first]}
        for later in points(operations_after(kind, earlier), second, after=number):
            with prepared(kind, {**earlier, later: FAULTS[second]}) as world:
                world.readers_look = False
                history(world)
                ends_well(world)
            pairs += 1
    assert pairs
    record_property("pairs", pairs)
