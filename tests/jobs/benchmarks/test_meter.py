"""What a block took."""

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
    with Meter(CPU) as meter:
        held = bytearray(64 << 20)
    assert meter.spent.page_faults > nothing.spent.page_faults
    assert meter.spent.peak_bytes > len(held)
