"""As on a GPU: all channels go together, and the host asks for one parcel a frame, at its end.

The device "meta" stands for the GPU: its tensors hold no values, so that whatever waited for one would fail.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache

import numpy as np
import pytest
import torch

from model.bank import BankConfig
from model.errors import NonFinite
from model.network import AFBURR
from model.result import FrameResult, Labels
from model.segmenter import SegmenterConfig, VideoSegmenter
from model.state import SegmenterState
from tests.model.builders import (
    HEIGHT,
    POSITIONS,
    WIDTH,
    ScriptedNetwork,
    blank,
    clip,
    copy_of,
    follow,
    logits_for,
    native,
    network,
    prompt,
    rows_of,
    segmenter,
)
from tests.model.recorders import Questions, Uploads

SLOW_ON_A_GPU = ("topk", "kthvalue", "bincount", "unique", "nonzero", "_local_scalar_dense", "item")


def many(objects: int) -> Labels:
    """Labels with so many objects, each a box of its own."""
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    for number in range(objects):
        top, left = number // 6 * 16, number % 6 * 16
        labels[top : top + 14, left : left + 12] = number + 1
    return labels


def small_bank(channels: int) -> SegmenterConfig:
    """Full after two frames."""
    return native(bank=BankConfig(budget=2 * POSITIONS * channels))


@cache
def steady_state(channels: int) -> SegmenterState:
    """After some frames, the bank is full."""
    runner = segmenter(config=small_bank(channels))
    runner.step(blank(1)[0], prompt(many(channels - 1)))
    results = [runner.step(frame) for frame in blank(4)]
    assert results[-1].bank.evicted > 0
    return runner.state()


def questions_of_a_step(channels: int, monkeypatch: pytest.MonkeyPatch) -> Questions:
    """Of a step without a prompt, submitted and collected."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which knows no "meta"
    runner = VideoSegmenter(copy_of(network()).to("meta"), small_bank(channels))
    monkeypatch.setitem(vars(runner), "_weights", steady_state(channels).weights)
    runner.restore(steady_state(channels))
    frame = blank(1)[0].to("meta")
    with Uploads() as uploads, Questions() as questions:
        runner.submit(frame)
        assert questions.transfers == uploads.count == 0
        with pytest.raises(NonFinite):  # as the zeros say that stand for what was fetched
            runner.collect()
    return questions


