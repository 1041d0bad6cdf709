"""`vos-batch evaluate` on outputs that the tests write themselves, and on masks with official scores."""

import json
import os
import subprocess
import sys
import tracemalloc
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from jobs import cli
from jobs.evaluate import app
from jobs.evaluation.scores import Evaluation, write_scores
from jobs.evaluation.scoring import evaluate
from model.metrics import mean_scores, score_sequence
from model.result import BankStatistics, FrameResult, ObjectStatistics
from pipeline.commits import Commit, CommitLog
from pipeline.errors import InvalidInput, InvalidOutput, InvalidPrompt
from pipeline.output import claim_output
from pipeline.storage import Store
from pipeline.writer import VideoWriter
from tests.pipeline.made_commits import make_commit

REFERENCE = Path(__file__).parents[3] / "shared" / "clips" / "jf-reference"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason=f"{REFERENCE} (masks with official scores) is absent"
)
LabelMap = NDArray[np.integer]


@dataclass(frozen=True)
class Info:
    index: int
    name: str | None
    timestamp_us: int | None = None
    damaged: bool = False


def labels(*objects: int) -> NDArray[np.uint8]:
    """Frames of 20 x 30 whose left third carries the given id."""
    made = np.zeros((len(objects), 20, 30), np.uint8)
    made[:, :, :10] = np.array(objects)[:, None, None]
    return made


def put_video(
    output: str,
    video_id: str,
    predictions: Sequence[LabelMap] | LabelMap,
    *,
    names: Sequence[str] | None = None,
    start: int = 0,
    prompted: Sequence[int] = (0,),
    uncertainty: Sequence[float | None] = (),
) -> None:
    """Commit a video with these masks. `names` are those of a folder's frames; else it is a video file.

    `uncertainty`: in each frame that of all its objects.
    """
    store = Store(output)
    claim_output(store)
    known: set[int] = set()
    with VideoWriter(store, video_id, "1") as writer:
        for position, frame in enumerate(predictions):
            index = start + position
            known |= set(np.flatnonzero(np.bincount(frame.ravel())).tolist()) - {0}
            info = Info(index, names[position] if names else None)
            value = uncertainty[position] if uncertainty else None
            writer.add(info, result(frame, sorted(known), value, prompted=index in prompted))
        files = writer.finish()
    made = make_commit(video_id)
    size = {"height": predictions[0].shape[0], "width": predictions[0].shape[1], "frames_decoded": len(predictions)}
    CommitLog(store).commit(
        Commit(video_id=video_id, identity=made.identity, files=files, video={**made.video, **size})
    )


def result(frame: LabelMap, object_ids: Sequence[int], uncertainty: float | None, *, prompted: bool) -> FrameResult:
    return FrameResult(
        labels=frame.astype(np.int32),
        objects=tuple(ObjectStatistics(object_id=i, score=None, uncertainty=uncertainty) for i in object_ids),
        statistics=None,
        bank=BankStatistics(),
        prompted=prompted,
    )


def put_truth(
    root: Path, video_id: str, masks: Sequence[LabelMap] | LabelMap, *, names: Sequence[str] = (), level: str = ""
) -> str:
    folder = root / "Annotations" / level / video_id
    folder.mkdir(parents=True)
    for index, mask in enumerate(masks):
        Image.fromarray(np.asarray(mask)).save(folder / f"{names[index] if names else f'{index:05d}'}.png")
    return str(root)


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "out")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})


# --- the official numbers, through the tables


def official() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((REFERENCE / "expected.json").read_text())
    return loaded


def read_masks(folder: Path) -> list[NDArray[np.uint8]]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]


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
    wanted = official()["osvos_vs_gt"]
    assert found.keys() == wanted.keys()
    for name, scores in found.items():
        assert pytest.approx(wanted[name], abs=1e-4) == scores


@needs_reference
def test_official_scores_of_many_objects(output: str, tmp_path: Path) -> None:
    for folder in sorted((REFERENCE / "multi_pseudo_gt").iterdir()):
        masks = read_masks(folder)
        put_video(output, folder.name, [masks[max(0, t - 2)] for t in range(len(masks))])
    evaluation = evaluate(output, linked_truth(tmp_path / "davis", REFERENCE / "multi_pseudo_gt"))
    wanted = official()["multi_pseudo_gt_vs_2frame_delay"]
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


# --- which mask belongs to which frame


@settings(deadline=None, max_examples=10)
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


# --- protocols


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


# --- whether the uncertainty means something


def shrinking(*widths: int) -> NDArray[np.uint8]:
    """Object 1 with its `widths` leftmost columns: against ten columns of truth J is width / 10."""
    made = labels(*[0] * len(widths))
    for frame, width in zip(made, widths, strict=True):
        frame[:, :width] = 1
    return made


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


