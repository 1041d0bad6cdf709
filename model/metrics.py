"""Region similarity J and boundary accuracy F of masks, as the DAVIS 2017 benchmark defines them, and how one
quantity ranks with another.

Legend: T frames, H, W frame size.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.result import VOID

Mask = NDArray[np.bool_]
Labels = NDArray[np.integer]
LabelMaps = Sequence[Labels] | Labels
"""T label maps [H, W], or one array [T, H, W]: 0 background, other values object ids."""

TOLERANCE = 0.008
"""How far two boundaries may lie apart and still match, as a share of the image diagonal."""


RECALLED = 0.5
"""A frame counts for recall when its J or F is above this."""

_BOTH_EMPTY = (1.0, 1.0)
_FEWEST_PAIRS = 3


@dataclass(frozen=True, kw_only=True)
class Scores:
    """J and F over the scored frames of an object, or the means of these numbers over objects (DAVIS 2017)."""

    num_frames: int
    """Scored frames; of several objects together."""
    J: float
    """Mean, in [0, 1]; F likewise."""
    J_recall: float
    """Share of the frames with J > 0.5; F_recall likewise."""
    J_decay: float
    """Mean of the first quarter of the frames minus mean of the last; F_decay likewise."""
    F: float
    F_recall: float
    F_decay: float

    @property
    def J_and_F(self) -> float:  # noqa: N802 (the benchmark's own name)
        """Mean of J and F, the benchmark's headline number."""
        return (self.J + self.F) / 2


@dataclass(frozen=True, kw_only=True)
class ObjectScore(Scores):
    """How well one object was segmented."""

    object_id: int
    frames: Sequence[int] = field(repr=False)
    """The scored frames, by their position among those that have a truth."""
    J_by_frame: tuple[float, ...] = field(repr=False)
    """J of each of `frames`."""


