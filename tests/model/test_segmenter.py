"""What a prompt means, and what comes back for it."""

import numpy as np
import pytest
import torch

from model.ops import one_hot
from model.result import BankStatistics, FrameResult
from tests.model.builders import (
    HEIGHT,
    POSITIONS,
    WIDTH,
    ScriptedNetwork,
    assert_same,
    blank,
    box,
    clip,
    follow,
    logits_for,
    object_ids,
    prompt,
    relabelled,
    segmenter,
)

# Ids, void, objects


@pytest.mark.parametrize("ids", [(1, 3), (7, 300)])
def test_ids_come_back_as_they_are(ids: tuple[int, ...]) -> None:
    frames, labels = clip(4)
    named = relabelled(labels, ids)
    results = follow(segmenter(object_ids=ids), frames, {0: prompt(named[0])})
    np.testing.assert_array_equal(results[0].labels, named[0])
    assert all(object_ids(result) == list(ids) for result in results)
    assert all(set(np.unique(result.labels)) <= {0, *ids} for result in results[1:])
    assert all(result.labels.dtype == np.int32 for result in results)


@pytest.mark.parametrize("ids", [(1, 3), (7, 300)])
def test_each_channel_gets_its_own_id(ids: tuple[int, ...]) -> None:
    frames, labels = clip(2)
    named = relabelled(labels, ids)
    used = ScriptedNetwork([logits_for(named[1], ids)])
    results = follow(segmenter(used), frames, {0: prompt(named[0])})
    np.testing.assert_array_equal(results[1].labels, named[1])


def test_large_ids_are_not_rounded() -> None:
    frames, labels = clip(3)
    ids = (2**24 + 1, 2**31 - 1)
    named = relabelled(labels, ids)
    used = ScriptedNetwork([logits_for(named[1], ids)])
    results = follow(segmenter(used), frames, {0: prompt(named[0])})
    np.testing.assert_array_equal(results[1].labels, named[1])


def test_void_never_comes_back() -> None:
    frames, labels = clip(4)
    given = labels.copy()
    given[:, :10] = 255
    results = follow(segmenter(), frames, {0: prompt(given[0]), 2: prompt(given[2])})
    assert not any((result.labels == 255).any() for result in results)
    assert all(object_ids(result) == [1, 2] for result in results)


def test_void_is_background_before_the_first_prediction() -> None:
    given = box(10, 30, 10, 40)
    given[8:12] = 255
    used = ScriptedNetwork()
    (result,) = follow(segmenter(used), blank(1), {0: prompt(given)})
    np.testing.assert_array_equal(result.labels, np.where(given == 1, 1, 0))
    np.testing.assert_array_equal(used.masks[0][0].numpy(), given != 1)


def test_thirteen_objects() -> None:
    given = np.zeros((HEIGHT, WIDTH), np.int32)
    for number in range(13):
        row, column = divmod(number, 5)
        given[row * 20 : row * 20 + 16, column * 19 : column * 19 + 16] = number + 1
    results = follow(segmenter(), blank(3), {0: prompt(given)})
    np.testing.assert_array_equal(results[0].labels, given)
    for result in results[1:]:
        assert object_ids(result) == list(range(1, 14))
        assert result.probabilities is not None
        assert result.probabilities.shape == (14, HEIGHT, WIDTH)
        np.testing.assert_allclose(result.probabilities.sum(0), 1, atol=1e-5)


# No prompt, frames before the first prompt


def assert_nothing_seen(result: FrameResult) -> None:
    assert result.labels.shape == (HEIGHT, WIDTH)
    assert not result.labels.any()
    assert (result.objects, result.statistics, result.bank) == ((), None, BankStatistics())
    assert not result.prompted
    assert result.probabilities is None


def test_without_a_prompt_nothing_is_seen_and_nothing_is_asked() -> None:
    used = ScriptedNetwork()
    for result in follow(segmenter(used), blank(3), {}):
        assert_nothing_seen(result)
    assert (used.answers, used.masks) == ([], [])


def test_frames_before_the_first_prompt_are_skipped() -> None:
    used = ScriptedNetwork()
    frames, labels = clip(5)
    runner = segmenter(used)
    results = follow(runner, frames, {2: prompt(labels[2])})
    for result in results[:2]:
        assert_nothing_seen(result)
    assert results[2].prompted
    assert (len(used.answers), len(used.masks)) == (2, 3)
    assert results[2].statistics is None
    assert results[3].statistics is not None


# Prompted frames


