from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from model.metrics import (
    ObjectScore,
    Scores,
    SequenceScorer,
    boundary_accuracy,
    boundary_tolerance,
    mean_scores,
    rank_correlation,
    region_similarity,
    score_sequence,
)
from tests.reference import REFERENCE, expected, needs_reference, read_masks

Mask = NDArray[np.bool_]


def square(top: int, left: int, side: int = 100, height: int = 480, width: int = 854) -> Mask:
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def empty() -> Mask:
    return np.zeros((480, 854), np.bool_)


# --- the official numbers


@needs_reference
@pytest.mark.parametrize("sequence", ["blackswan", "camel", "cows", "goat"])
def test_official_scores_of_osvos(sequence: str) -> None:
    official = expected()["osvos_vs_gt"][f"{sequence}_1"]
    [score] = score_sequence(read_masks(REFERENCE / "osvos" / sequence), read_masks(REFERENCE / "gt" / sequence))
    assert score.object_id == 1
    assert pytest.approx(official, abs=1e-4) == {"J": score.J, "F": score.F}


@needs_reference
def test_official_scores_frame_by_frame() -> None:
    official = expected()["per_frame_blackswan_all_50_frames"]
    pairs = zip(read_masks(REFERENCE / "osvos" / "blackswan"), read_masks(REFERENCE / "gt" / "blackswan"), strict=True)
    masks = [(pred == 1, truth == 1) for pred, truth in pairs]
    assert pytest.approx(official["J"], abs=1e-4) == [region_similarity(*pair) for pair in masks]
    assert pytest.approx(official["F"], abs=1e-4) == [boundary_accuracy(*pair) for pair in masks]


@needs_reference
def test_official_scores_of_many_objects() -> None:
    official = expected()["multi_pseudo_gt_vs_2frame_delay"]
    found: dict[str, ObjectScore] = {}
    for folder in sorted((REFERENCE / "multi_pseudo_gt").iterdir()):
        truth = read_masks(folder)
        scorer = SequenceScorer()
        for t, labels in enumerate(truth):
            scorer.add(truth[max(0, t - 2)], labels)
        found |= {f"{folder.name}_{score.object_id}": score for score in scorer.davis2017()}
    assert found.keys() == official["per_object"].keys()
    for name, score in found.items():
        assert pytest.approx(official["per_object"][name], abs=1e-4) == {"J": score.J, "F": score.F}
    assert pytest.approx(official["global"], abs=1e-4) == official_names(mean_scores(list(found.values())))


def official_names(scores: Scores) -> dict[str, float]:
    measures = {"Mean": "", "Recall": "_recall", "Decay": "_decay"}
    return {"J&F": scores.J_and_F} | {
        f"{m}-{name}": getattr(scores, f"{m}{ours}") for m in "JF" for name, ours in measures.items()
    }


# --- what it costs


def dilated_pixels(monkeypatch: pytest.MonkeyPatch, pairs: list[tuple[Mask, Mask]]) -> int:
    """Pixels that F passes through the tolerance's disk, which is what takes its time."""
    dilate, sizes = cv2.dilate, []

    def counted(image: NDArray[np.uint8], kernel: NDArray[np.uint8]) -> NDArray[np.uint8]:
        sizes.append(image.size)
        return np.asarray(dilate(image, kernel), np.uint8)

    with monkeypatch.context() as patch:
        patch.setattr(cv2, "dilate", counted)
        for pair in pairs:
            boundary_accuracy(*pair)
    return sum(sizes)


def test_accuracy_costs_what_the_object_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    # Boundaries lie within rows and columns 99 to 200 and 99 to 205, and the tolerance is 8 pixels.
    assert dilated_pixels(monkeypatch, [(square(100, 106), square(100, 100))]) <= 2 * 119 * 125


@needs_reference
@pytest.mark.parametrize("sequence", ["blackswan", "camel", "cows", "goat"])
def test_accuracy_takes_less_than_half_of_the_whole_frame(monkeypatch: pytest.MonkeyPatch, sequence: str) -> None:
    pairs = [(pred == 1, truth == 1) for pred, truth in every_tenth(sequence)]
    assert 2 * dilated_pixels(monkeypatch, pairs) <= 2 * 480 * 854 * len(pairs)


def every_tenth(sequence: str) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    for path in sorted((REFERENCE / "gt" / sequence).iterdir())[::10]:
        yield np.asarray(Image.open(REFERENCE / "osvos" / sequence / path.name)), np.asarray(Image.open(path))


# --- the definitions, on made masks (same numbers as the official evaluator gives)


