"""Which mask of the truth belongs to which frame, and what cannot be scored."""

from pathlib import Path

import pytest

from jobs.evaluation.scoring import evaluate
from pipeline.errors import InvalidInput, InvalidOutput
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.jobs.evaluation.scored import AnyLabels, labels, put_truth, put_video, shrinking


def test_masks_of_a_folder_belong_to_frames_by_name(output: str, tmp_path: Path) -> None:
    names = [f"f{n}" for n in (1, 2, 3, 10, 11)]
    put_video(output, "v", labels(1, 0, 1, 1, 1), names=[f"{name}.jpg" for name in names])
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1, 1), names=["f1", "f3", "f10", "f11"])
    (sequence,) = evaluate(output, truth).sequences
    (score,) = sequence.objects
    assert (score.num_frames, score.J, sequence.notes) == (2, 1.0, ())


def test_masks_of_a_video_file_belong_to_frames_by_position(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(1, 0, 1, 1))
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1, 1), names=["a1", "a2", "a10", "a11"])
    (score,) = evaluate(output, truth).objects
    assert (score.num_frames, score.J) == (2, 0.5)


def test_frames_of_a_span_keep_their_place_in_the_video(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(2, 2, 2, 2), start=3, prompted=(3,))
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1, 2, 2, 2, 2, 1))
    evaluation = evaluate(output, truth, protocol="all-frames")
    (score,) = evaluation.objects
    assert (score.object_id, score.num_frames, score.J) == (2, 3, 1.0)
    assert evaluation.sequences[0].notes == ("4 of 8 masks of the truth belong to no segmented frame",)


def test_fewer_masks_than_frames_of_a_video_file_are_said(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(1, 1, 1, 1, 1))
    (sequence,) = evaluate(output, put_truth(tmp_path / "davis", "v", labels(1, 1, 1))).sequences
    assert sequence.notes == ("the truth has 3 masks: they count as frames 0 to 2 of the video",)


def test_every_video_has_its_own_masks(output: str, tmp_path: Path) -> None:
    for video_id, truth in {"v2": labels(1, 1, 1), "v10": labels(2, 2, 2), "v1": labels(0, 0, 1)}.items():
        put_video(output, video_id, truth)
        put_truth(tmp_path / "davis", video_id, truth)
    evaluation = evaluate(output, str(tmp_path / "davis"), protocol="all-frames")
    assert [sequence.video_id for sequence in evaluation.sequences] == ["v1", "v2", "v10"]
    assert [(score.object_id, score.J) for score in evaluation.objects] == [(1, 1.0), (1, 1.0), (2, 1.0)]


def test_masks_of_the_truth_are_matched_by_frame(output: str, tmp_path: Path) -> None:
    """Every other frame has a truth."""
    names = [f"{index}.jpg" for index in range(5)]
    put_video(output, "v", shrinking(10, 0, 5, 0, 10), names=names, uncertainty=[None, 0.1, 0.2, 0.3, 0.4])
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1), names=["0", "2", "4"])
    found = evaluate(output, truth, protocol="all-frames").uncertainty_and_error
    assert found == [(pytest.approx(0.2), 0.5), (pytest.approx(0.4), 0)]


def test_videos_without_truth_are_named_and_skipped(output: str, tmp_path: Path) -> None:
    for video_id in ("a", "b/c", "unnamed"):
        put_video(output, video_id, labels(1, 1, 1), names=["0.jpg", "1.jpg", "2.jpg"])
    put_truth(tmp_path / "davis", "a", labels(1, 1, 1), names=["0", "1", "2"])
    put_truth(tmp_path / "davis", "failed", labels(1, 1, 1))
    truth = put_truth(tmp_path / "davis", "unnamed", labels(1, 1, 1))
    evaluation = evaluate(output, truth)
    assert [sequence.video_id for sequence in evaluation.sequences] == ["a"]
    assert evaluation.skipped.keys() == {"b/c", "unnamed"}
    assert "no folder of its name" in evaluation.skipped["b/c"]
    assert "none of the 3 masks" in evaluation.skipped["unnamed"]
    assert evaluation.not_segmented == ("failed",)


@pytest.mark.parametrize(
    ("truth", "protocol", "reason"),
    [
        (labels(1, 1), "davis2017", "2 frames have a truth.*; use --all-frames"),
        (labels(0, 0, 0), "davis2017", "the truth shows no object"),
        (labels(1, 0)[:1], "all-frames", "in a frame without a prompt"),
    ],
)
def test_a_sequence_without_a_score_says_why(
    output: str, tmp_path: Path, truth: AnyLabels, protocol: str, reason: str
) -> None:
    put_video(output, "v", labels(1, 1, 1))
    with pytest.raises(InvalidInput, match=f"none of the 1 videos .* as v: .*{reason}"):
        evaluate(output, put_truth(tmp_path / "davis", "v", truth), protocol=protocol)


def test_a_truth_of_another_size_is_refused_with_both_sizes(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(1, 1, 1))
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1)[:, :10, :15])
    with pytest.raises(InvalidInput, match=r"video 'v', frame 0: .* is 15 x 10, the segmented video 30 x 20"):
        evaluate(output, truth)


def test_one_of_several_resolutions_is_chosen(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(1, 1, 1))
    put_truth(tmp_path / "davis", "v", labels(1, 1, 1), level="full")
    assert evaluate(output, str(tmp_path / "davis")).objects[0].J == 1.0
    truth = put_truth(tmp_path / "davis", "v", labels(0, 1, 0), level="half")
    assert evaluate(output, truth, resolution="full").objects[0].J == 1.0
    for wrong in (None, "480p"):
        with pytest.raises(InvalidInput, match="resolutions full, half: choose one"):
            evaluate(output, truth, resolution=wrong)


def test_a_wrong_truth_folder_is_refused(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(1, 1, 1))
    with pytest.raises(InvalidInput, match="has no Annotations"):
        evaluate(output, str(tmp_path))
    with pytest.raises(InvalidInput, match="leave out --resolution"):
        evaluate(output, put_truth(tmp_path, "v", labels(1, 1, 1)), resolution="480p")


def test_an_output_without_a_video_is_refused(output: str, tmp_path: Path) -> None:
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1))
    with pytest.raises(InvalidOutput, match="no vos-batch output"):
        evaluate(output, truth)
    claim_output(Store(output))
    with pytest.raises(InvalidInput, match="no video is complete"):
        evaluate(output, truth)
