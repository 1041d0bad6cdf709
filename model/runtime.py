"""How a process computes: what becomes of freed memory, of numbers next to zero, and of digits and choices on a GPU."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_ALLOCATOR = (
    ("MALLOC_ARENA_MAX", -8, 1),  # a second arena gives its memory back whatever the other settings say
    ("MALLOC_MMAP_MAX_", -4, 0),  # else every large tensor is a mapping of its own
    ("MALLOC_TRIM_THRESHOLD_", -1, 2**31 - 1),
)
"""Settings of glibc: in the environment, as options of mallopt, and their values."""

KEEP_MEMORY_ENVIRONMENT = {name: str(value) for name, _, value in _ALLOCATOR}
"""Does in a process that is started with it what `keep_memory` does, for all its threads."""


def keep_memory() -> None:
    """Let the next tensor take what the last one left, instead of giving it back to the system page by page.

    A frame takes and frees gigabytes; every page that comes anew costs a fault and a zeroing. For the whole process,
    but for threads that began before; without effect where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for _, option, value in _ALLOCATOR:
            mallopt(option, value)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take numbers below 1e-38 for zero in this thread: many softmax weights are, and each costs as much as a hundred.

    Only inside the context: the rest of a process may count on them.
    """
    before = sys.float_info.min / 2 == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


_REPEATABLE: tuple[tuple[Any, str, bool], ...] = (
    (torch.backends.cudnn, "allow_tf32", False),  # else convolutions take ten bits of each factor
    (torch.backends.cuda.matmul, "allow_tf32", False),
    (torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", False),  # sums are of float32 throughout
    (torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction", False),
    (torch.backends.cudnn, "benchmark", False),  # else what a try-out finds fastest is taken, which differs by the day
    (torch.backends.cudnn, "deterministic", True),
)
"""What a GPU must and must not do."""

REPEATABLE_ENVIRONMENT = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Of a process before it takes a GPU: each stream's products then have the same memory to choose by, every time."""


@contextmanager
def repeatable() -> Iterator[None]:
    """On a GPU float32 is float32 inside the context, and nothing is chosen by how long it took."""
    before = [getattr(of, name) for of, name, _ in _REPEATABLE]
    for of, name, value in _REPEATABLE:
        setattr(of, name, value)
    try:
        yield
    finally:
        for (of, name, _), value in zip(_REPEATABLE, before, strict=True):
            setattr(of, name, value)


_BF16_UNITS = ("amx_bf16", "bf16")
"""Of processors that multiply bf16. Without any a frame or a training step takes ten times as long as in fp32; with
`avx512_bf16` alone a quarter longer: what it saves on products goes into conversions."""


def multiplies_bf16() -> bool:
    """Whether bf16 is the faster precision on this machine's processor: what torch finds of it."""
    found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch does not know
    return any(found.get(unit) for unit in _BF16_UNITS)
