import numpy as np
import pytest

from jobs.reports.videos import VideoRow, badness, columns_of, failed_row, row_of, trace_of
from tests.jobs.reports.test_chosen import curves
from tests.pipeline.made_commits import make_commit


def test_a_trace_holds_the_highest_of_each_stretch() -> None:
    assert trace_of(np.array([0.0, 1.0, np.nan])) == "0z."
    assert trace_of(np.array([-1.0, 7.0])) == "0z"
    assert trace_of(np.array([])) == ""
    long = np.zeros(100_000)
    long[77_777] = 1
    trace = trace_of(long)
    assert len(trace) == 48
    assert trace.index("z") == 77_777 * 48 // 100_000
    assert trace.count("0") == 47


def test_badness_is_what_is_expected_or_else_uncertainty() -> None:
    np.testing.assert_allclose(badness(curves([0.1, 0.4])), [0.2, 0.8])
    np.testing.assert_allclose(badness(curves([0.1, 0.4], [0.9, 0.3])), [0.1, 0.7])


def test_a_row_sums_up_a_video() -> None:
    row = row_of(make_commit("v").video, "v-1", curves([0.1, 0.3], [0.9, 0.4]), [])
    assert (row.id, row.file, row.status, row.frames, row.objects) == ("v", "v-1", "complete", 2, 2)
    assert (row.expected_j, row.worst_j, row.bad, row.judged) == (0.65, 0.4, 1, 2)
    assert (row.uncertainty, row.peak) == (0.2, 0.3)
    assert row.frames_per_s == pytest.approx(2 / 0.7, abs=1e-4)
    assert row.note == ""


def test_a_video_that_needs_a_prompt_says_where() -> None:
    video = {**make_commit("v").video, "status": "needs_prompt", "needs_prompt_frame": 7}
    assert row_of(video, "v-1", curves([0.1]), []).note == "needs a prompt at frame 7, or later"


def test_a_video_without_a_result_says_why() -> None:
    row = failed_row({"video_id": "v", "cause": "UnreadableVideo", "message": "v.mp4 is empty"}, "v-1")
    assert (row.status, row.note, row.frames) == ("failed", "UnreadableVideo: v.mp4 is empty", None)


def test_rows_become_columns_of_one_length() -> None:
    columns = columns_of(
        [VideoRow(id="a", file="a-1", status="complete"), VideoRow(id="b", file="b-1", status="failed")]
    )
    assert columns["id"] == ["a", "b"]
    assert {len(column) for column in columns.values()} == {2}