class SequenceScorer:
    """J and F of every object of one video, frame by frame: two numbers a frame and object are kept, no masks."""

    def __init__(self) -> None:
        self._num_frames = 0
        self._prompted: set[int] = set()
        self._first_annotation: dict[int, int] = {}
        # By object, then by frame; where a frame is missing, neither prediction nor truth had a pixel.
        self._scores: dict[int, dict[int, tuple[float, float]]] = defaultdict(dict)

    def add(self, pred_labels: Labels, truth_labels: Labels, *, prompted: bool = False) -> None:
        """Score the next frame that has a truth, two label maps [H, W]; void (255) in the truth counts for nobody.

        `prompted`: a mask was given on this frame, so what was predicted there is no test. Raises ValueError
        when the sizes differ.
        """
        _check_same_shape(pred_labels, truth_labels)
        true_ids = _ids_in(truth_labels)
        for object_id in true_ids:
            self._first_annotation.setdefault(object_id, self._num_frames)
        for object_id in {*true_ids, *_ids_in(pred_labels)}:
            self._scores[object_id][self._num_frames] = _frame_scores(pred_labels, truth_labels, object_id)
        if prompted:
            self._prompted.add(self._num_frames)
        self._num_frames += 1

    def davis2017(self) -> list[ObjectScore]:
        """Scores by the semi-supervised protocol of DAVIS 2017: all frames but the first and the last.

        Objects are 1 to the largest id of the truth, over all its frames; also those of `absent_objects`.
        Raises ValueError when no frame is left.
        """
        frames = range(1, self._num_frames - 1)
        if not frames:
            raise ValueError(f"{self._num_frames} frames have a truth, and without first and last none is left")
        return [self._score(object_id, frames) for object_id in range(1, self._largest_id() + 1)]

    def all_frames(self) -> list[ObjectScore]:
        """Scores of the truth's objects, each on all frames from its first annotation on but the prompted ones.

        An object that has no such frame is left out.
        """
        framed = [(object_id, self._frames_from(first)) for object_id, first in sorted(self._first_annotation.items())]
        return [self._score(object_id, frames) for object_id, frames in framed if frames]

    def absent_objects(self) -> list[int]:
        """Ids below the largest that the truth never shows: DAVIS 2017 counts them, right where none is predicted."""
        return [i for i in range(1, self._largest_id()) if i not in self._first_annotation]

    def _largest_id(self) -> int:
        return max(self._first_annotation, default=0)

    def _frames_from(self, first: int) -> list[int]:
        return [t for t in range(first, self._num_frames) if t not in self._prompted]

    def _score(self, object_id: int, frames: Sequence[int]) -> ObjectScore:
        scores = self._scores.get(object_id, {})
        return _object_score(object_id, frames, [scores.get(t, _BOTH_EMPTY) for t in frames])


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Means over objects, each counting the same however many frames it has; ValueError without any."""
    if not scores:
        raise ValueError("no object was scored: pass at least one")
    measures = [measure.name for measure in fields(Scores) if measure.name != "num_frames"]
    means = {name: float(np.mean([getattr(score, name) for score in scores])) for name in measures}
    return Scores(num_frames=sum(score.num_frames for score in scores), **means)


def region_similarity(pred: Mask, truth: Mask) -> float:
    """J: intersection over union of two boolean masks [H, W]; 1 when both are empty.

    Raises ValueError when their shapes differ.
    """
    _check_same_shape(pred, truth)
    union = np.count_nonzero(pred | truth)
    return np.count_nonzero(pred & truth) / union if union else 1.0


def object_similarity(pred_labels: Labels, truth_labels: Labels, object_id: int) -> float:
    """J of one object of two label maps [H, W]; void (255) in the truth counts for nobody.

    Raises ValueError when their shapes differ.
    """
    return region_similarity(*_masks_of(pred_labels, truth_labels, object_id))


def boundary_accuracy(pred: Mask, truth: Mask) -> float:
    """F: harmonic mean of boundary precision and recall of two boolean masks [H, W] (DAVIS 2017).

    A boundary pixel matches when the other boundary passes within ceil(0.008 x diagonal) pixels of it.
    1 when neither mask has a boundary, 0 when only one has. Raises ValueError when their shapes differ.
    """
    _check_same_shape(pred, truth)
    radius = boundary_tolerance(pred.shape[0], pred.shape[1])
    crop = _crop_around(pred | truth, radius)
    return _boundary_f(_boundary(pred[crop]), _boundary(truth[crop]), radius)


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Spearman's rank correlation of pairs of finite numbers, in [-1, 1]; equal values share their mean rank.

    None for fewer than three pairs, or where one side is constant: no order can be told.
    """
    if len(pairs) < _FEWEST_PAIRS:
        return None
    first, second = (_ranks(side) for side in np.asarray(pairs, np.float64).T)
    if not np.ptp(first) or not np.ptp(second):
        return None
    return float(np.corrcoef(first, second)[0, 1])


def boundary_tolerance(height: int, width: int) -> int:
    """Radius in pixels within which boundaries of an image of this size match (DAVIS 2017)."""
    return math.ceil(TOLERANCE * math.hypot(height, width))


def score_sequence(
    pred_labels: LabelMaps,
    truth_labels: LabelMaps,
    object_ids: Sequence[int] | None = None,
    *,
    skip_ends: bool = True,
) -> list[ObjectScore]:
    """J and F of every object of a video over its frames (DAVIS 2017, semi-supervised).

    Scored are `object_ids`, by default the ids of the first truth mask. First and last frame are left out,
    as the benchmark does, unless `skip_ends` is False. Pixels that are void (255) in the truth count for
    nobody. Raises ValueError when lengths or sizes differ or no frame is left.
    """
    _check_same_length(pred_labels, truth_labels)
    ids = _object_ids(truth_labels) if object_ids is None else object_ids
    ends = 1 if skip_ends else 0
    scored = range(ends, len(truth_labels) - ends)
    if not scored:
        raise ValueError(f"no frame to score among {len(truth_labels)}: pass more frames, or skip_ends=False")
    return [_score_object(pred_labels, truth_labels, scored, object_id) for object_id in ids]


