"""YOLO as its documentation shows it."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InvalidInput
from tests.jobs.datasets.annotations.prompted import block, boxes_of, built, masks_of, pictures

NAMES = "path: .\ntrain: images\nnames:\n  0: Hündin\n  1: ball\n"
OUTLINE = "0 0.05 0.1 0.05 0.3 0.43 0.3 0.43 0.1"
"""Of 45 x 31 pixels: x from 2 to 19, y from 3 to 9."""


def dataset(folder: Path, *lines: str, name: str = "walk/000001.txt") -> Path:
    pictures(folder / "images", "walk/000000.jpg", "walk/000001.jpg")
    (folder / "data.yaml").write_text(NAMES)
    (folder / "labels" / name).parent.mkdir(parents=True)
    (folder / "labels" / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_outlines_and_boxes(tmp_path: Path) -> None:
    tasks = built("yolo", dataset(tmp_path, OUTLINE, "1 0.7 0.5 0.2 0.4", ""), tmp_path)
    assert np.array_equal(masks_of(tasks)["walk", 1, 1], block(3, 2, 10, 20))
    assert boxes_of(tasks) == {("walk", 1, 2): pytest.approx([27, 9.3, 9, 12.4])}
    assert tasks[0].metadata == {"classes": {"1": "Hündin", "2": "ball"}}


@pytest.mark.parametrize(
    ("labels", "images", "classes"),
    [
        ("labels/train/walk", "images/train/walk", "data.yaml"),
        ("train/labels", "train/images", "data.yml"),  # Roboflow
        ("obj_train_data/walk", "obj_train_data/walk", "obj.names"),  # Darknet
        ("labels", "images", "classes.txt"),  # Label Studio
    ],
)
def test_layouts_of_layouts(tmp_path: Path, labels: str, images: str, classes: str) -> None:
    root = tmp_path / "set"
    pictures(root / images, "1.jpg", "2.jpg")
    (root / labels).mkdir(parents=True, exist_ok=True)
    (root / labels / "2.txt").write_text(OUTLINE)
    (root / classes).write_text(NAMES if "data" in classes else "Hündin\nball\n")
    (task,) = built("yolo", root, tmp_path)
    parts = [part for part in labels.split("/") if part not in ("labels", "obj_train_data")]
    assert task.video_id == ("/".join(parts) or "set")
    assert task.video_uri == f"file://{root}/{images}"
    assert [prompt.frame_index for prompt in task.prompts] == [1]
    assert task.metadata == {"classes": {"1": "Hündin"}}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.1 0.1", r"000001\.txt: line 2: class 2 is out of range, there are 2 classes"),
        ("0 0.5 0.5 0.1", "line 2: has 3 numbers after its class"),
        ("0 0.5 0.5 0.1 0.1 0.9", "line 2: has 5 numbers.*leave confidences and ids out"),
        ("0 0.5 0.5 0.1 0.1 0.9 0.3 0.2", "line 2: has 7 numbers"),
        ("0 5 5 20 20", "line 2: has coordinates beyond 0 to 1; divide"),
        ("0 0.5 0.5 nan 0.1", "line 2: its coordinates are no list of numbers"),
        ("car 0.5 0.5 0.1 0.1", "line 2: is no class and numbers"),
        ("0 0.5 0.5 0 0.1", "line 2: box .*width 0"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        built("yolo", dataset(tmp_path, OUTLINE, line), tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: 7", r"data\.yaml: names is no list"),
        ("[", r"data\.yaml: is no YAML"),
        ("- a", "is no YAML of keys and values"),
        ("!!python/object/apply:os.system [echo]", r"data\.yaml: is no YAML"),
        ("nc: 3", r"has no data\.yaml with names, classes\.txt or obj\.names"),
    ],
)
def test_bad_names_are_refused(tmp_path: Path, text: str, message: str) -> None:
    folder = dataset(tmp_path, OUTLINE)
    (folder / "data.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=message):
        built("yolo", folder, tmp_path)


def test_labels_without_a_picture_are_named(tmp_path: Path) -> None:
    folder = dataset(tmp_path, OUTLINE, name="walk/000007.txt")
    with pytest.raises(InvalidInput, match=r"labels/walk: .*images/walk lacks 000007\.txt; put the pictures there"):
        built("yolo", folder, tmp_path)


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(NAMES)
    with pytest.raises(InvalidInput, match=r"holds no label files \(labels/VIDEO/FRAME\.txt\)"):
        built("yolo", tmp_path, tmp_path)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    folder = dataset(tmp_path, OUTLINE)
    (folder / "images/walk/000001.jpg").write_bytes(b"no picture")
    with pytest.raises(InvalidInput, match=r"images/walk/000001\.jpg: is no whole JPEG or PNG picture"):
        built("yolo", folder, tmp_path)
