"""Each setting does what it says, and the budget is kept."""

from typing import Any

import numpy as np
import pytest
import torch

from model.bank import BankConfig
from model.errors import BudgetTooSmall
from tests.model.builders import (
    HEIGHT,
    POSITIONS,
    WIDTH,
    ScriptedNetwork,
    clip,
    follow,
    logits_for,
    native,
    prompt,
    segmenter,
)

# Settings


@pytest.mark.parametrize("chunk", [1, 3])
def test_object_chunks_agree(chunk: int) -> None:
    frames, labels = clip(4, 4)
    prompts = {0: prompt(labels[0]), 2: prompt(labels[2], 1)}
    whole = follow(segmenter(), frames, prompts)
    parts = follow(segmenter(config=native(object_chunk=chunk)), frames, prompts)
    for all_at_once, in_chunks in zip(whole[1:], parts[1:], strict=True):
        assert all_at_once.probabilities is not None
        assert in_chunks.probabilities is not None
        np.testing.assert_allclose(in_chunks.probabilities, all_at_once.probabilities, atol=1e-5)
        assert in_chunks.bank == all_at_once.bank


def test_a_small_workspace_agrees() -> None:
    frames, labels = clip(3)
    whole = follow(segmenter(), frames, {0: prompt(labels[0])})[2]
    parts = follow(segmenter(config=native(workspace=100)), frames, {0: prompt(labels[0])})[2]
    assert whole.probabilities is not None
    assert parts.probabilities is not None
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=1e-5)


def test_refinement_makes_a_difference() -> None:
    frames, labels = clip(2)
    refined = follow(segmenter(), frames, {0: prompt(labels[0])})[1]
    coarse = follow(segmenter(config=native(refine=False)), frames, {0: prompt(labels[0])})[1]
    assert refined.probabilities is not None
    assert coarse.probabilities is not None
    assert np.abs(refined.probabilities - coarse.probabilities).max() > 1e-4


def test_memory_every_second_frame_and_every_prompted_one() -> None:
    frames, labels = clip(6)
    used = ScriptedNetwork()
    results = follow(segmenter(used, native(memory_every=2)), frames, {0: prompt(labels[0]), 3: prompt(labels[3])})
    absorbed = [result.bank.merged + result.bank.appended > 0 for result in results]
    assert absorbed == [True, False, True, True, True, False]
    assert (len(used.masks), len(used.answers)) == (4, 5)


def test_predicted_masks_are_memorized_as_probabilities() -> None:
    frames, labels = clip(2)
    used = ScriptedNetwork()
    result = follow(segmenter(used), frames, {0: prompt(labels[0])})[1]
    assert result.probabilities is not None
    np.testing.assert_array_equal(used.masks[1].numpy(), result.probabilities)


@pytest.mark.parametrize(
    "bank",
    [
        BankConfig.published(),
        BankConfig(policy="append"),
        BankConfig(policy="first_last"),
        BankConfig(update_rate=0.05, merge_threshold=0.8),
    ],
    ids=["published", "append", "first_last", "long"],
)
def test_every_bank_runs(bank: BankConfig) -> None:
    frames, labels = clip(5)
    runner = segmenter(config=native(bank=bank), object_ids=(1, 2))
    results = follow(runner, frames, {0: prompt(labels[0])})
    assert all(result.labels.shape == (HEIGHT, WIDTH) for result in results)
    if bank.policy == "append":
        assert [result.bank.appended for result in results] == [3 * POSITIONS] * 5
    if bank.policy == "first_last":
        assert [result.bank.size for result in results] == [3 * POSITIONS] + [6 * POSITIONS] * 4


def test_the_published_bank_stores_empty_masks_and_merges_prompts() -> None:
    frames, labels = clip(1)
    used = ScriptedNetwork([logits_for(np.zeros((HEIGHT, WIDTH), np.int32), (1, 2))])
    runner = segmenter(used, native(bank=BankConfig.published()))
    twice = torch.cat([frames, frames, frames])
    results = follow(runner, twice, {0: prompt(labels[0]), 1: prompt(labels[0])})
    assert (results[1].bank.merged, results[1].bank.appended) == (3 * POSITIONS, 0)
    assert results[2].bank.merged + results[2].bank.appended == 3 * POSITIONS
    assert results[2].bank.protected_share == 0


@pytest.mark.parametrize("precision", ["bf16"])
def test_low_precision_stays_close(precision: Any) -> None:
    frames, labels = clip(2)
    exact = follow(segmenter(), frames, {0: prompt(labels[0])})[1]
    rounded = follow(segmenter(config=native(precision=precision)), frames, {0: prompt(labels[0])})[1]
    assert exact.probabilities is not None
    assert rounded.probabilities is not None
    assert rounded.probabilities.dtype == np.float32
    assert not np.array_equal(rounded.probabilities, exact.probabilities)
    np.testing.assert_allclose(rounded.probabilities, exact.probabilities, atol=0.03)


# Budget


def test_a_budget_below_two_frames_is_refused_with_the_numbers_before_any_frame() -> None:
    runner = segmenter(config=native(bank=BankConfig(budget=143)), object_ids=(1, 2))
    with pytest.raises(BudgetTooSmall, match=r"143 rows.* 3 channels.*24 positions.*144.*max_side"):
        runner.check_budget(HEIGHT, WIDTH)


def test_a_budget_of_two_frames_suffices() -> None:
    frames, labels = clip(5)
    runner = segmenter(config=native(bank=BankConfig(budget=144)), object_ids=(1, 2))
    runner.check_budget(HEIGHT, WIDTH)
    results = follow(runner, frames, {n: prompt(labels[n]) for n in (0, 2, 4)})
    assert max(result.bank.size for result in results) <= 144
    assert sum(result.bank.evicted + result.bank.dropped for result in results) > 0


def test_the_budget_counts_positions_at_network_size() -> None:
    config = native(bank=BankConfig(budget=144), max_side=96)
    segmenter(config=config, object_ids=(1, 2)).check_budget(640, 960)
    with pytest.raises(BudgetTooSmall):
        segmenter(config=config, object_ids=(1, 2)).check_budget(960, 960)


def test_an_object_nobody_announced_is_refused_when_it_does_not_fit() -> None:
    frames, labels = clip(2)
    runner = segmenter(config=native(bank=BankConfig(budget=96)), object_ids=(1,))
    runner.check_budget(HEIGHT, WIDTH)
    with pytest.raises(BudgetTooSmall):
        runner.step(frames[0], prompt(labels[0]))


def test_the_default_budget_always_suffices_and_grows_with_the_objects() -> None:
    bank = BankConfig()
    assert bank.resolve_budget(2, POSITIONS) == 40_000
    assert bank.resolve_budget(4, 8_000) == 64_000
    segmenter(object_ids=range(1, 200)).check_budget(4000, 4000)


def test_announced_objects_share_the_budget_from_the_first_frame() -> None:
    """With 4 objects to come, the share is 40 rows: one frame's 24 and 16 more."""
    frames, labels = clip(4, 1)
    config = native(bank=BankConfig(budget=240, policy="append"))
    planned = follow(segmenter(config=config, object_ids=(1, 2, 3, 4)), frames, {0: prompt(labels[0])})
    alone = follow(segmenter(config=config, object_ids=(1,)), frames, {0: prompt(labels[0])})
    assert [result.bank.size for result in planned] == [48, 96, 96, 96]
    assert [result.bank.size for result in alone] == [48, 96, 144, 192]
