"""Label maps: the best of scores, smaller and larger, and a prompt over a prediction."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.labels import (
    best_labels,
    best_labels_at_once,
    merged_labels,
    shrunk_labels,
    upsampled_labels,
    upsampled_labels_at_once,
)
from tests.model.builders import box, wavy_logits

LARGE, SMALL = (128, 192), (64, 96)
IDS = (0, 3, 5, 2**24 + 1)
"""No float holds the last one."""


def labels(rows: Sequence[Sequence[int]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int32)


def points(*places: tuple[int, int], first_id: int = 1) -> Tensor:
    """A large map with one pixel an object."""
    found = torch.zeros(LARGE, dtype=torch.int32)
    for number, (y, x) in enumerate(places, first_id):
        found[y, x] = number
    return found


# The best of scores


@pytest.mark.parametrize("seed", range(3))
def test_the_best_score_gives_the_label(seed: int) -> None:
    scores = wavy_logits(4, seed=seed)
    for best in (best_labels(scores, IDS), best_labels_at_once(scores, IDS)):
        assert best.dtype == torch.int32
        assert torch.equal(best.long(), torch.tensor(IDS)[scores.argmax(0)])


@pytest.mark.parametrize("size", [(128, 192), (50, 61), (32, 48)])
def test_upsampled_labels_are_the_argmax_of_all_upsampled_scores(size: tuple[int, int]) -> None:
    scores = wavy_logits(4, (32, 48))
    full = F.interpolate(scores[None], size, mode="bilinear", align_corners=False)[0]
    expected = torch.tensor(IDS)[full.argmax(0)].int()
    assert torch.equal(upsampled_labels(scores, IDS, size), expected)
    for elements in (1, 2 * full[0].numel(), 1 << 25):
        assert torch.equal(upsampled_labels_at_once(scores, IDS, size, elements), expected)


def test_ties_go_to_the_lower_id() -> None:
    tied = torch.zeros(3, 8, 8)
    tied[0, :, :4] = -1
    expected = labels([[2, 2, 2, 2, 0, 0, 0, 0]] * 8)
    assert torch.equal(best_labels(tied, (0, 2, 9)), expected)
    assert torch.equal(best_labels_at_once(tied, (0, 2, 9)), expected)
    assert torch.equal(upsampled_labels(tied, (0, 2, 9), (8, 8)), expected)
    assert torch.equal(upsampled_labels_at_once(tied, (0, 2, 9), (8, 8)), expected)


def test_scores_are_left_as_they_are() -> None:
    scores = wavy_logits(3)
    kept = scores.clone()
    best_labels(scores, (0, 1, 2))
    assert torch.equal(scores, kept)


# Smaller


def test_the_nearest_pixel_is_taken() -> None:
    """Centres fall between two pixels: the later one."""
    full = torch.arange(128 * 192, dtype=torch.int32).reshape(LARGE)
    assert torch.equal(shrunk_labels(full, SMALL, ()), full[1::2, 1::2])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_the_nearest_pixel_is_the_one_under_the_centre(height: int, width: int, h: int, w: int) -> None:
    full = torch.arange(height * width, dtype=torch.int32).reshape(height, width)
    rows = np.floor((np.arange(h) + 0.5) * height / h + 1e-9).astype(int)
    columns = np.floor((np.arange(w) + 0.5) * width / w + 1e-9).astype(int)
    assert torch.equal(shrunk_labels(full, (h, w), ()), full[rows][:, columns])


@pytest.mark.parametrize("y", [50, 51])
@pytest.mark.parametrize("x", [60, 61])
def test_an_object_of_one_pixel_is_kept_where_it_is(y: int, x: int) -> None:
    """Three of these four pixels are lost by the nearest pixel."""
    assert shrunk_labels(points((y, x)), SMALL, (1,)).nonzero().tolist() == [[25, 30]]


def test_a_tiny_object_keeps_the_pixel_at_its_middle() -> None:
    thin = torch.zeros(LARGE, dtype=torch.int32)
    thin[20, 10:101] = 7  # an even row, between the sampled ones
    assert shrunk_labels(thin, SMALL, (7,)).nonzero().tolist() == [[10, 27]]


@pytest.mark.parametrize("corner", [(50, 60), (0, 0), (126, 190)])
def test_tiny_objects_in_one_small_pixel_all_keep_one(corner: tuple[int, int]) -> None:
    y, x = corner
    small = shrunk_labels(points((y, x), (y + 1, x), (y, x + 1)), SMALL, (1, 2, 3))
    assert sorted(small[small > 0].tolist()) == [1, 2, 3]


def test_a_tiny_object_that_is_not_asked_for_is_left_out() -> None:
    small = shrunk_labels(points((50, 60), (2, 2)), SMALL, (2,))
    assert small.nonzero().tolist() == [[1, 1]]


def test_a_large_object_keeps_its_pixels_and_gives_one_to_a_tiny_one() -> None:
    full = torch.from_numpy(box(40, 80, 40, 80, 4, LARGE))
    full[50, 60] = 5
    small = shrunk_labels(full, SMALL, (4, 5))
    assert (small == 5).nonzero().tolist() == [[25, 30]]
    assert int((small == 4).sum()) == 20 * 20 - 1


# A prompt over a prediction


def test_the_prompt_is_the_truth_for_its_objects() -> None:
    predicted = labels([[1, 1, 2, 2, 0, 0]])
    given = labels([[0, 1, 1, 0, 1, 0]])
    assert merged_labels(predicted, given, (1,)).tolist() == [[0, 1, 1, 2, 1, 0]]


def test_void_and_other_ids_keep_the_prediction() -> None:
    predicted = labels([[1, 1, 2, 2, 0, 0]])
    given = labels([[255, 2, 2, 255, 255, 2]])
    assert merged_labels(predicted, given, (1,)).tolist() == [[1, 0, 2, 2, 0, 0]]


def test_merging_keeps_ids_apart_that_no_float_does() -> None:
    first, second = 2**24, 2**24 + 1
    predicted, given = labels([[first, second]]), labels([[0, 0]])
    assert merged_labels(predicted, given, (second,)).tolist() == [[first, 0]]
