"""Two drivers that are started at once on one output: one of them does the work, and the tables are right."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.terminal.console import WRONG_CALL
from tests.s3.commands import END_S, VIDEOS, Room, end
from tests.s3.outputs import check_complete


def both_at_once(room: Room, sides: tuple[int, int]) -> str:
    """How they end: one is done; the other is refused, or waits and is done too."""
    output = room.output()
    codes = end([room.start(output, side) for side in sides], END_S)
    assert sorted(codes) in ([0, WRONG_CALL], [0, 0]), codes
    check_complete(output, set(VIDEOS))
    return "refused" if WRONG_CALL in codes else "one after the other"


@pytest.mark.slow
@pytest.mark.parametrize("sides", [(16, 16), (16, 32)])
def test_one_of_them_does_the_work(moto_room: Room, sides: tuple[int, int]) -> None:
    for _ in range(2):
        both_at_once(moto_room, sides)


@pytest.mark.chaos
def test_each_time(moto_room: Room, record_property: Callable[[str, object], None]) -> None:
    with ThreadPoolExecutor(2) as threads:
        ends = list(threads.map(lambda run: both_at_once(moto_room, (16, 16 + 16 * (run % 2))), range(100)))
    record_property("cases", len(ends))
    record_property("refused", ends.count("refused"))