@pytest.mark.parametrize("channels", [2, 4, 21])
def test_a_steady_step_waits_for_the_device_once(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = questions_of_a_step(channels, monkeypatch)
    assert questions.transfers == 1
    assert not [name for name in questions.names if any(slow in name for slow in SLOW_ON_A_GPU)]
    assert sum("index_add" in name for name in questions.names) <= 1  # the histogram's: ones, exact in any order


def test_a_steady_step_makes_as_many_calls_for_two_channels_as_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    two, four, eight = (sorted(questions_of_a_step(channels, monkeypatch).names) for channels in (2, 4, 8))
    assert two == four == eight


def test_the_recorder_sees_what_would_wait() -> None:
    values = torch.rand(3, device="meta")
    for question in (bool, torch.nonzero, torch.unique, lambda x: values[x > 1]):
        with Questions(), pytest.raises((RuntimeError, NotImplementedError)):
            question(values[0] if question is bool else values)
    with Questions() as questions:
        values.cpu()
        values.to("cpu")
    assert questions.transfers == 2


def test_so_does_what_the_host_brings() -> None:
    values = torch.rand(3, device="meta")
    with Uploads() as uploads:
        torch.tensor([1], device="meta")
        torch.as_tensor((1, 2), device="meta")
        values[[0, 2]]
        values[1:], values[torch.arange(2, device="meta")]
    assert uploads.count == 3


# The same results


def assert_close(first: FrameResult, second: FrameResult) -> None:
    """Equal labels and counts; numbers to rounding."""
    np.testing.assert_array_equal(first.labels, second.labels)
    assert (first.bank, first.prompted) == (second.bank, second.prompted)
    assert first.statistics == second.statistics or vars(first.statistics) == pytest.approx(
        vars(second.statistics), abs=1e-4
    )
    for one, other in zip(first.objects, second.objects, strict=True):
        assert vars(one) == pytest.approx(vars(other), abs=1e-4)
    if first.probabilities is not None and second.probabilities is not None:
        np.testing.assert_allclose(first.probabilities, second.probabilities, atol=2e-5)


CONFIGURATIONS = {
    "default": native(),
    "evicting": native(bank=BankConfig(budget=180)),
    "published": native(bank=BankConfig.published()),
    "first and last": native(bank=BankConfig(policy="first_last")),
    "every second frame, enlarged": SegmenterConfig(min_side=80, memory_every=2),
}


def pair(config: SegmenterConfig, used: Sequence[AFBURR] = ()) -> tuple[VideoSegmenter, VideoSegmenter]:
    """Two segmenters: channels alone, as on the CPU, and together."""
    alone, together = used or (network(), network())
    return VideoSegmenter(alone, config), VideoSegmenter(together, config, together=True)


@pytest.mark.parametrize("name", list(CONFIGURATIONS))
def test_together_gives_what_alone_gives(name: str) -> None:
    """With an object that joins late and a correction."""
    frames, labels = clip(6)
    prompts = {
        0: prompt(np.where(labels[0] == 1, 1, 0).astype(np.int32)),
        2: prompt(labels[2], 2),
        4: prompt(labels[4], 1),
    }
    alone, together = pair(CONFIGURATIONS[name])
    for first, second in zip(follow(alone, frames, prompts), follow(together, frames, prompts), strict=True):
        assert_close(first, second)


def test_an_object_out_of_the_frame_stores_nothing_together() -> None:
    frames, labels = clip(3)
    script = [logits_for(np.where(labels[1] == 1, 1, 0).astype(np.int32), (1, 2))]
    alone, together = pair(native(), (ScriptedNetwork(script), ScriptedNetwork(script)))
    for first, second in zip(
        *(follow(runner, frames, {0: prompt(labels[0])}) for runner in (alone, together)), strict=True
    ):
        assert_close(first, second)
    assert len(rows_of(together)[2].use) == POSITIONS


def test_a_state_goes_on_together_and_alone() -> None:
    frames, labels = clip(5)
    alone, together = pair(native())
    follow(alone, frames[:3], {0: prompt(labels[0])})
    together.restore(alone.state())
    for first, second in zip(*(follow(runner, frames, {}, start=3) for runner in (alone, together)), strict=True):
        assert_close(first, second)


# Submit and collect


def test_submit_and_collect_are_a_step() -> None:
    frames, labels = clip(3)
    stepping, submitting = segmenter(), segmenter()
    for number, frame in enumerate(frames):
        given = prompt(labels[0]) if number == 0 else None
        submitting.submit(frame, given)
        expected, found = stepping.step(frame, given), submitting.collect()
        np.testing.assert_array_equal(found.labels, expected.labels)
        assert (found.objects, found.statistics, found.bank) == (expected.objects, expected.statistics, expected.bank)


def test_what_is_submitted_is_collected_before_anything_else() -> None:
    frames, labels = clip(2)
    runner = segmenter()
    with pytest.raises(RuntimeError, match="submit"):
        runner.collect()
    runner.submit(frames[0], prompt(labels[0]))
    with pytest.raises(RuntimeError, match="collect"):
        runner.submit(frames[1])
    with pytest.raises(RuntimeError, match="collect"):
        runner.state()
    assert runner.collect().prompted


@pytest.mark.parametrize("part", ["decoder.pred.bias", "key_value.key.bias"])
def test_what_is_not_finite_is_said_when_it_is_collected(part: str) -> None:
    frames, labels = clip(2)
    runner = VideoSegmenter(copy_of(network()), native(), together=True)
    runner.step(frames[0], prompt(labels[0]))
    before = rows_of(runner)
    with torch.no_grad():
        runner._original.get_parameter(part)[..., 0] = torch.nan
    runner.submit(frames[1])
    with pytest.raises(NonFinite, match="not finite"):
        runner.collect()
    for channel, rows in rows_of(runner).items():
        assert torch.equal(rows.key, before[channel].key)
