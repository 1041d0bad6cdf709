"""Frames that are alike are replayed. `Tape` stands for a CUDA graph: it does again what was done, in place."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.bank import BankConfig
from model.capture import Captured
from model.labels import best_labels_at_once, upsampled_labels_at_once
from model.network import AFBURR, Segmentation
from model.ops import matrix_mean, top2_at_once
from model.result import FrameResult, Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter
from model.slots import Rows
from tests.model.builders import (
    POSITIONS,
    assert_same,
    blank,
    box,
    clip,
    follow,
    native,
    network,
    prompt,
    rows_of,
)
from tests.model.recorders import Tape

# What records


def test_the_tape_records_without_doing_and_replays_in_place() -> None:
    state, given, tape = torch.zeros(2), torch.ones(2), Tape()
    found, replay = tape(lambda: (state.add_(given * 2)[None] + 1).sum())
    assert state.tolist() == [0, 0]
    replay()
    assert (state.tolist(), float(found)) == ([2, 2], 6)
    given.fill_(10)
    replay()
    assert (state.tolist(), float(found)) == ([22, 22], 46)


@pytest.mark.parametrize("asks", [lambda x: bool(x.any()), lambda x: x.sum().item()])
def test_the_tape_refuses_what_the_host_would_wait_for(asks: Callable[[Tensor], object]) -> None:
    with pytest.raises(RuntimeError, match="the host asked"):
        Tape()(lambda: asks(torch.ones(1) + 1))


@pytest.mark.parametrize("function", [lambda x: x[x > 1] + 1, lambda x: torch.unique(x)])
def test_the_tape_refuses_shapes_that_depend_on_values(function: Callable[[Tensor], Tensor]) -> None:
    given = torch.zeros(3)
    _, replay = Tape()(lambda: function(given))
    given.copy_(torch.tensor([2.0, 3.0, 4.0]))
    with pytest.raises(RuntimeError, match="shape depends on values"):
        replay()


# Captured


def captured(tape: Tape | None) -> Captured[Tensor]:
    return Captured(tape, torch.device("cpu"))


def test_the_first_of_frames_that_are_alike_is_done_and_the_others_are_replayed() -> None:
    tape, calls = Tape(), list[str]()
    steps = captured(tape)

    def double(frame: Tensor) -> Tensor:
        calls.append("called")
        return frame * 2

    assert [int(steps.run("a", torch.full((1,), n), double)) for n in range(5)] == [0, 2, 4, 6, 8]
    assert (len(calls), tape.recorded, tape.replayed) == (2, 1, 4)


def test_frames_that_are_not_alike_are_recorded_each() -> None:
    tape = Tape()
    steps = captured(tape)
    frame = torch.ones(1)
    found = [float(steps.run(factor, frame, lambda x, f=factor: x * f)) for factor in (2, 3, 2, 3, 3, 2)]  # type: ignore[misc]
    assert found == [2, 3, 2, 3, 3, 2]
    assert (tape.recorded, tape.replayed) == (2, 4)


def test_another_size_and_forgetting_begin_anew() -> None:
    tape = Tape()
    steps = captured(tape)
    for size in (1, 1, 2, 2, 1, 1):
        assert float(steps.run("a", torch.ones(size), torch.sum)) == size
    assert (tape.recorded, tape.replayed) == (3, 3)
    steps.forget()
    steps.run("a", torch.ones(1), torch.sum)
    assert tape.replayed == 3


def test_where_nothing_can_be_recorded_it_says_so_once_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Tape):
        def __call__(self, function: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], object]]:  # type: ignore[override]
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    steps = captured(Broken())
    with caplog.at_level(logging.WARNING):
        assert [float(steps.run(n % 2, torch.full((1,), float(n)), torch.sum)) for n in range(6)] == list(range(6))
    (message,) = caplog.messages
    assert "not permitted when stream is capturing" in message and "--capture" in message


# A segmenter


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is done otherwise there."""
    monkeypatch.setattr("model.slots.segment_mean", lambda values, index, _backend: matrix_mean(values, index))
    monkeypatch.setattr("model.segmenter.best_labels", best_labels_at_once)
    monkeypatch.setattr("model.segmenter.upsampled_labels", upsampled_labels_at_once)
    monkeypatch.setattr("model.uncertainty.top2", top2_at_once)


def pair(
    config: SegmenterConfig, used: tuple[AFBURR, AFBURR] | None = None
) -> tuple[VideoSegmenter, VideoSegmenter, Tape]:
    """One that asks for everything again, and one that replays."""
    eager, replaying = used or (network(), network())
    tape = Tape()
    return (
        VideoSegmenter(eager, config, together=True),
        VideoSegmenter(replaying, config, together=True, record=tape),
        tape,
    )