@pytest.mark.parametrize(
    ("pred", "truth", "similarity", "accuracy"),
    [
        (empty(), empty(), 1.0, 1.0),
        (square(100, 100), empty(), 0.0, 0.0),
        (empty(), square(100, 100), 0.0, 0.0),
        (square(100, 100), square(100, 100), 1.0, 1.0),
        (square(100, 105), square(100, 100), 95 / 105, 1.0),
        (square(100, 300), square(100, 100), 0.0, 0.0),
    ],
)
def test_edge_cases(pred: Mask, truth: Mask, similarity: float, accuracy: float) -> None:
    assert region_similarity(pred, truth) == pytest.approx(similarity)
    assert boundary_accuracy(pred, truth) == pytest.approx(accuracy)


def test_boundaries_match_within_the_tolerance_and_not_beyond() -> None:
    def line(column: int) -> Mask:
        mask = np.zeros((480, 854), np.bool_)
        mask[:, :column] = True
        return mask

    tolerance = boundary_tolerance(480, 854)
    assert tolerance == 8
    assert boundary_accuracy(line(400), line(400 + tolerance)) == 1.0
    assert boundary_accuracy(line(400), line(400 + tolerance + 1)) == 0.0


@pytest.mark.parametrize(
    ("height", "width", "radius"), [(480, 854, 8), (1080, 1920, 18), (240, 426, 4), (1, 1, 1), (300, 400, 4)]
)
def test_the_tolerance_follows_the_diagonal(height: int, width: int, radius: int) -> None:
    assert boundary_tolerance(height, width) == radius


def test_a_mask_that_fills_the_frame_has_no_boundary() -> None:
    full = np.ones((60, 80), np.bool_)
    assert boundary_accuracy(full, full) == 1.0
    assert boundary_accuracy(full, np.zeros_like(full)) == 1.0
    assert region_similarity(full, np.zeros_like(full)) == 0.0


def whole_frame_accuracy(pred: Mask, truth: Mask) -> float:
    """F pixel by pixel over the whole frame, straight from its definition."""
    height, width = pred.shape
    radius = boundary_tolerance(height, width)

    def boundary(mask: Mask) -> list[tuple[int, int]]:
        def at(y: int, x: int) -> bool:
            return bool(mask[min(y, height - 1), min(x, width - 1)])

        return [
            (y, x)
            for y in range(height)
            for x in range(width)
            if at(y, x) != at(y, x + 1) or at(y, x) != at(y + 1, x) or at(y, x) != at(y + 1, x + 1)
        ]

    def matched(points: list[tuple[int, int]], others: list[tuple[int, int]]) -> float:
        near = [any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in others) for y, x in points]
        return sum(near) / len(near)

    pred_points, truth_points = boundary(pred), boundary(truth)
    if not pred_points or not truth_points:
        return float(len(pred_points) == len(truth_points))
    precision, recall = matched(pred_points, truth_points), matched(truth_points, pred_points)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[Mask, Mask]:
    shape = (draw(st.integers(1, 24)), draw(st.integers(1, 24)))
    scattered = hnp.arrays(np.bool_, shape, elements=st.booleans(), fill=st.just(False))

    def blob() -> Mask:
        mask = draw(scattered).astype(np.uint8)
        return cv2.dilate(mask, np.ones((draw(st.integers(1, 4)),) * 2, np.uint8)) > 0

    return blob(), blob()


@given(mask_pairs())
def test_accuracy_on_the_crop_equals_the_whole_frame(pair: tuple[Mask, Mask]) -> None:
    assert boundary_accuracy(*pair) == pytest.approx(whole_frame_accuracy(*pair), abs=1e-12)


