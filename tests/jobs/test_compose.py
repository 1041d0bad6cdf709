"""Composed clips: a dataset that the pipeline reads, the same from the same seed, from held-back stills only."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from jobs.cli import app
from jobs.datasets.manifests import build
from pipeline.input.manifest import read_manifest
from pipeline.input.masks import read_mask
from tests.jobs.composed import HELD_BACK, composed
from tests.jobs.material import trainable, write_stills


def written(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.*")}


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stills(tmp_path_factory.mktemp("stills"), HELD_BACK)


def test_clips_are_a_dataset_with_two_to_four_objects(tmp_path: Path, stills: Path) -> None:
    root = composed(tmp_path / "clips", stills)
    assert build("davis", str(root), str(tmp_path / "m.jsonl")) == 3
    for task in read_manifest(str(tmp_path / "m.jsonl")):
        (prompt,) = task.prompts
        assert prompt.frame_index == 0
        folder = root / "Annotations" / task.video_id
        masks = sorted(folder.iterdir())
        assert [mask.name for mask in masks] == [f"{t:05d}.png" for t in range(6)]
        labels = read_mask(masks[0].read_bytes(), "first")
        assert labels.shape == (64, 64) and labels.max() in (2, 3, 4)
        with Image.open(masks[0]) as picture:
            assert picture.mode == "P"  # so that viewers show colours


def test_a_seed_makes_the_same_clips(tmp_path: Path, stills: Path) -> None:
    first, again, other = (
        written(composed(tmp_path / name, stills, "--seed", seed))
        for name, seed in (("a", "4"), ("b", "4"), ("c", "5"))
    )
    assert first == again
    assert first.keys() == other.keys() and first != other


def test_stills_that_are_trained_on_are_not_used(tmp_path: Path, stills: Path) -> None:
    more = write_stills(tmp_path / "more", [*HELD_BACK, *trainable(2)])
    assert written(composed(tmp_path / "a", more)) == written(composed(tmp_path / "b", stills))


def test_without_held_back_stills_it_says_so(tmp_path: Path) -> None:
    folder = write_stills(tmp_path / "stills", trainable(1))
    result = CliRunner().invoke(app, ["compose", str(tmp_path / "o"), "--stills", str(folder)])
    assert result.exit_code == 2 and "no pictures" in result.output
