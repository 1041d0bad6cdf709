"""Scores by both protocols, and whether uncertainty goes with error."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from jobs.evaluation.scores import Evaluation
from jobs.evaluation.scoring import evaluate
from model.metrics import mean_scores, score_sequence
from pipeline.errors import InvalidPrompt
from tests.jobs.evaluation.scored import labels, put_truth, put_video, shrinking
from tests.reference import REFERENCE, expected, needs_reference, read_masks


def linked_truth(root: Path, folder: Path) -> str:
    (root / "Annotations").mkdir(parents=True)
    (root / "Annotations" / "480p").symlink_to(folder)
    return str(root)


def scores_by_name(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    return {
        f"{sequence.video_id}_{score.object_id}": {"J": score.J, "F": score.F}
        for sequence in evaluation.sequences
        for score in sequence.objects
    }


@needs_reference
def test_official_scores_of_osvos(output: str, tmp_path: Path) -> None:
    for folder in sorted((REFERENCE / "osvos").iterdir()):
        names = [f"{path.stem}.jpg" for path in sorted(folder.iterdir())]
        put_video(output, folder.name, read_masks(folder), names=names)
    found = scores_by_name(evaluate(output, linked_truth(tmp_path / "davis", REFERENCE / "gt")))
    wanted = expected()["osvos_vs_gt"]
    assert found.keys() == wanted.keys()
    for name, scores in found.items():
        assert pytest.approx(wanted[name], abs=1e-4) == scores


@needs_reference
def test_official_scores_of_many_objects(output: str, tmp_path: Path) -> None:
    for folder in sorted((REFERENCE / "multi_pseudo_gt").iterdir()):
        masks = read_masks(folder)
        put_video(output, folder.name, [masks[max(0, t - 2)] for t in range(len(masks))])
    evaluation = evaluate(output, linked_truth(tmp_path / "davis", REFERENCE / "multi_pseudo_gt"))
    wanted = expected()["multi_pseudo_gt_vs_2frame_delay"]
    found = scores_by_name(evaluation)
    assert found.keys() == wanted["per_object"].keys()
    for name, scores in found.items():
        assert pytest.approx(wanted["per_object"][name], abs=1e-4) == scores
    mean = mean_scores(evaluation.objects)
    assert pytest.approx(wanted["global"], abs=1e-4) == {
        "J&F": mean.J_and_F,
        "J-Mean": mean.J,
        "J-Recall": mean.J_recall,
        "J-Decay": mean.J_decay,
        "F-Mean": mean.F,
        "F-Recall": mean.F_recall,
        "F-Decay": mean.F_decay,
    }


@given(
    hnp.arrays(np.uint8, st.tuples(st.just(2), st.integers(3, 5), st.just(6), st.just(7)), elements=st.integers(0, 2))
)
def test_tables_give_what_the_masks_give(tmp_path_factory: pytest.TempPathFactory, maps: NDArray[np.uint8]) -> None:
    predictions, truth = maps
    truth[0, 0, 0] = 1
    folder = tmp_path_factory.mktemp("case")
    put_video(str(folder / "out"), "v", predictions)
    (sequence,) = evaluate(str(folder / "out"), put_truth(folder / "davis", "v", truth)).sequences
    assert list(sequence.objects) == score_sequence(predictions, truth, range(1, truth.max() + 1))


def test_a_frame_without_rows_has_no_object(output: str, tmp_path: Path) -> None:
    """Rows begin at an object's first prompt."""
    put_video(output, "v", labels(0, 0, 1, 1, 1), prompted=(2,))
    (score,) = evaluate(output, put_truth(tmp_path / "davis", "v", labels(1, 1, 1, 1, 1))).objects
    assert round(score.J, 6) == 0.666667


def test_all_frames_from_the_first_annotation_on_but_the_prompted(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(0, 1, 0, 1, 1), prompted=(1,))
    truth = put_truth(tmp_path / "davis", "v", labels(0, 1, 1, 1, 1))
    (score,) = evaluate(output, truth, protocol="all-frames").objects
    assert (score.num_frames, round(score.J, 6)) == (3, 0.666667)
    (official_score,) = evaluate(output, truth).objects
    assert (official_score.num_frames, round(official_score.J, 6)) == (3, 0.666667)


def test_ids_that_the_truth_lacks_count_by_the_benchmark_and_are_said(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(3, 3, 3))
    truth = put_truth(tmp_path / "davis", "v", labels(3, 3, 3))
    (sequence,) = evaluate(output, truth).sequences
    assert [score.object_id for score in sequence.objects] == [1, 2, 3]
    assert "never shows 2 of the ids below its largest (1, 2)" in sequence.notes[0]
    (sequence,) = evaluate(output, truth, protocol="all-frames").sequences
    assert ([score.object_id for score in sequence.objects], sequence.notes) == ([3], ())