def test_the_prompt_wins_over_the_prediction_for_its_objects() -> None:
    """The network says 1 on the left and 2 on the right; the prompt speaks for 1 alone."""
    said = box(0, 64, 0, 48, 1) + box(0, 64, 48, 96, 2)
    used = ScriptedNetwork([logits_for(said, (1, 2))])
    given = box(0, 20, 40, 60, 1)
    results = follow(segmenter(used), blank(2), {0: prompt(said), 1: prompt(given, 1)})
    expected = np.where(given == 1, 1, np.where(said == 2, 2, 0))
    np.testing.assert_array_equal(results[1].labels, expected)


def test_labels_of_other_ids_in_a_prompt_say_nothing() -> None:
    said = box(0, 64, 0, 48, 1) + box(0, 64, 48, 96, 2)
    used = ScriptedNetwork([logits_for(said, (1, 2))])
    given = box(0, 20, 0, 20, 1) + box(40, 60, 0, 20, 2)
    results = follow(segmenter(used), blank(2), {0: prompt(said), 1: prompt(given, 1)})
    expected = np.where(given == 1, 1, np.where(said == 2, 2, 0))
    np.testing.assert_array_equal(results[1].labels, expected)


def test_a_prompt_without_a_pixel_removes_the_object_from_the_frame() -> None:
    said = box(0, 64, 0, 48, 1) + box(0, 64, 48, 96, 2)
    used = ScriptedNetwork([logits_for(said, (1, 2))])
    nowhere = np.zeros((HEIGHT, WIDTH), np.int32)
    results = follow(segmenter(used), blank(3), {0: prompt(said), 1: prompt(nowhere, 1)})
    np.testing.assert_array_equal(results[1].labels, np.where(said == 2, 2, 0))
    np.testing.assert_array_equal(results[2].labels, said)


def test_void_keeps_the_prediction() -> None:
    said = box(10, 50, 10, 80, 1)
    used = ScriptedNetwork([logits_for(said, (1,))])
    given = box(0, 30, 0, 30, 1)
    given[:, 60:] = 255
    results = follow(segmenter(used), blank(2), {0: prompt(said), 1: prompt(given, 1)})
    expected = given.copy()
    expected[:, 60:] = said[:, 60:]
    np.testing.assert_array_equal(results[1].labels, expected)


def test_the_merged_labels_are_what_is_memorized() -> None:
    said = box(0, 64, 0, 48, 1) + box(0, 64, 48, 96, 2)
    used = ScriptedNetwork([logits_for(said, (1, 2))])
    results = follow(segmenter(used), blank(2), {0: prompt(said), 1: prompt(box(0, 20, 40, 60, 1), 1)})
    merged = one_hot(torch.from_numpy(results[1].labels), (0, 1, 2))
    assert torch.equal(used.masks[1], merged)


def test_statistics_of_a_prompted_frame_are_the_network_s_own() -> None:
    frames, labels = clip(3)
    first = {0: prompt(labels[0])}
    own = follow(segmenter(), frames, first)[2]
    corrected = follow(segmenter(), frames, {**first, 2: prompt(labels[2])})[2]
    assert own.statistics is not None
    assert corrected.statistics == own.statistics
    assert corrected.objects == own.objects
    np.testing.assert_array_equal(corrected.labels, labels[2])
    assert not np.array_equal(own.labels, labels[2])
    assert (own.prompted, corrected.prompted) == (False, True)


def test_the_first_frame_has_no_statistics_of_its_objects() -> None:
    frames, labels = clip(1)
    (result,) = follow(segmenter(), frames, {0: prompt(labels[0])})
    assert result.statistics is None
    assert [(thing.score, thing.uncertainty) for thing in result.objects] == [(None, None)] * 2


def test_a_correction_changes_what_follows() -> None:
    frames, labels = clip(4)
    first = {0: prompt(labels[0])}
    plain = follow(segmenter(), frames, first)
    corrected = follow(segmenter(), frames, {**first, 2: prompt(labels[2], 1)})
    assert_same(plain[1], corrected[1])
    assert plain[3].probabilities is not None
    assert corrected[3].probabilities is not None
    assert not np.array_equal(plain[3].probabilities, corrected[3].probabilities)
    np.testing.assert_array_equal(corrected[2].labels == 1, labels[2] == 1)


def test_annotated_features_are_appended_and_protected() -> None:
    frames, labels = clip(1)
    twice = torch.cat([frames, frames])
    first, second = follow(segmenter(), twice, {n: prompt(labels[0]) for n in range(2)})
    assert (first.bank.appended, first.bank.merged) == (3 * POSITIONS, 0)
    assert (second.bank.appended, second.bank.merged) == (3 * POSITIONS, 0)  # the same features once more
    assert second.bank.protected_share == 1
