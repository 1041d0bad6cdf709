"""What only a GPU can show: that steps are recorded there, that nothing is chosen by chance, and what bf16 does."""

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
import torch

from model.bank import BankConfig
from model.capture import CudaGraphs
from model.result import FrameResult, Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter
from model.transfer import Download, Upload
from tests.model.builders import POSITIONS, assert_same, clip, copy_of, follow, native, network, prompt, rows_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")

T = TypeVar("T")
FRAMES = 30


class Counted(CudaGraphs):
    """Counts what was recorded and replayed."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded = 0
        self.replayed = 0

    def __call__(self, function: Callable[[], T]) -> tuple[T, Callable[[], object]]:
        found, replay = super().__call__(function)
        self.recorded += 1

        def counted() -> None:
            self.replayed += 1
            replay()

        return found, counted


CONFIGURATIONS = {
    "default": native(),
    "evicting": native(bank=BankConfig(budget=180)),
    "filling step by step": native(bank=BankConfig(budget=3 * 16 * POSITIONS, merge_threshold=0.999)),
    "every third frame": native(memory_every=3),
    "bf16": native(precision="bf16"),
    "enlarged": SegmenterConfig(min_side=180),
}


def run(
    config: SegmenterConfig, record: CudaGraphs | None = None, device: str = "cuda"
) -> tuple[list[FrameResult], VideoSegmenter]:
    """With an object that joins late and a correction."""
    frames, labels = clip(FRAMES)
    prompts: dict[int, Prompt] = {
        0: prompt(np.where(labels[0] == 1, 1, 0).astype(np.int32)),
        4: prompt(labels[4], 2),
        12: prompt(labels[12], 1),
    }
    runner = VideoSegmenter(copy_of(network()).to(device), config, record=record)
    return follow(runner, frames, prompts), runner


def assert_equal_runs(
    first: tuple[list[FrameResult], VideoSegmenter], second: tuple[list[FrameResult], VideoSegmenter]
) -> None:
    for one, other in zip(first[0], second[0], strict=True):
        assert_same(one, other)
    for rows, others in zip(rows_of(first[1]).values(), rows_of(second[1]).values(), strict=True):
        assert all(torch.equal(vars(rows)[name], vars(others)[name]) for name in vars(rows))


@pytest.mark.parametrize("name", list(CONFIGURATIONS))
def test_two_runs_are_equal_in_every_bit(name: str) -> None:
    assert_equal_runs(run(CONFIGURATIONS[name]), run(CONFIGURATIONS[name]))


@pytest.mark.parametrize("name", list(CONFIGURATIONS))
def test_what_is_replayed_is_equal_in_every_bit(name: str) -> None:
    graphs = Counted()
    replayed = run(CONFIGURATIONS[name], graphs)
    assert graphs.recorded >= 3 and graphs.replayed >= FRAMES // 2
    assert_equal_runs(run(CONFIGURATIONS[name]), replayed)


def test_another_thread_may_bring_frames_while_a_step_is_recorded() -> None:
    frames, _ = clip(2)
    upload, ends, brought = Upload(torch.device("cuda")), threading.Event(), list[torch.Tensor]()

    def bring() -> None:
        while not ends.is_set():
            brought[:] = [upload(frames[1]).arrived()]

    thread = threading.Thread(target=bring)
    thread.start()
    try:
        graphs = Counted()
        replayed = run(native(), graphs)
    finally:
        ends.set()
        thread.join()
    assert graphs.replayed >= FRAMES // 2
    assert torch.equal(brought[0].cpu(), frames[1])
    assert_equal_runs(run(native()), replayed)


def test_a_gpu_gives_the_labels_of_a_cpu() -> None:
    """Steps in full precision, to single pixels; bf16 to a few in a hundred, of a network that has learnt nothing."""
    on_cpu, _ = run(native(), device="cpu")
    for precision, most in (("fp32", 0.002), ("bf16", 0.1)):
        found, _ = run(native(precision=precision))
        different = np.mean([np.mean(one.labels != other.labels) for one, other in zip(on_cpu, found, strict=True)])
        assert different <= most, precision


def test_what_goes_there_and_back_is_the_same() -> None:
    frame = torch.randint(0, 256, (48, 64, 3), dtype=torch.uint8).permute(2, 0, 1)
    there = Upload(torch.device("cuda"))(frame).arrived()
    assert there.device.type == "cuda"
    assert torch.equal(Download(there).fetch(), frame)
