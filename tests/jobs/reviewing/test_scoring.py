"""What an order of review finds in an output with a truth."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.evaluation.matching import Truth
from jobs.reviewing.plots import check_plot, plot
from jobs.reviewing.quality import load_model
from jobs.reviewing.scoring import EXPECTED_J, UNCERTAINTY, ReviewScore, score, write_numbers, write_object_frames
from pipeline.errors import InvalidInput
from tests.jobs.evaluation.scored import put_truth
from tests.jobs.reviewing.made import box, put

TRUE = box(2, 2, 10, 10)
WRONG = box(20, 2, 10, 10)


def scored(output: str, root: Path) -> ReviewScore:
    """Two videos of five frames behind the prompt; in one the last two are wrong, and uncertain."""
    put(output, "bad", [TRUE] * 4 + [WRONG] * 2, uncertainty=[0, 0.1, 0.1, 0.1, 0.9, 0.8])
    put(output, "good", [TRUE] * 6)
    put(output, "unknown", [TRUE] * 3)
    put_truth(root, "bad", [TRUE] * 6)
    truth = put_truth(root, "good", [TRUE] * 6)
    return score(output, Truth(truth), load_model())


def test_every_object_frame_behind_a_prompt_counts(output: str, tmp_path: Path) -> None:
    found = scored(output, tmp_path / "truth")
    assert found.table["j"].to_pylist() == [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]
    assert found.skipped.keys() == {"unknown"}
    assert found.reviews[UNCERTAINTY].gain(0.2) == 1
    assert found.reviews[EXPECTED_J].gain(0.2) == pytest.approx(1)
    assert found.reviews[EXPECTED_J].auroc == pytest.approx(1)
    assert (found.spearman(UNCERTAINTY) or 0) > 0.5


def test_all_numbers_as_json_and_all_object_frames_as_parquet(output: str, tmp_path: Path) -> None:
    found = scored(output, tmp_path / "truth")
    write_numbers(str(tmp_path / "n.json"), found)
    content = json.loads((tmp_path / "n.json").read_text())
    assert (content["videos"], content["object_frames"], content["bad"]) == (2, 10, 2)
    assert content["orders"][UNCERTAINTY]["shares"][3] == {"reviewed": 0.1, "found": 0.5, "oracle": 0.5, "gain": 1}
    assert write_object_frames(str(tmp_path / "o.parquet"), found) == 10
    assert pq.read_table(tmp_path / "o.parquet").equals(found.table)


def test_without_a_bad_mask_nothing_can_be_found(output: str, tmp_path: Path) -> None:
    put(output, "good", [TRUE] * 6)
    found = score(output, Truth(put_truth(tmp_path / "truth", "good", [TRUE] * 6)), load_model())
    order = found.content()["orders"][EXPECTED_J]
    assert (order["auroc"], order["shares"][0]["found"], order["spearman"]) == (None, None, None)


def test_nothing_can_be_scored(output: str, tmp_path: Path) -> None:
    put(output, "good", [TRUE] * 3)
    truth = put_truth(tmp_path / "truth", "other", [TRUE] * 3)
    with pytest.raises(InvalidInput, match="no folder of its name"):
        score(output, Truth(truth), load_model())


def test_prompts_alone_are_no_test(output: str, tmp_path: Path) -> None:
    put(output, "good", [TRUE])
    truth = put_truth(tmp_path / "truth", "good", [TRUE])
    with pytest.raises(InvalidInput, match="no frame behind a prompt"):
        score(output, Truth(truth), load_model())


@pytest.mark.parametrize(("suffix", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_curves_as_a_picture(output: str, tmp_path: Path, suffix: str, begin: bytes) -> None:
    found = scored(output, tmp_path / "truth")
    plot(str(tmp_path / f"curves.{suffix}"), found)
    assert (tmp_path / f"curves.{suffix}").read_bytes().startswith(begin)


def test_a_picture_of_another_kind() -> None:
    with pytest.raises(InvalidInput, match=r"\.png or \.svg"):
        check_plot("curves.gif")


def test_curves_of_many_frames_do_not_take_long(output: str, tmp_path: Path) -> None:
    """Bins and curves are of arrays: a plot of 200 frames draws what it draws of ten."""
    masks = [TRUE if index % 3 else WRONG for index in range(200)]
    put(output, "v", masks, uncertainty=np.linspace(0, 1, 200).tolist())
    found = score(output, Truth(put_truth(tmp_path / "truth", "v", [TRUE] * 200)), load_model())
    assert sum(one.number for one in found.reliability) == 199
