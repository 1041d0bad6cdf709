"""Masks beside those of the truth, and J of object-frames."""

from pathlib import Path

import pytest

from jobs.evaluation.matching import Truth
from jobs.evaluation.truth import NotScored
from pipeline.errors import InvalidInput
from pipeline.output.labels import committed_video
from tests.jobs.evaluation.scored import labels, put_truth, put_video, shrinking


def test_every_object_has_a_score_from_its_first_prompt_on(output: str, tmp_path: Path) -> None:
    put_video(output, "v", shrinking(10, 5, 0))
    truth = Truth(put_truth(tmp_path, "v", labels(1, 1, 1)))
    found = list(truth.object_frames(committed_video(output, "v")))
    assert [(one.video_id, one.frame_index, one.object_id, one.J) for one in found] == [
        ("v", 0, 1, 1.0), ("v", 1, 1, 0.5), ("v", 2, 1, 0.0),
    ]  # fmt: skip


def test_void_counts_for_nobody_and_nothing_against_nothing_is_right(output: str, tmp_path: Path) -> None:
    put_video(output, "v", shrinking(10, 5, 0))
    masks = labels(1, 1, 0)
    masks[1, :, 5:10] = 255
    truth = Truth(put_truth(tmp_path, "v", masks))
    assert [one.J for one in truth.object_frames(committed_video(output, "v"))] == [1, 1, 1]


def test_frames_without_a_truth_are_left_out(output: str, tmp_path: Path) -> None:
    names = ["a.jpg", "b.jpg", "c.jpg"]
    put_video(output, "v", labels(1, 1, 1), names=names)
    truth = Truth(put_truth(tmp_path, "v", labels(1, 1), names=["a", "c"]))
    assert [one.frame_index for one in truth.object_frames(committed_video(output, "v"))] == [0, 2]


def test_a_video_without_a_truth(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(1))
    truth = Truth(put_truth(tmp_path, "other", labels(1)))
    with pytest.raises(NotScored, match="no folder of its name"):
        truth.matched(committed_video(output, "v"))


def test_a_truth_of_another_size(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(1))
    truth = Truth(put_truth(tmp_path, "v", labels(1)[:, ::2]))
    with pytest.raises(InvalidInput, match=r"30 x 10.*30 x 20"):
        list(truth.object_frames(committed_video(output, "v")))
