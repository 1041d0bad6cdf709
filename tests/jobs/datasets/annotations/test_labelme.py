"""LabelMe as the program writes it."""

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask
from tests.jobs.datasets.annotations.prompted import SIZE, block, boxes_of, built, masks_of, pictures

SQUARE = {"label": "Hündin", "points": [[10, 5], [20, 5], [20, 15], [10, 15]], "shape_type": "polygon"}


def write(folder: Path, name: str, *shapes: dict[str, Any], **change: Any) -> None:
    content = {
        "version": "5.5.0",
        "shapes": [{"group_id": None, "flags": {}, **shape} for shape in shapes],
        "imagePath": f"{name}.jpg",
        "imageData": None,
        "imageHeight": SIZE[0],
        "imageWidth": SIZE[1],
    }
    (folder / f"{name}.json").write_text(json.dumps(content | change, ensure_ascii=False))


def read(folder: Path, *shapes: dict[str, Any], **change: Any) -> list[VideoTask]:
    pictures(folder / "walk", "0.jpg", "1.jpg")
    write(folder / "walk", "1", *shapes, **change)
    return built("labelme", folder, folder)


def png(mask: np.ndarray) -> str:
    return base64.b64encode(cv2.imencode(".png", mask.astype(np.uint8))[1].tobytes()).decode()


def test_polygons_rectangles_circles_and_masks(tmp_path: Path) -> None:
    ring = ~block(1, 1, 3, 4, (4, 5))
    tasks = read(
        tmp_path,
        SQUARE,
        {"label": "ball", "points": [[9, 25], [1, 20]], "shape_type": "rectangle"},
        {"label": "ball", "points": [[30, 10], [30, 14]], "shape_type": "circle"},
        {"label": "cup", "points": [[35.0, 20.0], [39.0, 23.0]], "shape_type": "mask", "mask": png(ring)},
    )
    masks = masks_of(tasks)
    assert np.array_equal(masks["walk", 1, 1], block(5, 10, 15, 20))
    assert boxes_of(tasks) == {("walk", 1, 2): [1, 20, 8, 5]}
    assert masks["walk", 1, 3].sum() == pytest.approx(np.pi * 16, rel=0.1)
    assert np.array_equal(masks["walk", 1, 4][20:24, 35:40], ring)
    assert masks["walk", 1, 4].sum() == ring.sum()
    assert tasks[0].metadata["classes"] == {"1": "Hündin", "2": "ball", "3": "ball", "4": "cup"}


def test_a_folder_of_pictures_is_one_video(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "Tür 日本", "0.jpg", "1.jpg", "2.jpg")
    for name in ("1", "2"):
        write(folder, name, SQUARE)
    notes: list[str] = []
    (task,) = built("labelme", folder, tmp_path, tell=notes.append)
    assert (task.video_id, [prompt.frame_index for prompt in task.prompts]) == ("Tür 日本", [1])
    assert len(notes) == 1


def test_groups_are_ids_where_every_shape_has_one(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "walk", "0.jpg", "1.jpg")
    other = {**SQUARE, "points": [[30, 5], [35, 5], [35, 15]]}
    write(folder, "0", {**SQUARE, "group_id": 4}, {**other, "group_id": 4})
    write(folder, "1", {**SQUARE, "group_id": 4}, {**other, "group_id": 9})
    masks = masks_of(built("labelme", folder, tmp_path))
    assert set(masks) == {("walk", 0, 4), ("walk", 1, 9)}
    assert masks["walk", 0, 4][10, 12]
    assert masks["walk", 0, 4][6, 33]
    write(folder, "1", {**SQUARE, "group_id": 4}, other)
    assert set(masks_of(built("labelme", folder, tmp_path))) == {("walk", 0, 1)}


def test_lines_and_points_are_told(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "walk", "0.jpg")
    write(folder, "0", SQUARE, {**SQUARE, "shape_type": "line"}, {**SQUARE, "shape_type": "point"})
    notes: list[str] = []
    built("labelme", folder, tmp_path, tell=notes.append)
    assert notes == ["left out: 1 shapes without an area (line)", "left out: 1 shapes without an area (point)"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"points": [[1, 2], [3, 4]]}, r"walk/1\.json: shape 1: polygons.* has 2 points"),
        ({"points": [[1, 2], [3, 4], [5]]}, "shape 1: points are no list of x and y"),
        ({"points": [[1, 2], [3, 4], [5, "x"]]}, "shape 1: points are no list of numbers"),
        ({"shape_type": "circle"}, "shape 1: a circle has 4 points, it takes 2"),
        ({"group_id": [1]}, r"shape 1: group_id is \[1\]; give a number"),
        ({"shape_type": "mask", "points": [[1, 1], [2, 2]], "mask": "%"}, "shape 1: its mask is no PNG in base64"),
        (
            {"shape_type": "mask", "points": [[1, 1], [2, 2]], "mask": png(np.ones((3, 3)))},
            r"shape 1: its mask has the size \(3, 3\) \(height, width\), its points say \(2, 2\)",
        ),
        (
            {"shape_type": "mask", "points": [[44, 1], [45, 2]], "mask": png(np.ones((2, 2)))},
            r"shape 1: its mask .* in a picture of \(31, 45\)",
        ),
    ],
)
def test_bad_shapes_are_named(tmp_path: Path, shape: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path, {**SQUARE, **shape})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shapes": 3}, r"walk/1\.json: shapes is no list"),
        ({"shapes": [3]}, "shape 1: is no JSON object"),
        ({"imagePath": ".."}, "'..' names no picture"),
        ({"imagePath": "gone.jpg"}, r"walk lacks gone\.jpg"),
        ({"imageHeight": "31"}, "imageHeight and imageWidth are '31' and 45"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path, SQUARE, **change)


def test_the_picture_is_beside_its_file_wherever_it_was(tmp_path: Path) -> None:
    assert read(tmp_path, SQUARE, imagePath="..\\frames\\1.jpg")[0].prompts[0].frame_index == 1


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"has no \*\.json file, and none in its folders"):
        built("labelme", tmp_path, tmp_path)
    (tmp_path / "x.json").write_text('{"images": []}')
    with pytest.raises(InvalidInput, match="has no shapes and no imagePath, so it is not LabelMe's"):
        built("labelme", tmp_path, tmp_path)
