from dataclasses import replace
from typing import Any

import pytest

from jobs.reports.health import health_of
from jobs.reports.videos import VideoRow
from pipeline.output.schema import to_table
from tests.pipeline.made_commits import make_commit

DONE = VideoRow(id="a", file="a-1", status="complete", object_frames=2000, judged=1500, bad=30)
FAILED = VideoRow(id="x", file="x-1", status="failed")


def videos(count: int, **changes: object) -> Any:
    empty = {f"{table}_{what}": None for table in ("masks", "frames") for what in ("file", "bytes", "sha256")}
    return to_table(
        "videos", [{**make_commit(f"v{number}").video, "driver": 1, **empty, **changes} for number in range(count)]
    )


def test_videos_are_counted_by_status_and_failures_by_cause() -> None:
    failures = [
        {"video_id": id_, "cause": cause} for id_, cause in (("x", "Stalled"), ("y", "Stalled"), ("a", "WorkerLost"))
    ]
    health = health_of(videos(1), failures, [DONE, FAILED, replace(FAILED, id="y")], None)
    assert health["statuses"] == {"complete": 1, "failed": 2}
    assert health["causes"] == {"Stalled": 2, "WorkerLost": 1}
    assert health["failed_again"] == 1
    assert (health["judged"], health["bad"]) == (1500, 30)
    assert health["receipt"] is None


def test_seconds_are_told_by_stage_and_the_rest_is_named() -> None:
    health = health_of(videos(10), [], [DONE], None)
    assert health["seconds"] == pytest.approx({"decode": 1.0, "network": 2.0, "write": 3.0, "other": 1.0})
    assert health["frames_per_s"] == pytest.approx(20 / 7)


def test_the_receipt_is_the_price_of_all_workers_hours() -> None:
    health = health_of(videos(2, seconds_total=5400.0), [], [DONE], 4.0)
    assert health["receipt"] == {"price_per_hour": 4.0, "hours": 3.0, "cost": 12.0, "cost_per_1000_masks": 6.0}


def test_an_output_without_a_video_costs_nothing() -> None:
    health = health_of(videos(0), [], [], 4.0)
    assert health["receipt"] == {"price_per_hour": 4.0, "hours": 0.0, "cost": 0.0, "cost_per_1000_masks": None}
    assert (health["frames"], health["frames_per_s"], health["last_commit"]) == (0, None, None)