def _check_same_shape(pred: NDArray[Any], truth: NDArray[Any]) -> None:
    if pred.shape != truth.shape:
        raise ValueError(f"prediction is {pred.shape}, truth {truth.shape}: resize the prediction first")


def _check_same_length(pred_labels: LabelMaps, truth_labels: LabelMaps) -> None:
    if len(pred_labels) != len(truth_labels):
        lengths = f"{len(pred_labels)} predicted frames, {len(truth_labels)} true ones"
        raise ValueError(f"{lengths}: pass the same frames of both")


def _object_ids(truth_labels: LabelMaps) -> list[int]:
    return _ids_in(truth_labels[0]) if len(truth_labels) else []


def _ids_in(labels: Labels) -> list[int]:
    present = np.flatnonzero(np.bincount(labels.ravel()))
    return [int(value) for value in present if value not in (0, VOID)]


def _score_object(pred: LabelMaps, truth: LabelMaps, frames: range, object_id: int) -> ObjectScore:
    for t in frames:
        _check_same_shape(pred[t], truth[t])
    return _object_score(object_id, frames, [_frame_scores(pred[t], truth[t], object_id) for t in frames])


def _frame_scores(pred_labels: Labels, truth_labels: Labels, object_id: int) -> tuple[float, float]:
    pred, truth = _masks_of(pred_labels, truth_labels, object_id)
    return region_similarity(pred, truth), boundary_accuracy(pred, truth)


def _masks_of(pred_labels: Labels, truth_labels: Labels, object_id: int) -> tuple[Mask, Mask]:
    _check_same_shape(pred_labels, truth_labels)
    return (pred_labels == object_id) & (truth_labels != VOID), truth_labels == object_id


def _object_score(object_id: int, frames: Sequence[int], scores: Sequence[tuple[float, float]]) -> ObjectScore:
    J, F = np.array(scores).T
    return ObjectScore(
        object_id=object_id,
        num_frames=len(scores),
        J=float(J.mean()),
        J_recall=float(np.mean(J > RECALLED)),
        J_decay=_decay(J),
        F=float(F.mean()),
        F_recall=float(np.mean(F > RECALLED)),
        F_decay=_decay(F),
        frames=frames,
        J_by_frame=tuple(J.tolist()),
    )


def _decay(values: NDArray[np.float64]) -> float:
    # The benchmark's quarters: neighbours share a frame, and its rounding takes halves up.
    edges = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(int) - 1
    return float(values[: edges[1] + 1].mean() - values[edges[3] :].mean())


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return mean_rank[place]


def _crop_around(mask: Mask, margin: int) -> tuple[slice, slice]:
    # Boundary pixels lie at most one pixel outside a mask, so nothing beyond the margin can change F.
    return _span(np.any(mask, axis=1), margin), _span(np.any(mask, axis=0), margin)


def _span(hit: Mask, margin: int) -> slice:
    positions = np.flatnonzero(hit)
    if not len(positions):
        return slice(0, 0)
    return slice(max(0, int(positions[0]) - margin), int(positions[-1]) + 1 + margin)


def _boundary(mask: Mask) -> Mask:
    """Pixels that differ from their right, lower or lower right neighbour; none at the frame's edge."""
    if not mask.size:
        return mask
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    here, right, below, diagonal = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (here ^ right) | (here ^ below) | (here ^ diagonal)


def _boundary_f(pred: Mask, truth: Mask, radius: int) -> float:
    num_pred, num_truth = np.count_nonzero(pred), np.count_nonzero(truth)
    if not num_pred or not num_truth:
        return float(num_pred == num_truth)
    precision = np.count_nonzero(pred & _grow(truth, radius)) / num_pred
    recall = np.count_nonzero(truth & _grow(pred, radius)) / num_truth
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _grow(boundary: Mask, radius: int) -> Mask:
    return cv2.dilate(boundary.astype(np.uint8), _disk(radius)) > 0


def _disk(radius: int) -> NDArray[np.uint8]:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk: Mask = x * x + y * y <= radius * radius
    return disk.astype(np.uint8)
