"""What a block took."""

import mmap
import sys
import time

import pytest
import torch

from jobs.benchmarks.meter import Meter

CPU = torch.device("cpu")


def test_waiting_takes_time_but_no_processor() -> None:
    with Meter(CPU) as meter:
        time.sleep(0.05)
    assert meter.spent.seconds >= 0.05
    assert meter.spent.cpu_seconds < meter.spent.seconds
    assert meter.spent.work_seconds == meter.spent.cpu_seconds


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count pages otherwise")
def test_pages_that_come_anew_are_counted() -> None:
    with Meter(CPU) as nothing:
        pass
    # Not from the allocator, which may have kept as much from before.
    with Meter(CPU) as meter, mmap.mmap(-1, 64 << 20) as held:
        held[:: mmap.PAGESIZE] = bytes(len(held) // mmap.PAGESIZE)
        size = len(held)
    assert meter.spent.page_faults > nothing.spent.page_faults
    assert meter.spent.peak_bytes > size
