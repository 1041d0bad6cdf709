"""A segmenter that is restored goes on to the bit."""

import copy
import io
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from model.bank import BankConfig
from model.segmenter import VideoSegmenter
from tests.model.builders import (
    assert_same,
    clip,
    follow,
    native,
    prompt,
    segmenter,
)

CONFIGURATIONS = {
    "default": native(),
    "evicting": native(bank=BankConfig(budget=180)),
    "published": native(bank=BankConfig.published()),
    "first_last": native(bank=BankConfig(policy="first_last"), memory_every=2),
}


def through_a_file(state: dict[str, object]) -> dict[str, object]:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.save(state, file)
    file.seek(0)
    loaded: dict[str, object] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.parametrize("name", list(CONFIGURATIONS))
def test_a_restored_segmenter_goes_on_to_the_bit(name: str) -> None:
    """After any step, also before the first prompt; with a late joiner and a correction."""
    frames, labels = clip(6)
    one = np.where(labels == 1, 1, 0).astype(np.int32)
    prompts = {1: prompt(one[1]), 3: prompt(labels[3], 2), 4: prompt(labels[4], 1)}
    config = CONFIGURATIONS[name]

    def fresh() -> VideoSegmenter:
        return segmenter(config=config, object_ids=(1, 2))

    runner, states, results = fresh(), [], []
    for number, frame in enumerate(frames):
        states.append(through_a_file(runner.state()))
        results.append(runner.step(frame, prompts.get(number), keep_probabilities=True))
    if name == "evicting":
        assert sum(result.bank.evicted for result in results) > 0
    for position, state in enumerate(states):
        resumed = fresh()
        resumed.restore(state)
        for result, again in zip(results[position:], follow(resumed, frames, prompts, start=position), strict=True):
            assert_same(result, again)
        assert all(map(torch.equal, tensors(resumed.state()), tensors(runner.state())))


def tensors(state: object) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    return [found for part in state.values() for found in tensors(part)] if isinstance(state, dict) else []


def test_a_state_does_not_change_when_the_segmenter_goes_on() -> None:
    frames, labels = clip(5)
    runner = segmenter()
    follow(runner, frames[:2], {0: prompt(labels[0])})
    state = runner.state()
    kept = copy.deepcopy(state)
    follow(runner, frames, {3: prompt(labels[3], 1)}, start=2)
    runner.state()
    assert tensors(state)
    assert all(torch.equal(now, then) for now, then in zip(tensors(state), tensors(kept), strict=True))
    assert (state["step"], state["objects"]) == (kept["step"], kept["objects"])


def test_a_restored_segmenter_does_not_hang_on_the_state() -> None:
    frames, labels = clip(4)
    runner = segmenter()
    follow(runner, frames[:2], {0: prompt(labels[0])})
    state, other = runner.state(), runner.state()
    resumed = segmenter()
    resumed.restore(state)
    for tensor in tensors(state):
        tensor.zero_()
    reference = segmenter()
    reference.restore(other)
    for again, expected in zip(
        follow(resumed, frames, {}, start=2), follow(reference, frames, {}, start=2), strict=True
    ):
        assert_same(again, expected)


def test_two_segmenters_of_one_network_do_not_disturb_each_other() -> None:
    frames, labels = clip(3)
    others, other_labels = clip(3, seed=9)
    alone = follow(segmenter(), frames, {0: prompt(labels[0])})
    first, second = segmenter(), segmenter()
    for number in range(3):
        given, other = (prompt(mask[0]) if number == 0 else None for mask in (labels, other_labels))
        mixed = first.step(frames[number], given, keep_probabilities=True)
        second.step(others[number], other)
        assert_same(mixed, alone[number])