CONFIGURATIONS = {
    "default": native(),
    "evicting": native(bank=BankConfig(budget=180)),
    "filling step by step": native(bank=BankConfig(budget=3 * 16 * POSITIONS, merge_threshold=0.999)),
    "first and last": native(bank=BankConfig(policy="first_last")),
    "every third frame": native(memory_every=3),
    "enlarged, one channel at a time": SegmenterConfig(min_side=80, object_chunk=1),
}


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("name", list(CONFIGURATIONS))
def test_what_is_replayed_is_equal_in_every_bit(name: str) -> None:
    """With an object that joins late and a correction."""
    frames, labels = clip(14)
    prompts = {
        0: prompt(np.where(labels[0] == 1, 1, 0).astype(np.int32)),
        3: prompt(labels[3], 2),
        4: prompt(labels[4], 1),
    }
    eager, replaying, tape = pair(CONFIGURATIONS[name])
    for first, second in zip(follow(eager, frames, prompts), follow(replaying, frames, prompts), strict=True):
        assert_same(first, second)
    assert_same_rows(eager, replaying)
    assert tape.replayed >= 5


def assert_same_rows(first: VideoSegmenter, second: VideoSegmenter) -> None:
    for one, other in zip(rows_of(first).values(), rows_of(second).values(), strict=True):
        assert all(torch.equal(vars(one)[name], vars(other)[name]) for name in vars(one))


class ColourNetwork(AFBURR):
    """Object 1 is what is red, object 2 what is green."""

    def __init__(self) -> None:
        super().__init__()
        self.load_state_dict(network().state_dict())

    def segment(self, picture_B3HW: Tensor, memory: Sequence[Sequence[Rows]], **options: Any) -> Segmentation:
        found = super().segment(picture_B3HW, memory, **options)
        coloured = (picture_B3HW[:, :2] > 0.9).float()
        return found._replace(logits=6 * torch.cat([torch.full_like(coloured[:, :1], 0.5), coloured], dim=1))


@pytest.mark.usefixtures("as_on_a_gpu")
def test_objects_that_leave_and_come_back_are_replayed() -> None:
    labels = box(4, 30, 4, 40) + box(34, 60, 50, 90, object_id=2)
    frames = blank(10) // 2
    for number, frame in enumerate(frames):
        for object_id in (1, 2):
            if object_id == 2 or number not in (3, 4, 5):
                frame[object_id - 1][torch.from_numpy(labels == object_id)] = 255
    eager, replaying, tape = pair(native(), (ColourNetwork(), ColourNetwork()))
    found = [follow(runner, frames, {0: prompt(labels)}) for runner in (eager, replaying)]
    for first, second in zip(*found, strict=True):
        assert_same(first, second)
    assert_same_rows(eager, replaying)
    there = [(result.labels == 1).any() for result in found[1]]
    assert there == [number not in (3, 4, 5) for number in range(10)]
    assert tape.replayed >= 6


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_video_whose_size_changes_and_changes_back() -> None:
    frames, labels = clip(4)
    small = blank(3, (48, 64))
    mixed = [*frames, *small, *frames, *frames]
    eager, replaying, tape = pair(native())
    for number, frame in enumerate(mixed):
        given = prompt(labels[0]) if number == 0 else None
        assert_same(eager.step(frame, given), replaying.step(frame, given))
    assert_same_rows(eager, replaying)
    assert tape.recorded >= 3


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_state_is_that_of_stepping_and_can_be_gone_on_with() -> None:
    frames, labels = clip(8)
    eager, replaying, tape = pair(native())
    for runner in (eager, replaying):
        follow(runner, frames[:5], {0: prompt(labels[0])})
    state = replaying.state()
    follow(replaying, frames[5:], {}, start=5)  # which leaves the state as it was
    replaying.restore(state)
    for first, second in zip(*(follow(runner, frames, {}, start=5) for runner in (eager, replaying)), strict=True):
        assert_same(first, second)
    assert tape.replayed >= 4


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_recording_that_fails_leaves_no_trace() -> None:
    class Failing(Tape):
        def __call__(self, function: Callable[[], FrameResult]) -> tuple[FrameResult, Callable[[], object]]:  # type: ignore[override]
            super().__call__(function)
            raise RuntimeError("out of memory for graphs")

    frames, labels = clip(7)
    config = CONFIGURATIONS["filling step by step"]
    eager = VideoSegmenter(network(), config, together=True)
    failing = VideoSegmenter(network(), config, together=True, record=Failing())
    prompts: dict[int, Prompt] = {0: prompt(labels[0])}
    for first, second in zip(follow(eager, frames, prompts), follow(failing, frames, prompts), strict=True):
        assert_same(first, second)
    assert_same_rows(eager, failing)


def test_channels_that_go_alone_are_never_recorded() -> None:
    frames, labels = clip(5)
    tape = Tape()
    follow(VideoSegmenter(network(), native(), record=tape), frames, {0: prompt(labels[0])})
    assert tape.recorded == 0
