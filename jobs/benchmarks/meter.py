"""What a block of work takes: time by the wall and of the processor, page faults, memory."""

import sys
import time
from dataclasses import dataclass
from typing import Self

import torch


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Of one block."""

    seconds: float
    """By the wall, until the device is done."""
    cpu_seconds: float
    """Of all threads of this process: above `seconds` where several worked, below where others had the processor."""
    work_seconds: float
    """What is compared: on a CPU `cpu_seconds`, which others there hardly lengthen, on a GPU `seconds`."""
    page_faults: int
    """Pages that had to be mapped anew: memory that was given back and taken again."""
    peak_bytes: int
    """On a GPU what torch held at most during the block, on the CPU what the process has held at most so far."""


class Meter:
    """Measures a block: `with Meter(device) as meter: ...`, then `meter.spent`."""

    spent: Spent

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"

    def __enter__(self) -> Self:
        if self._cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self._faults = _resources()[0]
        self._cpu = time.process_time()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        if self._cuda:
            torch.cuda.synchronize()
        seconds, cpu = time.perf_counter() - self._began, time.process_time() - self._cpu
        faults, held = _resources()
        self.spent = Spent(
            seconds=seconds,
            cpu_seconds=cpu,
            work_seconds=seconds if self._cuda else cpu,
            page_faults=faults - self._faults,
            peak_bytes=torch.cuda.max_memory_allocated() if self._cuda else held,
        )


def _resources() -> tuple[int, int]:
    """Page faults and peak memory in bytes of this process so far."""
    import resource  # not on Windows, where the other commands must start

    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_minflt, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
