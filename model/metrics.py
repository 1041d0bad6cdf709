"""Region similarity J and boundary accuracy F of masks, as the DAVIS 2017 benchmark defines them.

Legend: T frames, H, W frame size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.result import VOID

Mask = NDArray[np.bool_]
LabelMaps = Sequence[NDArray[np.integer]] | NDArray[np.integer]
"""T label maps [H, W], or one array [T, H, W]: 0 background, other values object ids."""

TOLERANCE = 0.008
"""How far two boundaries may lie apart and still match, as a share of the image diagonal."""


@dataclass(frozen=True, kw_only=True)
class ObjectScore:
    """How well one object was segmented: means over the scored frames, in [0, 1]."""

    object_id: int
    J: float
    F: float

    @property
    def J_and_F(self) -> float:  # noqa: N802 (the benchmark's own name)
        """Mean of J and F, the benchmark's headline number."""
        return (self.J + self.F) / 2


def region_similarity(pred: Mask, truth: Mask) -> float:
    """J: intersection over union of two boolean masks [H, W]; 1 when both are empty.

    Raises ValueError when their shapes differ.
    """
    _check_same_shape(pred, truth)
    union = np.count_nonzero(pred | truth)
    return np.count_nonzero(pred & truth) / union if union else 1.0


def boundary_accuracy(pred: Mask, truth: Mask) -> float:
    """F: harmonic mean of boundary precision and recall of two boolean masks [H, W] (DAVIS 2017).

    A boundary pixel matches when the other boundary passes within ceil(0.008 x diagonal) pixels of it.
    1 when neither mask has a boundary, 0 when only one has. Raises ValueError when their shapes differ.
    """
    _check_same_shape(pred, truth)
    radius = boundary_tolerance(pred.shape[0], pred.shape[1])
    crop = _crop_around(pred | truth, radius)
    return _boundary_f(_boundary(pred[crop]), _boundary(truth[crop]), radius)


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
    """J and F of every object of a video, averaged over its frames (DAVIS 2017, semi-supervised).

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
    if not len(truth_labels):
        return []
    return [int(value) for value in np.unique(truth_labels[0]) if value not in (0, VOID)]


def _score_object(pred: LabelMaps, truth: LabelMaps, frames: range, object_id: int) -> ObjectScore:
    similarities, accuracies = [], []
    for t in frames:
        _check_same_shape(pred[t], truth[t])
        pred_mask = (pred[t] == object_id) & (truth[t] != VOID)
        truth_mask = truth[t] == object_id
        similarities.append(region_similarity(pred_mask, truth_mask))
        accuracies.append(boundary_accuracy(pred_mask, truth_mask))
    return ObjectScore(object_id=object_id, J=float(np.mean(similarities)), F=float(np.mean(accuracies)))


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
