"""What a block of work holds at most of a device's memory, beyond what it found there."""

import os
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

_ALLOCATED = "[memory]"
"""The profiler's name of an allocation, or, with a negative size, of its end."""


def workspace_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Of tensors, measured as they come and go: what the work gives back counts until then."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it tells the terminal of its start and stop
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        work()
    results = profiler.profiler.kineto_results
    held = most = 0
    for event in sorted((e for e in results.events() if e.name() == _ALLOCATED), key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most
