"""Ctrl-C or SIGTERM to the command at any moment of a run: nothing committed is lost, and the lease is given back."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.s3.commands import Room, end, is_released
from tests.s3.outputs import check_readers

RUN_S = 4.0
"""About what a run takes that nobody disturbs."""


def signalled(room: Room, runs: int, seed: int) -> Counter[str]:
    """So many runs on one output, each with other settings than the last; how many of them gave back the lease."""
    chance, output, seen, told = random.Random(seed), room.output(), set[str](), Counter[str]()
    for run in range(runs):
        process = room.start(output, (16, 32)[run % 2])
        time.sleep(chance.uniform(0.0, RUN_S))
        assert process.pid is not None
        if process.exitcode is None:
            os.kill(process.pid, chance.choice((signal.SIGINT, signal.SIGTERM)))
        told[f"exit code {end([process], 15.0)[0]}"] += 1
        seen |= (committed := check_readers(output))
        assert committed == seen
        told["released"] += is_released(output)
    room.complete(output, 16)
    return told


@pytest.mark.slow
def test_nothing_is_lost(any_room: Room) -> None:
    assert signalled(any_room, 3, seed=0)["released"] >= 2


@pytest.mark.chaos
def test_nothing_is_ever_lost(any_room: Room, record_property: Callable[[str, object], None]) -> None:
    with ThreadPoolExecutor(4) as threads:
        told = sum(threads.map(lambda seed: signalled(any_room, 10, seed), range(10)), Counter[str]())
    record_property("cases", 100)
    record_property("told", dict(told))
    assert told["released"] >= 95