def test_masks_of_the_truth_are_matched_by_frame(output: str, tmp_path: Path) -> None:
    """Every other frame has a truth."""
    names = [f"{index}.jpg" for index in range(5)]
    put_video(output, "v", shrinking(10, 0, 5, 0, 10), names=names, uncertainty=[None, 0.1, 0.2, 0.3, 0.4])
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1), names=["0", "2", "4"])
    found = evaluate(output, truth, protocol="all-frames").uncertainty_and_error
    assert found == [(pytest.approx(0.2), 0.5), (pytest.approx(0.4), 0)]


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
    assert "Spearman" not in call(output, "--truth", truth, "--all-frames").output


def test_the_command_prints_the_correlation(output: str, tmp_path: Path) -> None:
    put_video(output, "v", shrinking(10, 8, 4, 6), uncertainty=[None, 0.1, 0.2, 0.3])
    truth = put_truth(tmp_path / "davis", "v", labels(1, 1, 1, 1))
    shown = call(output, "--truth", truth, "--all-frames")
    assert "uncertainty against 1 - J: Spearman 0.50 over 3 object-frames" in shown.output


# --- what cannot be scored


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
    output: str, tmp_path: Path, truth: LabelMap, protocol: str, reason: str
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


# --- memory


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


# --- what comes out


@pytest.fixture
def two_sequences(output: str, tmp_path: Path) -> tuple[str, str]:
    both = labels(1, 1, 1, 1)
    both[:, :, 20:] = 2
    found = both.copy()
    found[1][found[1] == 2] = 0
    put_video(output, "pair [x]", found)
    put_video(output, "single", labels(1, 1, 1))
    put_truth(tmp_path / "davis", "pair [x]", both)
    return output, put_truth(tmp_path / "davis", "single", labels(1, 1, 1))


def test_parquet_has_a_row_per_object_and_explains_its_columns(two_sequences: tuple[str, str]) -> None:
    url = f"memory://{uuid.uuid4().hex}/scores.parquet"
    evaluation = evaluate(*two_sequences)
    assert write_scores(url, evaluation) == 3
    with Store(url.rpartition("/")[0]).open("scores.parquet") as file:
        table = pq.read_table(file)
    assert table.select(["video_id", "object_id", "num_frames", "J", "J_recall"]).to_pylist() == [
        {"video_id": "pair [x]", "object_id": 1, "num_frames": 2, "J": 1.0, "J_recall": 1.0},
        {"video_id": "pair [x]", "object_id": 2, "num_frames": 2, "J": 0.5, "J_recall": 0.5},
        {"video_id": "single", "object_id": 1, "num_frames": 1, "J": 1.0, "J_recall": 1.0},
    ]
    assert table["J_and_F"].to_pylist() == [score.J_and_F for score in evaluation.objects]
    assert set(table["protocol"].to_pylist()) == {"davis2017"}
    assert all(b"description" in field.metadata for field in table.schema)
    assert table.schema.field("J").metadata[b"unit"] == b"0..1"


def test_the_command_prints_objects_sequences_and_their_mean(two_sequences: tuple[str, str], tmp_path: Path) -> None:
    output, truth = two_sequences
    shown = call(output, "--truth", truth, "--parquet", str(tmp_path / "scores.parquet"))
    assert shown.exit_code == 0, shown.output
    rows = [line.split() for line in shown.output.splitlines()]
    decay = ["0.000", "1.000", "1.000", "0.000"]
    assert ["pair", "[x]", "1", "2", "1.000", "1.000", "1.000", *decay] in rows
    assert ["pair", "[x]", "mean", "4", "0.750", "0.750", "0.750"] in [row[:7] for row in rows]
    assert ["all", "objects", "mean", "5", "0.833", "0.833", "0.833"] in [row[:7] for row in rows]
    assert f"wrote 3 rows to file://{tmp_path}/scores.parquet" in shown.output
    assert pq.read_table(tmp_path / "scores.parquet").num_rows == 3


def test_the_command_names_what_is_missing(two_sequences: tuple[str, str], tmp_path: Path) -> None:
    output, truth = two_sequences
    put_video(output, "[b]", labels(1, 1, 1))
    put_truth(tmp_path / "davis", "lost", labels(1, 1, 1))
    shown = call(output, "--truth", truth, "--all-frames")
    assert shown.exit_code == 0
    assert "2 sequences, 3 objects, protocol all-frames" in shown.output
    assert "skipped: [b]: no folder of its name" in shown.output
    assert "1 sequences of the truth are not in this output: lost" in shown.output


def test_a_wrong_call_exits_with_2(output: str, tmp_path: Path) -> None:
    shown = call(output, "--truth", put_truth(tmp_path / "davis", "v", labels(1, 1, 1)))
    assert shown.exit_code == 2
    assert "no vos-batch output" in shown.output


def test_it_is_a_sub_command(two_sequences: tuple[str, str]) -> None:
    output, truth = two_sequences
    assert CliRunner().invoke(cli.app, ["evaluate", output, "--truth", truth]).exit_code == 0


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "jobs.evaluate", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"})
    for word in ("OUTPUT", "--truth", "--resolution", "--all-frames", "--parquet"):
        assert word in shown.stdout
