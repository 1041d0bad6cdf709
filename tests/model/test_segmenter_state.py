"""A segmenter that is restored goes on to the bit."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.bank import BankConfig
from model.errors import BadState
from model.nearby import Nearby
from model.network import PLACE, untrained
from model.place import Place
from model.result import Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter
from model.state import LastFrame, SegmenterState
from tests.model.builders import (
    assert_same,
    clip,
    copy_of,
    follow,
    native,
    network,
    prompt,
    segmenter,
)
from tests.properties import costly

CONFIGURATIONS = {
    "default": native(),
    "evicting": native(bank=BankConfig(budget=180)),
    "published": native(bank=BankConfig.published()),
    "first_last": native(bank=BankConfig(policy="first_last"), memory_every=2),
    "append": native(bank=BankConfig(policy="append", protection=0.0), memory_every=3),
}
FRAMES, LABELS = clip(6)


def through_bytes(state: SegmenterState) -> SegmenterState:
    return SegmenterState.from_bytes(state.to_bytes())


def lasts_of(state: SegmenterState) -> "dict[str, LastFrame[Place] | LastFrame[Nearby] | None]":
    return {"places": state.places, "nearby": state.nearby}


def tensors(state: SegmenterState) -> Iterator[Tensor]:
    for rows in state.bank.channels.values():
        yield from vars(rows).values()
    for last in lasts_of(state).values():
        if last:
            yield from last.seen
    yield state.cuts.looks


def without_tensors(state: SegmenterState) -> dict[str, object]:
    lasts = {name: last and (last.channels, last.picture_size) for name, last in lasts_of(state).items()}
    cuts = vars(state.cuts) | {"looks": None}
    return {**vars(state), **lasts, "bank": state.bank.prompts, "cuts": cuts}


def assert_equal(first: SegmenterState, second: SegmenterState) -> None:
    assert without_tensors(first) == without_tensors(second)
    assert all(torch.equal(one, other) for one, other in zip(tensors(first), tensors(second), strict=True))


def told(config: SegmenterConfig | None = None) -> VideoSegmenter:
    """A segmenter whose network has learnt something of hints."""
    learnt = copy_of(network())
    torch.nn.init.normal_(learnt.get_parameter(PLACE), std=0.2, generator=torch.Generator().manual_seed(0))
    return segmenter(learnt, config)


def test_where_things_were_is_restored_too() -> None:
    runner, prompts = told(), {0: prompt(LABELS[0])}
    follow(runner, FRAMES[:3], prompts)
    state = runner.state()
    expected = follow(runner, FRAMES, {}, start=3)
    resumed, forgetful = told(), told()
    resumed.restore(through_bytes(state))
    forgetful.restore(replace(state, places=None))
    again, other = (follow(one, FRAMES, {}, start=3) for one in (resumed, forgetful))
    for one, same in zip(expected, again, strict=True):
        assert_same(one, same)
    assert expected[0].probabilities is not None
    assert other[0].probabilities is not None
    assert np.abs(expected[0].probabilities - other[0].probabilities).max() > 0.01


def test_what_lies_nearby_is_restored_too() -> None:
    runner, prompts = segmenter(), {0: prompt(LABELS[0])}
    follow(runner, FRAMES[:3], prompts)
    state = runner.state()
    expected = follow(runner, FRAMES, {}, start=3)
    forgetful = segmenter()
    forgetful.restore(replace(state, nearby=None))
    other = follow(forgetful, FRAMES, {}, start=3)
    assert expected[0].probabilities is not None
    assert other[0].probabilities is not None
    assert np.abs(expected[0].probabilities - other[0].probabilities).max() > 0.01


@pytest.mark.parametrize("name", list(CONFIGURATIONS))
def test_a_restored_segmenter_goes_on_to_the_bit(name: str) -> None:
    """After any step, also before the first prompt; with a late joiner and a correction."""
    one = np.where(LABELS == 1, 1, 0).astype(np.int32)
    prompts = {1: prompt(one[1]), 3: prompt(LABELS[3], 2), 4: prompt(LABELS[4], 1)}
    config = CONFIGURATIONS[name]

    def fresh() -> VideoSegmenter:
        return segmenter(config=config, object_ids=(1, 2))

    runner, states, results = fresh(), [], []
    for number, frame in enumerate(FRAMES):
        states.append(through_bytes(runner.state()))
        results.append(runner.step(frame, prompts.get(number), keep_probabilities=True))
    if name == "evicting":
        assert sum(result.bank.evicted for result in results) > 0
    for position, state in enumerate(states):
        resumed = fresh()
        resumed.restore(state)
        for result, again in zip(results[position:], follow(resumed, FRAMES, prompts, start=position), strict=True):
            assert_same(result, again)
        assert_equal(resumed.state(), runner.state())


PROMPTS = st.dictionaries(
    st.integers(0, len(FRAMES) - 1), st.sampled_from([(1,), (2,), (1, 2)]), min_size=1, max_size=3
)


@costly
@given(st.sampled_from(list(CONFIGURATIONS)), PROMPTS, st.integers(0, len(FRAMES)), st.integers(0, len(FRAMES)))
def test_interruptions_anywhere_change_nothing(
    name: str, prompted: dict[int, tuple[int, ...]], first: int, second: int
) -> None:
    """Whatever is prompted when, and interrupted twice: results and state are those of one go."""
    prompts: dict[int, Prompt] = {number: prompt(LABELS[number], *ids) for number, ids in prompted.items()}
    whole = runner = segmenter(config=CONFIGURATIONS[name])
    expected = follow(whole, FRAMES, prompts)
    runner, found = segmenter(config=CONFIGURATIONS[name]), []
    for number, frame in enumerate(FRAMES):
        for _ in range((first, second).count(number)):
            state = through_bytes(runner.state())
            runner = segmenter(config=CONFIGURATIONS[name], object_ids=(9,))  # the state says which were announced
            runner.restore(state)
        found.append(runner.step(frame, prompts.get(number), keep_probabilities=True))
    for one, other in zip(expected, found, strict=True):
        assert_same(one, other)
    assert_equal(whole.state(), runner.state())


def test_a_state_does_not_change_when_the_segmenter_goes_on() -> None:
    runner = segmenter()
    follow(runner, FRAMES[:2], {0: prompt(LABELS[0])})
    state = runner.state()
    kept = copy.deepcopy(state)
    follow(runner, FRAMES, {3: prompt(LABELS[3], 1)}, start=2)
    runner.state()
    assert list(tensors(state))
    assert_equal(state, kept)


def test_a_restored_segmenter_does_not_hang_on_the_state() -> None:
    runner = segmenter()
    follow(runner, FRAMES[:2], {0: prompt(LABELS[0])})
    state, other = runner.state(), runner.state()
    resumed = segmenter()
    resumed.restore(state)
    for tensor in tensors(state):
        tensor.zero_()
    reference = segmenter()
    reference.restore(other)
    for again, expected in zip(
        follow(resumed, FRAMES, {}, start=2), follow(reference, FRAMES, {}, start=2), strict=True
    ):
        assert_same(again, expected)


def test_another_configuration_is_refused_by_name_and_nothing_is_taken_over() -> None:
    maker, other = segmenter(config=native(memory_every=5)), segmenter()
    follow(maker, FRAMES[:1], {0: prompt(LABELS[0])})
    before = other.state()
    with pytest.raises(BadState, match="made with memory_every 5, this segmenter has 1"):
        other.restore(maker.state())
    assert_equal(other.state(), before)


def test_other_weights_are_refused() -> None:
    other = VideoSegmenter(untrained("lite0", seed=1), native())
    with pytest.raises(BadState, match=r"made with the weights [0-9a-f]{16}, this segmenter has [0-9a-f]{16}"):
        other.restore(segmenter().state())


def test_what_has_no_effect_on_a_mask_may_differ() -> None:
    maker, other = segmenter(config=native(object_chunk=1)), segmenter(config=SegmenterConfig(min_side=0, workspace=9))
    follow(maker, FRAMES[:2], {0: prompt(LABELS[0])})
    other.restore(maker.state())
    assert_equal(other.state(), maker.state())


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
