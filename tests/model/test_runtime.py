"""How a process computes: numbers next to zero inside and outside of a step, and page faults of a child process."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch

from model.runtime import KEEP_MEMORY_ENVIRONMENT, flushed_denormals, keep_memory
from model.segmenter import VideoSegmenter
from tests.model.builders import ScriptedNetwork, blank, box, native, prompt

TENSORS_IN_A_THREAD = """
import resource, sys, threading, torch
from model.runtime import keep_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    for _ in range(8):
        before = faults()
        for _ in range(2):
            held = [torch.ones(15_000_000 + 1000 * i) for i in range(3)]
            del held
    print(faults() - before)

if "keep" in sys.argv:
    work()
    keep_memory()
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def halves_to_zero() -> bool:
    """Whether the smallest normal number has no half."""
    return float(torch.tensor([torch.finfo(torch.float32).tiny]).div_(2)) == 0


def page_faults(*arguments: str, environment: Mapping[str, str] | None = None) -> list[int]:
    """Of a thread that takes and frees 360 MB, in a process of its own, once it has done so a few times.

    With the argument "keep" before that of the main thread, which then keeps memory.
    """
    command = [sys.executable, "-c", TENSORS_IN_A_THREAD, *arguments]
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=True
    )
    return [int(line) for line in done.stdout.split()]


def test_denormals_are_flushed_inside_the_context_alone() -> None:
    assert not halves_to_zero()
    with flushed_denormals():
        with flushed_denormals():
            assert halves_to_zero()
        assert halves_to_zero()
    assert not halves_to_zero()


def test_an_error_ends_it_too() -> None:
    with pytest.raises(ValueError, match="inside"), flushed_denormals():
        raise ValueError("inside")
    assert not halves_to_zero()


def test_a_step_flushes_and_leaves_the_process_as_it_was() -> None:
    seen = []

    class Watching(ScriptedNetwork):
        def memorize(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
            seen.append(halves_to_zero())
            return super().memorize(*arguments, **options)  # type: ignore[arg-type]

    VideoSegmenter(Watching(), native()).step(blank()[0], prompt(box(10, 40, 20, 60)))
    assert seen == [True]
    assert not halves_to_zero()


def test_memory_is_kept_also_by_threads_that_begin_later() -> None:
    before, after = page_faults("keep")
    assert before > 10_000
    assert after < 1_000


def test_the_environment_does_the_same() -> None:
    (found,) = page_faults(environment=KEEP_MEMORY_ENVIRONMENT)
    assert found < 1_000


def test_keeping_memory_twice_does_no_harm() -> None:
    keep_memory()
    keep_memory()
    assert float(torch.ones(1000).sum()) == 1000


ON_A_GPU: tuple[tuple[Any, str, bool], ...] = (
    (torch.backends.cudnn, "allow_tf32", False),
    (torch.backends.cuda.matmul, "allow_tf32", False),
    (torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", False),
    (torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction", False),
    (torch.backends.cudnn, "benchmark", False),
    (torch.backends.cudnn, "deterministic", True),
)
"""Settings and what they are while a frame is segmented."""


def settings() -> list[bool]:
    return [getattr(of, name) for of, name, _ in ON_A_GPU]


@pytest.fixture
def fast_and_loose() -> Iterator[None]:
    """A process that has chosen speed in each."""
    before = settings()
    for of, name, value in ON_A_GPU:
        setattr(of, name, not value)
    yield
    for (of, name, _), value in zip(ON_A_GPU, before, strict=True):
        setattr(of, name, value)


@pytest.mark.usefixtures("fast_and_loose")
def test_a_gpu_is_exact_and_repeatable_while_a_frame_is_segmented() -> None:
    outside, seen = settings(), list[list[bool]]()

    class Watching(ScriptedNetwork):
        def memorize(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
            seen.append(settings())
            return super().memorize(*arguments, **options)  # type: ignore[arg-type]

    VideoSegmenter(Watching(), native()).step(blank()[0], prompt(box(10, 40, 20, 60)))
    assert seen == [[value for _, _, value in ON_A_GPU]]
    assert settings() == outside
