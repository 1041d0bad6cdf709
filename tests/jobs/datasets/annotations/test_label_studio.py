"""Label Studio's export as JSON, as its documentation shows it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.exports.formats.label_studio import brush_runs
from pipeline.errors import InvalidInput
from pipeline.input.manifest import VideoTask
from tests.jobs.datasets.annotations.prompted import SIZE, block, boxes_of, built, masks_of, pictures
from tests.pipeline.media import write_video

RING = block(12, 20, 28, 40) & ~block(15, 25, 20, 30)
SIZES = {"original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0}


def region(kind: str, number: str = "r1", label: str = "Hündin", **value: Any) -> dict[str, Any]:
    labels = {} if not label else {f"{kind}labels": [label]}
    name = f"{kind}labels" if label else kind
    return {"id": number, "type": name, "from_name": "l", "to_name": "i", **SIZES, "value": {**value, **labels}}


def brush(mask: np.ndarray, **more: Any) -> dict[str, Any]:
    return region("brush", format="rle", rle=brush_runs(mask).tolist(), **more)


SQUARE = region("polygon", points=[[20, 20], [40, 20], [40, 60], [20, 60]], closed=True)


def task(*regions: dict[str, Any], image: str = "walk/1.jpg", **change: Any) -> dict[str, Any]:
    return {"id": 5, "data": {"image": image}, "annotations": [{"id": 1, "result": list(regions)}], **change}


def read(folder: Path, *tasks: Any, **options: object) -> list[VideoTask]:
    pictures(folder / "images", "walk/0.jpg", "walk/1.jpg")
    (folder / "project-1.json").write_text(json.dumps(tasks))
    return built("label-studio", folder, folder, **options)


def test_brushes_polygons_rectangles_and_ellipses(tmp_path: Path) -> None:
    tasks = read(
        tmp_path,
        task(
            brush(RING),
            SQUARE,
            region("rectangle", "r3", "ball", x=2, y=70, width=20, height=20, rotation=0),
            region("ellipse", "r4", "ball", x=80, y=15, radiusX=10, radiusY=10),
        ),
    )
    masks = masks_of(tasks)
    assert np.array_equal(masks["walk", 1, 1], RING)
    assert np.array_equal(masks["walk", 1, 2], block(6, 9, 19, 18))
    assert boxes_of(tasks) == {("walk", 1, 3): pytest.approx([0.9, 21.7, 9, 6.2])}
    assert masks["walk", 1, 4].sum() == pytest.approx(np.pi * 4.5 * 3.1, rel=0.1)
    assert tasks[0].metadata == {"classes": {"1": "Hündin", "2": "Hündin", "3": "ball", "4": "ball"}}


def test_a_turned_rectangle_is_a_polygon(tmp_path: Path) -> None:
    turned = region("rectangle", x=50, y=20, width=20, height=20, rotation=90)
    ys, xs = np.nonzero(masks_of(read(tmp_path, task(turned)))["walk", 1, 1])
    assert (ys.min(), ys.max(), xs.min()) == (6, 14, 16)
    assert xs.max() in (21, 22)  # the edge runs through the middle of a pixel


def test_a_label_may_stand_in_a_record_of_its_own(tmp_path: Path) -> None:
    shape, label = region("brush", label="", format="rle", rle=brush_runs(RING).tolist()), dict(SQUARE)
    label |= {"type": "labels", "id": "r1", "value": {"labels": ["cup"]}}
    (found,) = read(tmp_path, task(shape, label))
    assert found.metadata == {"classes": {"1": "cup"}}


def test_the_last_annotation_counts_and_else_the_best_prediction(tmp_path: Path) -> None:
    one, other = [SQUARE], [brush(RING)]
    made = [{"result": one}, {"result": other}, {"result": one, "was_cancelled": True}]
    assert masks_of(read(tmp_path, task(annotations=made)))["walk", 1, 1].sum() == RING.sum()
    guessed = [{"score": 0.9, "result": other}, {"score": 0.2, "result": one}]
    assert masks_of(read(tmp_path, task(annotations=[], predictions=guessed)))["walk", 1, 1].sum() == RING.sum()


@pytest.mark.parametrize(
    ("image", "folder"),
    [
        ("/data/upload/3/0a1b2c3d-1.jpg", "."),
        ("/data/local-files/?d=set/walk/1.jpg", "walk"),
        ("s3://bucket/set/walk/1.jpg", "walk"),
        ("https://example.org/walk/1.jpg?token=3", "walk"),
        ("C:\\frames\\walk\\1.jpg", "walk"),
        ("1.jpg", "."),
    ],
)
def test_pictures_are_found_by_their_last_folder(tmp_path: Path, image: str, folder: str) -> None:
    root = pictures(tmp_path / "pictures", f"{folder}/0.jpg", f"{folder}/1.jpg")
    (tmp_path / "tasks.json").write_text(json.dumps([task(SQUARE, image=image)]))
    (found,) = built("label-studio", tmp_path / "tasks.json", tmp_path, images=str(root))
    assert found.video_uri == f"file://{root}" + (f"/{folder}" if folder != "." else "")
    assert found.prompts[0].frame_index == 1


def test_tracks_of_a_video(tmp_path: Path) -> None:
    write_video(tmp_path / "street.mp4", [np.full((32, 46, 3), 90, np.uint8)] * 6)
    keys = [{"frame": t, "enabled": True, "rotation": 0, "x": 10, "y": 20, "width": 20, "height": 40} for t in (2, 5)]
    track = region("videorectangle", "Xb9", "car", framesCount=6, sequence=keys)
    track["value"]["labels"] = track["value"].pop("videorectanglelabels")
    track["type"] = "videorectangle"
    made = [{"result": [track]}]
    (tmp_path / "tasks.json").write_text(
        json.dumps([{"data": {"video": "/data/upload/1/00ff00ff-street.mp4"}, "annotations": made}])
    )
    (found,) = built("label-studio", tmp_path, tmp_path)
    assert boxes_of([found]) == {("street", 1, 1): pytest.approx([4.6, 6.4, 9.2, 12.8])}
    assert found.metadata == {"classes": {"1": "car"}, "tracks": {"1": "Xb9"}}
    (found,) = built("label-studio", tmp_path, tmp_path, prompts="all")
    assert [prompt.frame_index for prompt in found.prompts] == [1, 4]


def test_what_has_no_area_is_told(tmp_path: Path) -> None:
    notes: list[str] = []
    read(tmp_path, task(SQUARE, region("keypoint", x=3, y=3), {"type": "choices", "value": {}}), tell=notes.append)
    assert notes == ["left out: 1 regions without an area (keypoint)"]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (brush(np.ones((9, 9), bool)), r"project-1\.json: task 5 \(1\.jpg\), region r1: .*81 pixels, .* 45 x 31"),
        (region("brush", rle=[0, 0, 21]), "region r1: rle ends too early"),
        (region("brush", rle=[700]), "region r1: rle is no list of bytes"),
        (region("polygon", points=[[1, 2], [3, 4]]), "region r1: polygons.* has 2 points"),
        (region("polygon", points=[[1, 2], 3]), "region r1: points are no list of x and y"),
        (region("rectangle", x=1, y="2", width=3, height=4), "region r1: y is no number"),
        (region("rectangle", x=1, y=2, width=3, height=0), "region r1: box .*height 0"),
        ({**SQUARE, "original_width": "45"}, "task 5.*original_height and original_width are 31 and '45'"),
        ({**SQUARE, "value": None}, "region r1: has no value"),
    ],
)
def test_bad_regions_are_named(tmp_path: Path, found: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path, task(found))


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([3], r"project-1\.json: is no list of tasks with data"),
        ([{"image": "a.jpg", "label": []}], "is no list of tasks with data; .*not JSON-MIN"),
        ([task(annotations={"result": 3})], "task 5: annotations is no list"),
        ([task(annotations=[{"result": 3}])], "task 5: result is no list"),
        ([task(SQUARE, image="..")], r"task 5: '\.\.' names no picture or video"),
        ([task(SQUARE, data={"text": "x"})], "task 5: names no picture or video"),
        ([task(SQUARE, image="walk/7.jpg")], r"walk lacks 7\.jpg"),
        ([task()], "no object is drawn on any picture"),
    ],
)
def test_files_that_are_no_tasks_are_refused(tmp_path: Path, tasks: list[Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path, *tasks)