@given(mask_pairs(), st.integers(0, 300), st.integers(0, 500))
def test_accuracy_of_small_masks_in_a_large_frame(pair: tuple[Mask, Mask], top: int, left: int) -> None:
    """The tolerance of the large frame is wider than the masks' own margin."""
    placed = []
    for mask in pair:
        frame = np.zeros((360, 640), np.bool_)
        frame[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        placed.append(frame)
    assert boundary_accuracy(*placed) == pytest.approx(dilated_accuracy(*placed), abs=1e-12)


def dilated_accuracy(pred: Mask, truth: Mask) -> float:
    """F over the whole frame with distance maps, for frames too large to go pixel by pixel."""
    radius = boundary_tolerance(*pred.shape)

    def boundary(mask: Mask) -> Mask:
        edge = np.zeros_like(mask)
        edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
        edge[:-1] |= mask[:-1] != mask[1:]
        edge[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
        return edge

    def matched(points: Mask, others: Mask) -> float:
        distance = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return float((distance[points] <= radius + 1e-3).mean())

    edges = boundary(pred), boundary(truth)
    if not edges[0].any() or not edges[1].any():
        return float(edges[0].any() == edges[1].any())
    precision, recall = matched(*edges), matched(*edges[::-1])
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@given(mask_pairs())
def test_both_measures_are_symmetric_and_between_0_and_1(pair: tuple[Mask, Mask]) -> None:
    for measure in (region_similarity, boundary_accuracy):
        assert measure(*pair) == pytest.approx(measure(*pair[::-1]))
        assert 0 <= measure(*pair) <= 1
        assert measure(pair[0], pair[0]) == 1


# --- sequences


def labels(*frames: int) -> NDArray[np.int32]:
    """Frames of 40 x 40 whose left half carries the given id."""
    made = np.zeros((len(frames), 40, 40), np.int32)
    for t, object_id in enumerate(frames):
        made[t, :, :20] = object_id
    return made


def test_first_and_last_frame_are_left_out() -> None:
    [score] = score_sequence(labels(0, 1, 1, 0), labels(1, 1, 1, 1))
    assert (score.J, score.F, score.J_and_F) == (1.0, 1.0, 1.0)


def test_first_and_last_frame_count_when_asked() -> None:
    [score] = score_sequence(labels(0, 1, 1, 0), labels(1, 1, 1, 1), skip_ends=False)
    assert (score.J, score.F) == (0.5, 0.5)


def test_objects_are_those_of_the_first_truth_mask() -> None:
    truth = labels(7, 7, 7)
    truth[0, :, 30:] = 300
    truth[1, :, 35:] = 9
    scores = score_sequence(truth, truth)
    assert [score.object_id for score in scores] == [7, 300]


def test_other_objects_can_be_named() -> None:
    [score] = score_sequence(labels(1, 1, 1), labels(1, 0, 1), [1])
    assert score.J == 0.0
    assert [score.object_id for score in score_sequence(labels(1, 1, 1), labels(1, 1, 1), [5, 1])] == [5, 1]


def test_void_in_the_truth_counts_for_nobody() -> None:
    truth = labels(1, 1, 1)
    truth[:, :, 20:30] = 255
    pred = truth.copy()
    pred[:, :, 20:30] = 1
    [score] = score_sequence(pred, truth)
    assert (score.object_id, score.J, score.F) == (1, 1.0, 1.0)


def test_lists_of_frames_are_scored_like_arrays() -> None:
    pred, truth = labels(1, 1, 0, 1), labels(1, 1, 1, 1)
    assert score_sequence(list(pred), list(truth)) == score_sequence(pred, truth)


@pytest.mark.parametrize("num_frames", [0, 1, 2])
def test_too_few_frames_are_refused(num_frames: int) -> None:
    with pytest.raises(ValueError, match="skip_ends=False"):
        score_sequence(labels(*[1] * num_frames), labels(*[1] * num_frames))


def test_other_lengths_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 predicted frames, 3 true ones"):
        score_sequence(labels(1, 1), labels(1, 1, 1))
    for measure in (region_similarity, boundary_accuracy):
        with pytest.raises(ValueError, match="resize the prediction"):
            measure(np.zeros((4, 5), np.bool_), np.zeros((5, 4), np.bool_))
    with pytest.raises(ValueError, match="resize the prediction"):
        score_sequence(labels(1, 1, 1)[:, :20], labels(1, 1, 1))


# --- frame by frame


def scored(pred: NDArray[np.int32], truth: NDArray[np.int32], prompted: tuple[int, ...] = ()) -> SequenceScorer:
    scorer = SequenceScorer()
    for t, (pred_labels, truth_labels) in enumerate(zip(pred, truth, strict=True)):
        scorer.add(pred_labels, truth_labels, prompted=t in prompted)
    return scorer


@given(
    hnp.arrays(np.int32, st.tuples(st.just(2), st.integers(3, 6), st.just(5), st.just(6)), elements=st.integers(0, 3))
)
def test_the_benchmark_frame_by_frame_equals_whole_sequences(maps: NDArray[np.int32]) -> None:
    pred, truth = maps
    assert scored(pred, truth).davis2017() == score_sequence(pred, truth, range(1, truth.max() + 1))


def test_an_object_is_right_on_frames_where_nobody_shows_it() -> None:
    """Object 2 comes on the fourth frame; before, a prediction of it is wrong and none is right."""
    truth = labels(1, 1, 1, 2, 2, 2)
    one, two = scored(labels(1, 1, 2, 2, 2, 2), truth).davis2017()
    assert (one.J, two.J, two.num_frames) == (0.75, 0.75, 4)


def test_the_benchmark_counts_ids_that_the_truth_never_shows() -> None:
    scorer = scored(labels(3, 3, 1, 3), labels(3, 3, 3, 3))
    assert [(score.object_id, score.J) for score in scorer.davis2017()] == [(1, 0.5), (2, 1.0), (3, 0.5)]
    assert scorer.absent_objects() == [1, 2]
    assert [score.object_id for score in scorer.all_frames()] == [3]


def test_the_benchmark_needs_three_frames() -> None:
    with pytest.raises(ValueError, match="2 frames have a truth"):
        scored(labels(1, 1), labels(1, 1)).davis2017()


def test_all_frames_count_from_the_first_annotation_on() -> None:
    truth = labels(1, 1, 2, 2, 2)
    one, two = scored(labels(1, 0, 2, 0, 2), truth).all_frames()
    assert (one.num_frames, one.J) == (5, 4 / 5)
    assert (two.num_frames, two.J) == (3, 2 / 3)


def test_all_frames_are_those_without_a_prompt() -> None:
    (one,) = scored(labels(1, 1, 0, 0), labels(1, 1, 1, 1), prompted=(0, 2)).all_frames()
    assert (one.num_frames, one.J) == (2, 0.5)
    assert scored(labels(1, 1), labels(0, 1), prompted=(1,)).all_frames() == []


def test_other_sizes_are_refused_frame_by_frame() -> None:
    with pytest.raises(ValueError, match="resize the prediction"):
        SequenceScorer().add(labels(1)[0], labels(1)[0, :20])


def test_recall_is_the_share_of_frames_above_a_half() -> None:
    truth = labels(1, 1, 1, 1)
    pred = truth.copy()
    pred[1, :, 10:] = 0  # J is exactly 0.5
    pred[2, :, 9:] = 0
    (score,) = score_sequence(pred, truth, skip_ends=False)
    assert (score.num_frames, score.J_recall, score.F_recall) == (4, 0.5, 0.5)


@pytest.mark.parametrize(
    ("found", "decay"),
    [
        ([1, 1, 0, 0], 1.0),  # quarters of one frame and its neighbour
        ([0, 1, 1, 1], -0.5),
        ([1], 0.0),
        ([1] * 300 + [0] * 100, 1 - 1 / 101),  # quarters of 101 frames, two of which they share
        ([0] * 100 + [1] * 300, 1 / 101 - 1),
    ],
)
def test_decay_is_what_is_lost_from_the_first_to_the_last_quarter(found: list[int], decay: float) -> None:
    truth = np.ones((len(found), 4, 4), np.int32)
    pred = truth * np.array(found, np.int32)[:, None, None]
    (score,) = score_sequence(pred, truth, skip_ends=False)
    assert score.J_decay == pytest.approx(decay)


def test_means_are_over_objects() -> None:
    (long,) = score_sequence(labels(1, 1, 1, 1), labels(1, 1, 1, 1))
    (short,) = score_sequence(labels(1, 0, 1), labels(1, 1, 1))
    mean = mean_scores([long, short])
    assert (mean.J, mean.F, mean.J_and_F, mean.J_recall, mean.num_frames) == (0.5, 0.5, 0.5, 0.5, 3)
    with pytest.raises(ValueError, match="no object"):
        mean_scores([])


def test_the_frames_of_a_score_and_their_similarities() -> None:
    found = scored(labels(1, 1, 0, 1), labels(0, 1, 1, 1), prompted=(1,))
    (benchmark,) = found.davis2017()
    assert (list(benchmark.frames), benchmark.J_by_frame) == ([1, 2], (1.0, 0.0))
    (every,) = found.all_frames()
    assert (list(every.frames), every.J_by_frame) == ([2, 3], (0.0, 1.0))


# --- ranks

FEW_VALUES = st.sampled_from([-2.0, 0.0, 0.5, 1.0, 3.0])
PAIRS = st.lists(st.tuples(FEW_VALUES, FEW_VALUES), min_size=3, max_size=12)


def mean_ranks(values: list[float]) -> list[float]:
    """Each value's rank by counting: those below it, and half of its equals."""
    return [sum((other < value) + (other == value) / 2 for other in values) for value in values]


@given(PAIRS)
def test_rank_correlation_is_the_correlation_of_mean_ranks(pairs: list[tuple[float, float]]) -> None:
    first, second = (np.array(mean_ranks(list(side))) for side in zip(*pairs, strict=True))
    found = rank_correlation(pairs)
    if found is None:
        assert len(set(first)) == 1 or len(set(second)) == 1
    else:
        first, second = first - first.mean(), second - second.mean()
        assert found == pytest.approx(first @ second / np.sqrt((first @ first) * (second @ second)))


def test_rank_correlation_sees_order_alone() -> None:
    assert rank_correlation([(0, 0), (1, 1e-6), (2, 1e6), (3, 1e7)]) == pytest.approx(1)
    assert rank_correlation([(0, 3), (1, 2.5), (2, -7)]) == pytest.approx(-1)


@pytest.mark.parametrize("pairs", [[], [(0, 0), (1, 1)], [(1, 0), (1, 1), (1, 2)], [(0, 1), (1, 1), (2, 1)]])
def test_rank_correlation_needs_three_pairs_and_two_values(pairs: list[tuple[float, float]]) -> None:
    assert rank_correlation(pairs) is None
