from datetime import UTC, datetime

import pyarrow as pa

from pipeline.output.failures import open_failures
from pipeline.output.schema import to_table
from tests.pipeline.output.test_schema import FAILURE

COLUMNS = ("video_id", "message", "failed_at")


def failure(video_id: str, minute: int, message: str = "") -> dict[str, object]:
    return {**FAILURE, "video_id": video_id, "failed_at": f"2026-01-02T03:{minute:02}:00+00:00", "message": message}


def test_the_latest_failure_of_each_video_that_was_not_committed_since() -> None:
    failures = to_table(
        "failures",
        [failure("b", 3, "late"), failure("b", 1, "early"), failure("a", 1), failure("c", 5), failure("d", 2)],
    )
    times = [datetime(2026, 1, 2, 3, minute, tzinfo=UTC) for minute in (4, 3)]
    videos = pa.table({"video_id": ["c", "d"], "committed_at": pa.array(times, pa.timestamp("us", tz="UTC"))})
    found = open_failures(failures, videos, COLUMNS)
    assert list(found) == ["a", "b", "c"]
    assert found["b"]["message"] == "late"
    assert found["c"].keys() == set(COLUMNS)