def test_void_in_the_truth_counts_for_nobody(output: str, tmp_path: Path) -> None:
    truth = labels(1, 1, 1)
    truth[:, :, 8:10] = 255
    put_video(output, "v", labels(1, 1, 1))
    (score,) = evaluate(output, put_truth(tmp_path / "davis", "v", truth)).objects
    assert (score.object_id, score.J, score.F) == (1, 1.0, 1.0)


def test_binary_masks_are_object_1(output: str, tmp_path: Path) -> None:
    put_video(output, "v", labels(1, 1, 1))
    truth = put_truth(tmp_path / "davis", "v", labels(255, 255, 255))
    with pytest.raises(InvalidPrompt, match=r"video 'v', frame 0: truth .*00000\.png.*--binary-masks"):
        evaluate(output, truth)
    (score,) = evaluate(output, truth, binary_masks=True).objects
    assert (score.object_id, score.J) == (1, 1.0)


def correlation_of(output: str, truth: str, protocol: str = "all-frames") -> tuple[float | None, int]:
    evaluation = evaluate(output, truth, protocol=protocol)
    return evaluation.uncertainty_correlation, len(evaluation.uncertainty_and_error)


def test_uncertainty_that_sorts_frames_by_their_error_correlates_with_it(output: str, tmp_path: Path) -> None:
    put_video(output, "v", shrinking(10, 8, 4, 6), uncertainty=[None, 0.125, 0.75, 0.25])
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1, 1))
    evaluation = evaluate(output, truth, protocol="all-frames")
    assert sorted(evaluation.uncertainty_and_error) == [
        (0.125, pytest.approx(0.2)),
        (0.25, pytest.approx(0.4)),
        (0.75, pytest.approx(0.6)),
    ]
    assert evaluation.uncertainty_correlation == pytest.approx(1)


def test_only_scored_object_frames_with_an_uncertainty_count(output: str, tmp_path: Path) -> None:
    """The first frame is prompted; DAVIS leaves out the last one too; another has no uncertainty."""
    put_video(output, "v", shrinking(10, 2, 4, 5, 6, 1), uncertainty=[0.9, 0.1, None, 0.2, 0.3, 0.9])
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1, 1, 1, 1))
    assert correlation_of(output, truth, "davis2017") == (pytest.approx(-1), 3)
    assert correlation_of(output, truth) == (pytest.approx(0.2), 4)


def test_object_frames_of_all_videos_and_objects_count_together(output: str, tmp_path: Path) -> None:
    both = labels(1, 1, 1)
    both[:, :, 20:] = 2
    found = both.copy()
    found[2][found[2] == 2] = 0
    put_video(output, "pair", found, uncertainty=[None, 0.1, 0.2])
    put_video(output, "single", shrinking(10, 5), uncertainty=[None, 0.15])
    put_truth(tmp_path / "davis", "pair", both)
    evaluation = evaluate(output, put_truth(tmp_path / "davis", "single", labels(1, 1)), protocol="all-frames")
    errors = [error for _, error in evaluation.uncertainty_and_error]
    assert errors == [0, 0, 0, 1, 0.5]


@pytest.mark.parametrize(
    ("widths", "uncertainty"),
    [((10, 5, 6), [None, 0.1, 0.2]), ((10, 5, 6, 7), [None] + [0.5] * 3), ((10, 5, 5, 5), [None, 0.1, 0.2, 0.3])],
)
def test_no_correlation_of_too_few_or_of_constants(
    output: str, tmp_path: Path, widths: Sequence[int], uncertainty: list[float | None]
) -> None:
    put_video(output, "v", shrinking(*widths), uncertainty=uncertainty)
    truth = put_truth(tmp_path / "davis", "v", labels(*[1] * len(widths)))
    assert evaluate(output, truth, protocol="all-frames").uncertainty_correlation is None


def peak_bytes(tmp_path: Path, num_frames: int) -> int:
    output, folder = str(tmp_path / f"out{num_frames}"), tmp_path / f"davis{num_frames}"
    frames = np.zeros((num_frames, 200, 300), np.uint8)
    frames[:, 50:90, 100:180] = 1
    put_video(output, "v", frames)
    truth = put_truth(folder, "v", frames)
    tracemalloc.start()
    try:
        evaluate(output, truth)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_length_of_the_video(tmp_path: Path) -> None:
    peak_bytes(tmp_path, 4)
    one_frame = 4 * 200 * 300
    assert peak_bytes(tmp_path, 60) - peak_bytes(tmp_path, 20) < 4 * one_frame
