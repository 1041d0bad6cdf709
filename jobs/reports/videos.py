"""The table of videos: a row each, as columns, for ten thousand rows repeat no names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from jobs.reports.curves import Curves, Values
from jobs.reports.marks import Mark

FAILED = "failed"
"""The status of a video whose latest attempt failed and that has no result."""
BAD_J = 0.5
"""Below so much expected J an object-frame counts as bad."""

_TRACE = 48
_LEVELS = "0123456789abcdefghijklmnopqrstuvwxyz"
_UNKNOWN = "."


@dataclass(frozen=True, kw_only=True)
class VideoRow:
    """One video; None where a value is not known."""

    id: str
    file: str
    """Safe name; the video's own files are named by it."""
    status: str
    frames: int | None = None
    objects: int | None = None
    object_frames: int = 0
    """Predicted masks."""
    width: int | None = None
    height: int | None = None
    expected_j: float | None = None
    """Mean over its object-frames."""
    worst_j: float | None = None
    """The lowest."""
    bad: int | None = None
    """Object-frames that are expected below 0.5."""
    judged: int = 0
    """Object-frames with an expected J."""
    uncertainty: float | None = None
    """Mean over its object-frames."""
    peak: float | None = None
    """The highest uncertainty."""
    lost: int | None = None
    """Events of that name."""
    cuts: int | None = None
    frames_per_s: float | None = None
    trace: str = ""
    """How bad it is over time (`badness`), a character a stretch: 0 to z for 0 to 1, a dot where nothing is known."""
    note: str = ""
    """Why it failed, or what it needs."""


def row_of(row: Mapping[str, Any], safe: str, curves: Curves, marks: Iterable[Mark]) -> VideoRow:
    """The row of a committed video, from its row of the table videos and what was read of it."""
    kinds = [mark.kind for mark in marks]
    uncertainty = np.concatenate([one.uncertainty_T for one in curves.objects] or [np.empty(0)])
    expected = np.concatenate([one.expected_j_T for one in curves.objects] or [np.empty(0)])
    uncertainty, expected = uncertainty[np.isfinite(uncertainty)], expected[np.isfinite(expected)]
    return VideoRow(
        id=row["video_id"],
        file=safe,
        status=row["status"],
        frames=row["frames_decoded"],
        objects=len(row["objects"]),
        object_frames=sum(int(np.isfinite(one.area_T).sum()) for one in curves.objects),
        width=row["width"],
        height=row["height"],
        expected_j=_rounded(expected.mean()) if len(expected) else None,
        worst_j=_rounded(expected.min()) if len(expected) else None,
        bad=int((expected < BAD_J).sum()) if len(expected) else None,
        judged=len(expected),
        uncertainty=_rounded(uncertainty.mean()) if len(uncertainty) else None,
        peak=_rounded(uncertainty.max()) if len(uncertainty) else None,
        lost=kinds.count("lost"),
        cuts=kinds.count("cut"),
        frames_per_s=_rounded(row["frames_decoded"] / row["seconds_total"]) if row["seconds_total"] else None,
        trace=trace_of(badness(curves)),
        note=_need(row["needs_prompt_frame"]),
    )


def badness(curves: Curves) -> Values:
    """Of each frame how far the worst mask's expected J is from 1, or, where none is judged, twice its uncertainty."""
    expected_j_T = curves.worst_expected_j()
    return 2 * curves.worst_uncertainty() if np.isnan(expected_j_T).all() else 1 - expected_j_T


def _need(frame: int | None) -> str:
    return "" if frame is None else f"needs a prompt at frame {frame}, or later"


def failed_row(failure: Mapping[str, Any], safe: str) -> VideoRow:
    """The row of a video without a result, from its latest failure."""
    return VideoRow(id=failure["video_id"], file=safe, status=FAILED, note=f"{failure['cause']}: {failure['message']}")


def _rounded(value: float) -> float:
    return round(float(value), 4)


def trace_of(values_T: Values) -> str:
    """A curve of values from 0 to 1 as few characters, each the highest of its stretch."""
    if not len(values_T):
        return ""
    starts = np.unique(np.linspace(0, len(values_T), _TRACE, endpoint=False).astype(np.int64))
    highest = np.fmax.reduceat(values_T, starts)
    top = len(_LEVELS) - 1
    return "".join(_LEVELS[round(min(1, max(0, v)) * top)] if np.isfinite(v) else _UNKNOWN for v in highest.tolist())


def columns_of(rows: Iterable[VideoRow]) -> dict[str, list[object]]:
    """The rows as columns by name."""
    listed = list(rows)
    return {field.name: [getattr(row, field.name) for row in listed] for field in fields(VideoRow)}
