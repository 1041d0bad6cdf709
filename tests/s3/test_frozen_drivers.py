"""A process of the command is stopped while another takes over, and wakes up: nothing committed is lost."""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.s3.commands import END_S, VIDEOS, Room, end
from tests.s3.outputs import check_complete, check_readers


def frozen(room: Room, seed: int, *, for_s: float, short_lease: bool) -> None:
    """The other has other settings every second time."""
    chance, output = random.Random(seed), room.output()
    room.complete(output, 48)
    process = room.start(output, 16, short_lease=short_lease)
    assert process.pid is not None
    time.sleep(chance.uniform(0.5, 2.5))
    os.kill(process.pid, signal.SIGSTOP)
    try:
        time.sleep(for_s)
        other = room.start(output, 16 + 16 * (seed % 2), short_lease=short_lease)
        assert end([other], END_S) == [0]
        check_complete(output, set(VIDEOS))
    finally:
        os.kill(process.pid, signal.SIGCONT)
    end([process], END_S)
    assert check_readers(output) == set(VIDEOS)
    room.complete(output, 16)


@pytest.mark.slow
def test_it_finds_out(any_room: Room) -> None:
    frozen(any_room, 0, for_s=4.0, short_lease=True)


@pytest.mark.chaos
def test_it_finds_out_after_two_minutes(any_room: Room) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda seed: frozen(any_room, seed, for_s=120.0, short_lease=False), range(8)))
