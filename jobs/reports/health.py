"""How the runs of an output went: what is done, what failed, how fast, and at what cost."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.reports.videos import FAILED, VideoRow

STAGES = ("decode", "network", "write")
"""Stages of an attempt whose seconds `videos` has; the rest of its time is opening, loading and putting files."""
_MASKS = 1000


def health_of(
    videos: pa.Table,
    failures: Iterable[Mapping[str, Any]],
    rows: Sequence[VideoRow],
    price_per_hour: float | None,
) -> dict[str, object]:
    """All of it as JSON values: `videos` is that table, `failures` the open ones, `rows` all videos'.

    `price_per_hour` is of one worker, in whatever currency.
    """
    seconds_total = _sum(videos, "seconds_total")
    frames = int(_sum(videos, "frames_decoded"))
    return {
        "statuses": dict(sorted(Counter(row.status for row in rows).items(), key=lambda kind: kind[0])),
        "causes": dict(Counter(str(failure["cause"]) for failure in failures).most_common()),
        "failed_again": _failed_again(failures, rows),
        "frames": frames,
        "object_frames": sum(row.object_frames for row in rows),
        "judged": sum(row.judged for row in rows),
        "bad": sum(row.bad or 0 for row in rows),
        "seconds": _seconds(videos, seconds_total),
        "frames_per_s": frames / seconds_total if seconds_total else None,
        "receipt": _receipt(price_per_hour, seconds_total, sum(row.object_frames for row in rows)),
        "hosts": len(set(videos["host"].to_pylist())),
        "gpus": sorted({gpu for gpu in videos["gpu"].to_pylist() if gpu}),
        "checkpoints": sorted(set(videos["checkpoint"].to_pylist())),
        "first_commit": _time(pc.min(videos["committed_at"])),
        "last_commit": _time(pc.max(videos["committed_at"])),
    }


def _failed_again(failures: Iterable[Mapping[str, Any]], rows: Sequence[VideoRow]) -> int:
    """Videos with an older result whose latest attempt failed."""
    done = {row.id for row in rows if row.status != FAILED}
    return sum(failure["video_id"] in done for failure in failures)


def _seconds(videos: pa.Table, total: float) -> dict[str, float]:
    seconds = {stage: _sum(videos, f"seconds_{stage}") for stage in STAGES}
    return {**seconds, "other": max(0.0, total - sum(seconds.values()))}


def _receipt(price_per_hour: float | None, seconds: float, object_frames: int) -> dict[str, object] | None:
    if price_per_hour is None:
        return None
    cost = price_per_hour * seconds / 3600
    return {
        "price_per_hour": price_per_hour,
        "hours": seconds / 3600,
        "cost": cost,
        "cost_per_1000_masks": cost * _MASKS / object_frames if object_frames else None,
    }


def _sum(videos: pa.Table, column: str) -> float:
    return float(pc.sum(videos[column]).as_py() or 0)


def _time(moment: pa.Scalar) -> str | None:
    found = moment.as_py()
    return None if found is None else found.isoformat(timespec="seconds")
