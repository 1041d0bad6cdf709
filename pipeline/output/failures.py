"""Which failures are still open: the latest of a video that was not committed since."""

from collections.abc import Collection
from typing import Any

import pyarrow as pa


def open_failures(failures: pa.Table, videos: pa.Table, columns: Collection[str]) -> dict[str, dict[str, Any]]:
    """By video_id, ascending: some columns of its latest failure, `video_id` and `failed_at` among them.

    `failures` and `videos` are these tables. Read the failures first: a video that is committed in between then counts
    as done, not as both.
    """
    committed_at = dict(zip(videos["video_id"].to_pylist(), videos["committed_at"].to_pylist(), strict=True))
    rows = failures.select(list(columns)).sort_by("failed_at").to_pylist()
    latest = {row["video_id"]: row for row in rows}
    return {
        video_id: latest[video_id]
        for video_id in sorted(latest)
        if video_id not in committed_at or committed_at[video_id] < latest[video_id]["failed_at"]
    }
