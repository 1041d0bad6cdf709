"""Any size of video, any size of object."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from model.ops import one_hot
from model.result import Labels
from model.segmenter import SegmenterConfig
from tests.model.builders import (
    HEIGHT,
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
