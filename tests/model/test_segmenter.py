import copy
import io
import math
import warnings
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.bank import BankConfig
from model.errors import BudgetTooSmall, NonFinite, OutOfMemory
from model.ops import one_hot
from model.result import BankStatistics, FrameResult, Labels, Prompt
from model.segmenter import SegmenterConfig, VideoSegmenter
from tests.model.builders import (
    HEIGHT,
    WIDTH,
    ScriptedNetwork,
    assert_same,
    box,
    clip,
    copy_of,
    follow,
    logits_for,
    native,
    network,
    prompt,
    segmenter,
)

POSITIONS = (HEIGHT // 16) * (WIDTH // 16)


def relabelled(labels: Labels, ids: tuple[int, ...]) -> Labels:
    """Objects 1, 2, .. under other ids."""
    return np.array([0, *ids], np.int32)[labels]


def blank(num_frames: int = 3, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Tensor:
    return torch.randint(0, 256, (num_frames, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


def object_ids(result: FrameResult) -> list[int]:
    return [thing.object_id for thing in result.objects]


def wavy_logits(channels: int, size: tuple[int, int] = (HEIGHT, WIDTH), seed: int = 0) -> Tensor:
    """Smooth scores [K, h, w] with sure and unsure regions."""
    coarse = torch.randn(1, channels, 5, 7, generator=torch.Generator().manual_seed(seed))
    return 5 * F.interpolate(coarse, size, mode="bicubic", align_corners=False)[0]


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


# Late joiners, empty masks


def rows_of(runner: VideoSegmenter) -> dict[int, dict[str, Tensor]]:
    bank: Any = runner.state()["bank"]
    return dict(bank["channels"])


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
        known = len(rows["inserted"])
        assert torch.equal(after[channel]["inserted"][:known], rows["inserted"])
        assert (after[channel]["use"][:known] >= rows["use"]).all()
        assert rows["use"].sum() > 0
        assert (rows["inserted"] == 0).any()
    assert int(after[2]["inserted"].min()) == 3


def test_reads_are_credited_to_the_rows() -> None:
    """Without merges, use grows by reads alone: the second frame's read uses the first one's rows."""
    frames, labels = clip(2)
    runner = segmenter(config=native(bank=BankConfig(policy="append")))
    follow(runner, frames, {0: prompt(labels[0])})
    for rows in rows_of(runner).values():
        assert rows["use"][:POSITIONS].sum() > 0
        assert not rows["use"][POSITIONS:].any()


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
        assert torch.equal(after[absent]["key"], before[absent]["key"])
        assert torch.equal(after[absent]["value"], before[absent]["value"])
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


# What cannot be worked with


def poisoned(part: str) -> VideoSegmenter:
    used = copy_of(network())
    with torch.no_grad():
        used.get_parameter(part).view(-1)[0] = math.nan
    return segmenter(used)


@pytest.mark.parametrize("part", ["reference_encoder.mask_stem.bias", "key_value.key.bias", "key_value.value.weight"])
def test_features_that_are_no_numbers_are_refused(part: str) -> None:
    frames, labels = clip(1)
    with pytest.raises(NonFinite, match="not finite"):
        poisoned(part).step(frames[0], prompt(labels[0]))


@pytest.mark.parametrize("part", ["query_encoder.trunk.conv_stem.bias", "decoder.pred.bias"])
def test_scores_that_are_no_numbers_are_refused(part: str) -> None:
    frames, labels = clip(2)
    runner = poisoned(part)
    runner.step(frames[0], prompt(labels[0]))
    with pytest.raises(NonFinite, match="scores are not finite"):
        runner.step(frames[1])


@pytest.mark.parametrize(
    "frame",
    [
        torch.zeros(3, 64, 96),
        torch.zeros(64, 96, 3, dtype=torch.uint8),
        torch.zeros(1, 3, 64, 96, dtype=torch.uint8),
        torch.zeros(64, 96, dtype=torch.uint8),
    ],
    ids=["float", "channels last", "batch", "grey"],
)
def test_a_frame_of_another_kind_is_refused(frame: Tensor) -> None:
    with pytest.raises(ValueError, match="RGB uint8"):
        segmenter().step(frame)


@pytest.mark.parametrize(
    "wrong",
    [prompt(box(0, 9, 0, 9, size=(63, 96))), prompt(box(0, 9, 0, 9, size=(96, 64)))],
    ids=["smaller", "turned"],
)
def test_a_prompt_of_another_size_is_refused(wrong: Prompt) -> None:
    with pytest.raises(ValueError, match=r"64, 96"):
        segmenter().step(blank(1)[0], wrong)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64, np.float32, np.bool_])
def test_prompt_labels_of_another_type_are_refused(kind: Any) -> None:
    runner = segmenter()
    given: Any = box(0, 9, 0, 9).astype(kind)
    with pytest.raises(ValueError, match=rf"int32, not {np.dtype(kind)}"):
        runner.step(blank(1)[0], Prompt(labels=given, object_ids=(1,)))
    assert runner.step(blank(1)[0], prompt(box(0, 9, 0, 9))).prompted


@pytest.mark.parametrize("ids", [(), (0, 1), (1, 255)])
def test_a_prompt_speaks_for_objects_only(ids: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="never for 0"):
        segmenter().step(blank(1)[0], Prompt(labels=box(0, 9, 0, 9), object_ids=ids))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
    ids=["CUDA", "CPU", "Python"],
)
@pytest.mark.parametrize("part", ["segment", "memorize"])
def test_running_out_of_memory_has_its_own_error(error: Exception, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutOfMemory) as raised:
        break_down(error, part, monkeypatch)
    assert raised.value.__cause__ is error


def test_other_errors_of_the_network_pass_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")
    with pytest.raises(RuntimeError) as raised:
        break_down(error, "segment", monkeypatch)
    assert raised.value is error


def break_down(error: Exception, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network fails in the second frame."""
    frames, labels = clip(2)
    used = ScriptedNetwork()
    runner = segmenter(used)
    runner.step(frames[0], prompt(labels[0]))

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(used, part, fail)
    runner.step(frames[1])


# Sizes


@pytest.mark.parametrize("size", [(17, 33), (61, 95), (40, 23)])
def test_any_size(size: tuple[int, int]) -> None:
    frames, labels = clip(3, 1, height=size[0], width=size[1])
    results = follow(segmenter(), frames, {0: prompt(labels[0])})
    np.testing.assert_array_equal(results[0].labels, labels[0])
    assert all(result.labels.shape == size for result in results)
    assert results[1].probabilities is not None
    assert results[1].probabilities.shape == (2, *size)


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((480, 854), 864, (480, 854)),
        ((1080, 1920), 864, (486, 864)),
        ((1920, 1080), 864, (864, 486)),
        ((1080, 1920), 0, (1080, 1920)),
        ((5, 4000), 400, (1, 400)),
        ((240, 426), 864, (360, 639)),
        ((426, 240), 864, (639, 360)),
        ((240, 426), 320, (180, 320)),
        ((240, 800), 864, (259, 864)),
        ((100, 150), 0, (200, 300)),  # twice, not more
    ],
)
def test_large_videos_are_made_smaller_and_small_ones_larger(
    size: tuple[int, int], max_side: int, expected: tuple[int, int]
) -> None:
    assert SegmenterConfig(max_side=max_side).network_size(*size) == expected


def test_labels_of_an_enlarged_video_come_at_native_size() -> None:
    frames, labels = clip(3, height=48, width=71)
    results = follow(segmenter(config=SegmenterConfig(min_side=60)), frames, {0: prompt(labels[0])})
    np.testing.assert_array_equal(results[0].labels, labels[0])
    assert all(result.labels.shape == (48, 71) for result in results)
    assert results[1].probabilities is not None
    assert results[1].probabilities.shape == (3, 60, 89)


def test_the_network_sees_max_side_and_the_labels_come_at_native_size() -> None:
    frames, labels = clip(3, height=95, width=142)
    used = ScriptedNetwork()
    results = follow(segmenter(used, native(max_side=71)), frames, {0: prompt(labels[0])})
    assert all(result.labels.shape == (95, 142) for result in results)
    np.testing.assert_array_equal(results[0].labels, labels[0])
    assert results[1].probabilities is not None
    assert results[1].probabilities.shape == (3, 48, 71)
    assert used.masks[0].shape == (3, 48, 71)


def test_prompts_are_resized_to_the_nearest_pixel() -> None:
    _, labels = clip(1, height=128, width=192)
    named = relabelled(labels, (7, 300))[0]
    named[:16] = 255
    used = ScriptedNetwork()
    follow(segmenter(used, native(max_side=96)), blank(1, (128, 192)), {0: prompt(named)})
    wanted = torch.from_numpy(named[1::2, 1::2].copy())  # centres fall between pixels: the later one
    expected = one_hot(torch.where(wanted == 255, 0, wanted), (0, 7, 300))
    assert torch.equal(used.masks[0], expected)


LARGE = (128, 192)
"""Four times as many pixels as the network sees in the tests of tiny objects."""


def tiny(*places: tuple[int, int], first_id: int = 1) -> Labels:
    """One pixel an object."""
    given = np.zeros(LARGE, np.int32)
    for number, (y, x) in enumerate(places, first_id):
        given[y, x] = number
    return given


@pytest.mark.parametrize("y", [50, 51])
@pytest.mark.parametrize("x", [60, 61])
def test_an_object_of_one_pixel_is_kept_where_it_is(y: int, x: int) -> None:
    """Three of these four pixels are lost by the nearest pixel."""
    used = ScriptedNetwork()
    given = tiny((y, x))
    results = follow(segmenter(used, native(max_side=96)), blank(2, LARGE), {0: prompt(given)})
    np.testing.assert_array_equal(results[0].labels, given)
    assert used.masks[0].shape == (2, 64, 96)
    assert used.masks[0][1].nonzero().tolist() == [[25, 30]]
    assert results[1].objects[0].uncertainty is not None
    assert results[1].probabilities is not None
    assert len(results[1].probabilities) == 2


def test_a_tiny_object_keeps_the_pixel_at_its_middle() -> None:
    given = np.zeros(LARGE, np.int32)
    given[20, 10:101] = 7  # an even row, between the sampled ones
    used = ScriptedNetwork()
    follow(segmenter(used, native(max_side=96)), blank(1, LARGE), {0: prompt(given)})
    assert used.masks[0][1].nonzero().tolist() == [[10, 27]]


def test_tiny_and_large_objects_of_one_prompt_all_have_rows() -> None:
    given = tiny((2, 2), (126, 190), first_id=3)
    given[40:80, 50:90] = 2**24 + 1
    runner = segmenter(config=native(max_side=96))
    results = follow(runner, blank(3, LARGE), {0: prompt(given)})
    assert sorted(rows_of(runner)) == [0, 3, 4, 2**24 + 1]
    for result in results[1:]:
        assert object_ids(result) == [3, 4, 2**24 + 1]
        assert all(thing.uncertainty is not None for thing in result.objects)


def test_a_tiny_object_that_the_network_finds_has_a_score() -> None:
    said = logits_for(box(25, 26, 30, 31), (1,))
    used = ScriptedNetwork([said])
    results = follow(segmenter(used, native(max_side=96)), blank(2, LARGE), {0: prompt(tiny((50, 60)))})
    assert results[1].objects[0].score == pytest.approx(1 / (1 + math.exp(-6)), rel=1e-4)


def test_a_tiny_object_that_the_prompt_does_not_speak_for_is_left_out() -> None:
    given = tiny((50, 60), (2, 2))
    used = ScriptedNetwork()
    results = follow(segmenter(used, native(max_side=96)), blank(2, LARGE), {0: prompt(given, 2)})
    assert [object_ids(result) for result in results] == [[2], [2]]
    assert used.masks[0][1].nonzero().tolist() == [[1, 1]]


@pytest.mark.parametrize("max_side", [0, 96])
def test_ids_that_no_float_holds_are_kept_apart(max_side: int) -> None:
    """2^24 + 1 and 2^24 are one number in float32."""
    ids = (2**24, 2**24 + 1, 2**31 - 2, 2**31 - 1)
    given = np.zeros(LARGE, np.int32)
    for number, object_id in enumerate(ids):
        given[20:100, 40 * number + 10 : 40 * number + 40] = object_id
    used = ScriptedNetwork()
    results = follow(segmenter(used, native(max_side=max_side)), blank(2, LARGE), {0: prompt(given)})
    np.testing.assert_array_equal(results[0].labels, given)
    assert object_ids(results[1]) == list(ids)
    shares = used.masks[0].mean(dim=(1, 2)).tolist()
    assert shares[1:] == pytest.approx([80 * 30 / given.size] * 4)


def test_frames_are_resized_with_antialiasing() -> None:
    """Stripes whose bright half lies between the sampled pixels become grey."""
    seen: list[Tensor] = []
    used = ScriptedNetwork()
    used.query_encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    stripes = torch.tensor([255, 0, 0, 255], dtype=torch.uint8).repeat(48)
    frames = stripes.expand(2, 3, 128, -1)
    follow(segmenter(used, native(max_side=48)), frames, {0: prompt(box(0, 64, 0, 64, size=(128, 192)))})
    assert seen[0].shape == (1, 3, 32, 48)
    assert (seen[0] - 0.5).abs().max() < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_native_labels_are_the_argmax_of_all_upsampled_scores(seed: int) -> None:
    said = wavy_logits(4, (32, 48), seed)
    used = ScriptedNetwork([said])
    given = box(0, 60, 0, 40, 3) + box(0, 60, 50, 90, 5) + box(0, 60, 100, 190, 300)
    given = np.pad(given[:, :96], ((0, 64), (0, 96)))
    given[70:100, 100:150] = 300
    runner = segmenter(used, native(max_side=48))
    result = follow(runner, blank(2, (128, 192)), {0: prompt(given, 3, 5, 300)})[1]
    full = F.interpolate(said[None], (128, 192), mode="bilinear", align_corners=False)[0]
    np.testing.assert_array_equal(result.labels, np.array([0, 3, 5, 300])[full.argmax(0).numpy()])


@pytest.mark.parametrize("max_side", [0, 48])
def test_ties_go_to_the_lower_id(max_side: int) -> None:
    size = (32, 48) if max_side else (HEIGHT, WIDTH)
    said = torch.zeros(4, *size)
    said[0, :, : size[1] // 2] = -1  # the left half: a tie of the objects; the right: of all
    used = ScriptedNetwork([said])
    given = box(0, 20, 0, 20, 2) + box(0, 20, 30, 50, 4) + box(0, 20, 60, 90, 9)
    result = follow(segmenter(used, native(max_side=max_side)), blank(2), {0: prompt(given)})[1]
    assert set(np.unique(result.labels)) == {0, 2}
    assert (result.labels[:, :47] == 2).all()
    assert not result.labels[:, 49:].any()


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


# Statistics


def probabilities_and_result(
    seed: int = 0, size: tuple[int, int] = (61, 95)
) -> tuple[NDArray[np.float64], FrameResult]:
    """A frame in which the network is sure here and unsure there; the size needs padding."""
    frames, labels = clip(2, height=size[0], width=size[1])
    said = wavy_logits(3, size, seed)
    result = follow(segmenter(ScriptedNetwork([said])), frames, {0: prompt(labels[0])})[1]
    assert result.probabilities is not None
    np.testing.assert_allclose(result.probabilities, said.softmax(0).numpy(), atol=1e-6)
    return result.probabilities.astype(np.float64), result


def uncertainty_map(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    ordered = np.sort(probabilities, axis=0)
    return np.asarray(np.exp(1 - ordered[-1] / (ordered[-2] + 1e-8)))


def nearest_rank(values: NDArray[np.float64], share: float) -> float:
    return float(np.sort(values, axis=None)[math.ceil(share * values.size) - 1])


@pytest.mark.parametrize("seed", range(3))
def test_statistics_follow_from_the_probabilities(seed: int) -> None:
    probabilities, result = probabilities_and_result(seed)
    u = uncertainty_map(probabilities)
    ordered = np.sort(probabilities, axis=0)
    found = result.statistics
    assert found is not None
    assert found.uncertainty_mean == pytest.approx(u.mean(), abs=1e-5)
    assert found.uncertainty_p50 == pytest.approx(nearest_rank(u, 0.5), abs=1e-5)
    assert found.uncertainty_p95 == pytest.approx(nearest_rank(u, 0.95), abs=1e-5)
    assert found.uncertainty_max == pytest.approx(u.max(), abs=1e-5)
    assert found.uncertain_fraction == pytest.approx((u > 0.5).mean(), abs=1e-3)
    assert found.margin == pytest.approx((ordered[-1] - ordered[-2]).mean(), abs=1e-5)
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(0).mean()
    assert found.entropy == pytest.approx(entropy, abs=1e-5)
    assert 0 < found.uncertainty_p50 < found.uncertainty_p95 < found.uncertainty_max <= 1


@pytest.mark.parametrize("seed", range(3))
def test_object_statistics_follow_from_the_probabilities(seed: int) -> None:
    probabilities, result = probabilities_and_result(seed)
    u, mask_of = uncertainty_map(probabilities), probabilities.argmax(0)
    radius = math.ceil(0.008 * math.hypot(*u.shape))
    window = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    for found in result.objects:
        mask = mask_of == found.object_id
        assert mask.any()
        grown = cv2.dilate(mask.astype(np.uint8), window, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        assert grown.sum() > mask.sum()
        assert found.score == pytest.approx(probabilities[found.object_id][mask].mean(), abs=1e-5)
        assert found.uncertainty == pytest.approx(u[grown].mean(), abs=1e-5)


def test_a_sure_network_reports_uncertainty_near_zero() -> None:
    frames, labels = clip(2)
    used = ScriptedNetwork([logits_for(labels[1], (1, 2), strength=16.0)])
    result = follow(segmenter(used), frames, {0: prompt(labels[0])})[1]
    assert result.statistics is not None
    assert result.statistics.uncertainty_max < 1e-6
    assert result.statistics.margin > 0.999
    assert result.statistics.entropy < 1e-3
    assert all(thing.score is not None and thing.score > 0.999 for thing in result.objects)


def test_a_clueless_network_reports_uncertainty_one() -> None:
    frames, labels = clip(2)
    used = ScriptedNetwork([torch.zeros(3, HEIGHT, WIDTH)])
    result = follow(segmenter(used), frames, {0: prompt(labels[0])})[1]
    assert result.statistics is not None
    assert result.statistics.uncertainty_mean == pytest.approx(1, abs=1e-6)
    assert result.statistics.uncertain_fraction == 1
    assert result.statistics.margin == pytest.approx(0, abs=1e-6)
    assert result.statistics.entropy == pytest.approx(math.log(3), abs=1e-5)


def test_probabilities_come_only_when_asked_for() -> None:
    frames, labels = clip(2)
    runner = segmenter()
    runner.step(frames[0], prompt(labels[0]))
    assert runner.step(frames[1]).probabilities is None


# State

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


def test_two_tiny_objects_in_one_network_pixel_both_have_rows() -> None:
    given = tiny((51, 61), (50, 60))  # both fall into the pixel (25, 30)
    used = ScriptedNetwork()
    follow(segmenter(used, native(max_side=96)), blank(1, LARGE), {0: prompt(given)})
    pixels = [used.masks[0][k].nonzero().tolist() for k in (1, 2)]
    assert [len(found) for found in pixels] == [1, 1] and pixels[0] != pixels[1]
