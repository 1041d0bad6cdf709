"""Which frames of a video are shown as pictures: those worth a look, and some evenly spaced ones."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from jobs.reports.curves import Curves, Values
from jobs.reports.marks import Mark

_PEAKS = 6
"""Of a curve, at most."""
_MARKS = 8
"""Of a kind, at most."""
_APART = 40
"""Peaks of a curve lie at least this part of the video apart."""

Reasons = dict[int, list[str]]
"""Why a frame is shown, by frame_index; no reason: it is one of the evenly spaced ones."""


def choose(curves: Curves, marks: Sequence[Mark], queued: Iterable[int], spaced: int) -> Reasons:
    """The frames to show in order: queued ones, peaks, marks, and `spaced` ones at equal distances."""
    frames = curves.frame_T
    if not len(frames):
        return {}
    reasons: Reasons = {int(frames[place]): [] for place in _evenly(len(frames), spaced)}
    for index in sorted(set(queued) & set(frames.tolist())):
        reasons.setdefault(index, []).append("to review")
    for name, values_T in (
        ("uncertainty peak", curves.worst_uncertainty()),
        ("low expected J", -curves.worst_expected_j()),
    ):
        for place in peaks(values_T):
            reasons.setdefault(int(frames[place]), []).append(name)
    for mark in _first_of_a_kind(marks):
        reasons.setdefault(mark.frame_index, []).append(mark.kind)
    return {index: list(dict.fromkeys(why)) for index, why in sorted(reasons.items())}


def _evenly(length: int, count: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, length - 1, min(count, length)).tolist()})


def peaks(values_T: Values, most: int = _PEAKS) -> list[int]:
    """Places of the highest values that are above the median, with some distance between them; highest first."""
    known = np.isfinite(values_T)
    if not known.any():
        return []
    apart = max(2, len(values_T) // _APART)
    left = np.where(known & (values_T > np.median(values_T[known])), values_T, -np.inf)
    found: list[int] = []
    while len(found) < most and np.isfinite(left[place := int(left.argmax())]):
        found.append(place)
        _clear(left, place, apart)
    return found


def _clear(values_T: NDArray[np.float64], place: int, apart: int) -> None:
    values_T[max(0, place - apart) : place + apart + 1] = -np.inf


def _first_of_a_kind(marks: Sequence[Mark]) -> list[Mark]:
    found: dict[str, list[Mark]] = {}
    for mark in marks:
        if len(taken := found.setdefault(mark.kind, [])) < _MARKS:
            taken.append(mark)
    return [mark for taken in found.values() for mark in taken]
