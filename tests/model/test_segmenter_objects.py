"""Objects that join late, leave, or have no pixel."""

import numpy as np
import pytest
import torch

from model.bank import BankConfig
from tests.model.builders import (
    HEIGHT,
    POSITIONS,
    WIDTH,
    ScriptedNetwork,
    blank,
    box,
    clip,
    follow,
    logits_for,
    native,
    object_ids,
    prompt,
    relabelled,
    rows_of,
    segmenter,
)


def test_a_late_joiner_leaves_the_others_their_history() -> None:
    frames, labels = clip(5)
    runner = segmenter(object_ids=(1, 2))
    follow(runner, frames[:3], {0: prompt(np.where(labels[0] == 1, 1, 0).astype(np.int32))})
    before = rows_of(runner)
    follow(runner, frames, {3: prompt(labels[3], 2)}, start=3)
    after = rows_of(runner)
    assert sorted(before) == [0, 1]
    assert sorted(after) == [0, 1, 2]
    for channel, rows in before.items():
        known = len(rows.inserted)
        assert torch.equal(after[channel].inserted[:known], rows.inserted)
        assert (after[channel].use[:known] >= rows.use).all()
        assert rows.use.sum() > 0
        assert (rows.inserted == 0).any()
    assert int(after[2].inserted.min()) == 3


def test_reads_are_credited_to_the_rows() -> None:
    """Without merges, use grows by reads alone: the second frame's read uses the first one's rows."""
    frames, labels = clip(2)
    runner = segmenter(config=native(bank=BankConfig(policy="append")))
    follow(runner, frames, {0: prompt(labels[0])})
    for rows in rows_of(runner).values():
        assert rows.use[:POSITIONS].sum() > 0
        assert not rows.use[POSITIONS:].any()


def test_a_late_joiner_is_predicted_from_the_next_frame_on() -> None:
    frames, labels = clip(4)
    one, two = (np.where(labels == i, i, 0).astype(np.int32) for i in (1, 2))
    results = follow(segmenter(), frames, {0: prompt(one[0]), 2: prompt(two[2])})
    assert [object_ids(result) for result in results] == [[1], [1], [1, 2], [1, 2]]
    assert [None if r.probabilities is None else len(r.probabilities) for r in results] == [None, 2, 2, 3]
    joining = results[2].objects[1]
    assert (joining.score, joining.uncertainty) == (None, None)
    np.testing.assert_array_equal(results[2].labels == 2, labels[2] == 2)


def test_an_object_out_of_the_frame_stores_nothing() -> None:
    """The network sees object 1 everywhere and object 2 nowhere."""
    frames, labels = clip(3)
    used = ScriptedNetwork([logits_for(np.ones((HEIGHT, WIDTH), np.int32), (1, 2))])
    runner = segmenter(used)
    follow(runner, frames[:1], {0: prompt(labels[0])})
    before = rows_of(runner)
    results = follow(runner, frames, {}, start=1)
    after = rows_of(runner)
    for absent in (0, 2):
        assert torch.equal(after[absent].key, before[absent].key)
        assert torch.equal(after[absent].value, before[absent].value)
    assert results[0].bank.appended + results[0].bank.merged == POSITIONS
    assert [mask.shape[0] for mask in used.masks] == [3, 1, 1]


def test_an_absent_object_has_no_score_but_an_uncertainty() -> None:
    frames, labels = clip(2)
    used = ScriptedNetwork([logits_for(np.where(labels[1] == 1, 1, 0).astype(np.int32), (1, 2))])
    result = follow(segmenter(used), frames, {0: prompt(labels[0])})[1]
    assert result.statistics is not None
    present, absent = result.objects
    assert present.score is not None
    assert absent.score is None
    assert absent.uncertainty == pytest.approx(result.statistics.uncertainty_mean, abs=1e-6)


def test_an_object_without_a_pixel_in_its_first_prompt_waits_for_rows() -> None:
    frames, labels = clip(4)
    one = np.where(labels == 1, 1, 0).astype(np.int32)
    results = follow(segmenter(), frames, {0: prompt(one[0], 1, 9), 2: prompt(box(0, 30, 60, 90, 9))})
    assert [object_ids(result) for result in results] == [[1, 9]] * 4
    assert [(r.objects[1].score, r.objects[1].uncertainty) for r in results[:3]] == [(None, None)] * 3
    assert not any((result.labels == 9).any() for result in results[:2])
    assert results[3].objects[1].uncertainty is not None


def test_a_first_prompt_without_any_pixel_is_followed_by_frames_without_objects() -> None:
    nowhere = np.zeros((HEIGHT, WIDTH), np.int32)
    frames, labels = clip(4)
    results = follow(segmenter(), frames, {0: prompt(nowhere, 9), 2: prompt(relabelled(labels, (9, 9))[2])})
    assert [object_ids(result) for result in results] == [[9]] * 4
    assert not any(result.labels.any() for result in results[:2])
    assert [(r.objects[0].score, r.objects[0].uncertainty) for r in results[:3]] == [(None, None)] * 3
    np.testing.assert_array_equal(results[2].labels, relabelled(labels, (9, 9))[2])
    assert results[3].objects[0].uncertainty is not None


def test_nothing_is_asked_while_the_bank_holds_no_object() -> None:
    """The background alone cannot be told from anything."""
    nowhere = np.zeros((HEIGHT, WIDTH), np.int32)
    used = ScriptedNetwork()
    frames, labels = clip(4)
    results = follow(segmenter(used), frames, {0: prompt(nowhere, 9), 2: prompt(relabelled(labels, (9, 9))[2])})
    assert [result.statistics is None for result in results] == [True, True, True, False]
    assert len(used.answers) == 1


def test_an_object_may_cover_the_whole_frame() -> None:
    everywhere = np.full((HEIGHT, WIDTH), 4, np.int32)
    results = follow(segmenter(), blank(3), {0: prompt(everywhere)})
    np.testing.assert_array_equal(results[0].labels, everywhere)
    assert results[1].probabilities is not None
    assert len(results[1].probabilities) == 2
    assert set(np.unique(results[1].labels)) <= {0, 4}
