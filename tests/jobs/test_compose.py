"""Composed clips: a dataset that the pipeline reads, the same from the same seed, from held-back stills only."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from jobs.cli import app
from jobs.datasets.manifests import build
from model.result import Labels
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


def first_masks(root: Path) -> list[Labels]:
    folders = sorted((root / "Annotations").iterdir())
    return [read_mask((folder / "00000.png").read_bytes(), folder.name) for folder in folders]


def test_small_clips_have_many_small_objects_alike(tmp_path: Path, stills: Path) -> None:
    root = composed(tmp_path / "clips", stills, "--kind", "small", "--side", "160")
    for labels in first_masks(root):
        areas = np.bincount(labels.ravel())[1:]
        assert 6 <= len(areas) <= 12 and areas.min() >= 8
        for object_id in range(1, len(areas) + 1):
            ys, xs = np.nonzero(labels == object_id)
            assert max(np.ptp(ys), np.ptp(xs)) <= 0.09 * 160


def test_thin_clips_have_strips(tmp_path: Path, stills: Path) -> None:
    root = composed(tmp_path / "clips", stills, "--kind", "thin", "--side", "160")
    for labels in first_masks(root):
        for object_id in range(1, labels.max() + 1):
            area = cv2.minAreaRect(np.argwhere(labels == object_id).astype(np.float32))
            shorter, longer = sorted(area[1])
            assert shorter <= 0.35 * longer


def test_objects_of_returns_are_gone_for_a_while(tmp_path: Path, stills: Path) -> None:
    root = composed(tmp_path / "clips", stills, "--kind", "returns", "--frames", "20")
    there = []
    for folder in sorted((root / "Annotations").iterdir()):
        masks = np.stack([read_mask(path.read_bytes(), path.name) for path in sorted(folder.iterdir())])
        there += [(masks == i).any(axis=(1, 2)) for i in range(1, masks[0].max() + 1)]
    assert all(seen[0] for seen in there)
    assert any(not seen.all() and seen[-1] for seen in there)


@pytest.mark.parametrize(("options", "count"), [((), 60), (("--objects", "12", "12"), 12)])
def test_squares_need_no_stills(tmp_path: Path, options: tuple[str, ...], count: int) -> None:
    arguments = ["compose", str(tmp_path / "s"), "--squares", "--clips", "2", "--frames", "3", *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    one, two = first_masks(tmp_path / "s")
    assert one.max() == two.max() == count and not np.array_equal(one, two)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --stills or --squares, one of them"),
        (("--squares", "--stills", "x"), "give --stills or --squares, one of them"),
        (("--squares", "--side", "16"), "60 squares do not fit into 16 x 16"),
    ],
)
def test_what_cannot_be_composed_is_said(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["compose", str(tmp_path / "s"), *options])
    assert result.exit_code == 2 and message in result.output
