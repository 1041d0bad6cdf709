"""Why an object-frame is asked about, in words, from what the tables say of it and of the frames before.

Legend: T frames of one object, in order.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.reviewing.statistics import UNCERTAIN, WINDOW

COLUMNS = (
    "frame_index", "expected_j", "uncertainty", "area_share", "overlap_before", "box_overlap", "since_prompt", "cuts",
)  # fmt: skip
"""Of an object's rows, what the reasons are made of."""

Rows_T = Mapping[str, NDArray[Any]]

_RISE = 0.1
_AREAS = 2.0
_AREA_FRAMES = 20
_JUMP = 0.3
_COVERED = 0.5
_FAR = 60


def reasons(rows: Rows_T, place: int) -> tuple[str, ...]:
    """What is striking about the object-frame at `place`, the plainest first; at least one."""
    found = (*_empty(rows, place), *_cut(rows, place), *_jump(rows, place), *_area(rows, place))
    found += (*_uncertain(rows, place), *_covered(rows, place), *_far(rows, place))
    return found or (f"expected J {rows['expected_j'][place]:.2f}",)


def _empty(rows: Rows_T, place: int) -> Iterator[str]:
    empty_T = rows["area_share"][: place + 1] <= 0
    if empty_T[place]:
        seen = np.flatnonzero(~empty_T)
        lost = int(seen[-1]) + 1 if len(seen) else 0
        yield f"lost at frame {rows['frame_index'][lost]}" if len(seen) else "never found"
    elif place and empty_T[place - 1]:
        yield "found again here"


def _cut(rows: Rows_T, place: int) -> Iterator[str]:
    start = max(1, place - WINDOW)
    cuts = start + np.flatnonzero(np.diff(rows["cuts"][start - 1 : place + 1]) > 0)
    if len(cuts):
        yield f"cut at frame {rows['frame_index'][cuts[-1]]}"


def _jump(rows: Rows_T, place: int) -> Iterator[str]:
    overlap = rows["overlap_before"][place]
    if overlap < _JUMP and rows["area_share"][place] > 0 and place and rows["area_share"][place - 1] > 0:
        yield f"jumped: overlap {overlap:.2f} with the frame before"


def _area(rows: Rows_T, place: int) -> Iterator[str]:
    start = max(0, place - _AREA_FRAMES)
    area_T = rows["area_share"][start : place + 1]
    known = np.flatnonzero(area_T > 0)
    if area_T[-1] <= 0 or not len(known):
        return
    change_T = np.log(area_T[-1] / area_T[known])
    most = int(np.abs(change_T).argmax())
    times = float(np.exp(abs(change_T[most])))
    if times >= _AREAS:
        since = rows["frame_index"][start + known[most]]
        yield f"area {'x' if change_T[most] > 0 else '/'} {times:.1f} since frame {since}"


def _uncertain(rows: Rows_T, place: int) -> Iterator[str]:
    now = rows["uncertainty"][place]
    if rows["area_share"][place] <= 0 or not np.isfinite(now):
        return  # of an empty mask nothing more is known
    before = rows["uncertainty"][max(0, place - WINDOW)]
    if np.isfinite(before) and now - before >= _RISE and place >= WINDOW:
        yield f"uncertainty {now:.2f}, was {before:.2f} ten frames before"
    elif now >= UNCERTAIN:
        yield f"uncertainty {now:.2f}"


def _covered(rows: Rows_T, place: int) -> Iterator[str]:
    share = rows["box_overlap"][place]
    if share >= _COVERED:
        yield f"another object's box covers {share:.0%} of its box"


def _far(rows: Rows_T, place: int) -> Iterator[str]:
    since = rows["since_prompt"][place]
    if since >= _FAR:
        yield f"far from its prompt: {since:.0f} frames"
