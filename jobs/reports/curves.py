"""A video's values over time, in at most so many points however long it is.

Legend: T frames, P points, O objects.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MOST_POINTS = 2000

Values = NDArray[np.float64]

FRAME_COLUMNS = ["frame_index", "bank_size", "merged", "appended", "evicted"]
OBJECT_COLUMNS = ["frame_index", "object_id", "area", "uncertainty", "score"]


@dataclass(frozen=True, kw_only=True)
class ObjectCurves:
    """One object in every frame; NaN where a value is not known."""

    object_id: int
    area_T: Values
    """Pixels."""
    uncertainty_T: Values
    score_T: Values
    expected_j_T: Values


@dataclass(frozen=True, kw_only=True)
class Curves:
    """One video, a value for every row of `frames`."""

    frame_T: NDArray[np.int64]
    """frame_index."""
    columns: dict[str, Values]
    """Of the table `frames`, by name."""
    objects: tuple[ObjectCurves, ...]

    def worst_uncertainty(self) -> Values:
        """Of all objects in each frame; NaN where there is none."""
        return _over(np.fmax, [one.uncertainty_T for one in self.objects], len(self.frame_T))

    def worst_expected_j(self) -> Values:
        """Of all objects in each frame; NaN where there is none."""
        return _over(np.fmin, [one.expected_j_T for one in self.objects], len(self.frame_T))


def _over(choose: np.ufunc, values: Iterable[Values], length: int) -> Values:
    found = np.full(length, np.nan)
    for one in values:
        found = choose(found, one)
    return found


def read_curves(frames: pa.Table, masks: pa.Table, expected: pa.Table | None, object_ids: Iterable[int]) -> Curves:
    """Curves of a video's rows: of `frames`, of `masks`, and of what is expected of these (expected_j)."""
    frame_T = frames["frame_index"].to_numpy()
    return Curves(
        frame_T=frame_T,
        columns={name: _numbers(frames[name]) for name in FRAME_COLUMNS[1:]},
        objects=tuple(_object(object_id, frame_T, masks, expected) for object_id in object_ids),
    )


def _object(object_id: int, frame_T: NDArray[np.int64], masks: pa.Table, expected: pa.Table | None) -> ObjectCurves:
    return ObjectCurves(
        object_id=object_id,
        area_T=_spread(masks, "area", object_id, frame_T),
        uncertainty_T=_spread(masks, "uncertainty", object_id, frame_T),
        score_T=_spread(masks, "score", object_id, frame_T),
        expected_j_T=_spread(expected, "expected_j", object_id, frame_T),
    )


def _spread(table: pa.Table | None, column: str, object_id: int, frame_T: NDArray[np.int64]) -> Values:
    values_T = np.full(len(frame_T), np.nan)
    if table is not None:
        own = table["object_id"].to_numpy() == object_id
        values_T[np.searchsorted(frame_T, table["frame_index"].to_numpy()[own])] = _numbers(table[column])[own]
    return values_T


def _numbers(column: pa.ChunkedArray) -> Values:
    return np.asarray(column.to_numpy(), np.float64)


@dataclass(frozen=True, kw_only=True)
class Thinning:
    """Neighbouring frames as one point: of every curve the value that a person should know of."""

    starts_P: NDArray[np.int64]
    """Places of the points' first frames."""
    every: int
    """Frames a point."""

    def most(self, values_T: Values) -> Values:
        """The highest value of each point; NaN where none is known."""
        return self._chosen(np.fmax, values_T)

    def least(self, values_T: Values) -> Values:
        """The lowest value of each point; NaN where none is known."""
        return self._chosen(np.fmin, values_T)

    def last(self, values_T: Values) -> Values:
        """The value of each point's last frame."""
        ends_P = np.append(self.starts_P[1:], len(values_T)) - 1
        return np.asarray(values_T[ends_P], np.float64)

    def _chosen(self, choose: np.ufunc, values_T: Values) -> Values:
        if self.every == 1:
            return values_T
        return np.asarray(choose.reduceat(values_T, self.starts_P), np.float64)


def thinning(num_frames: int, most_points: int = MOST_POINTS) -> Thinning:
    """At most so many points for so many frames."""
    every = max(1, -(-num_frames // most_points))
    return Thinning(starts_P=np.arange(0, num_frames, every), every=every)


def json_numbers(values: Values, digits: int) -> list[float | int | None]:
    """Rounded values for JSON, which has no NaN; whole numbers where no digit is asked for."""
    rounded = np.round(values, digits)
    known = np.isfinite(rounded).tolist()
    numbers = np.where(known, rounded, 0).astype(np.int64).tolist() if digits == 0 else rounded.tolist()
    return [number if ok else None for number, ok in zip(numbers, known, strict=True)]
