"""Annotations as other libraries write them, each in the environment that it asks for.

`make test-exports` makes the environments below build/ and runs these.
"""

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from tests.jobs.datasets.annotations.prompted import Masks, boxes_of, built, first_of, masks_of
from tests.jobs.exports.outputs import box, same

pytestmark = pytest.mark.exports

ROOT = Path(__file__).parents[4]
SCRIPTS = Path(__file__).parent / "writers"
WALK, UNICODE = "walk", "Tür 日本"
SIZE = (47, 61)


def scene(*, simple: bool = False) -> Masks:
    """Two videos of odd size: ids 1, 3 and 300, one of them late; a hole and two parts unless it must be `simple`."""
    found: Masks = {}
    for video in (WALK,) if simple else (WALK, UNICODE):
        for t in range(3):
            hole = box(*SIZE, 9, 8 + t, 14, 15 + t)
            found[video, t, 1] = box(*SIZE, 4, 3 + t, 20, 23 + t) & (hole | True if simple else ~hole)
            found[video, t, 300] = box(*SIZE, 30, 2, 47, 19)
            if t > 0:
                part = box(*SIZE, 35, 45, 36, 46)
                found[video, t, 3] = box(*SIZE, 25, 40, 30, 50) | (False if simple else part)
    return found


def write(environment: str, writer: str, masks: Masks, folder: Path) -> Path:
    """What a library writes of the masks; frames are called 8, 9, 10."""
    keys = {json.dumps([video, str(8 + t), object_id]): mask for (video, t, object_id), mask in masks.items()}
    np.savez(folder / "scene.npz", **keys)
    (folder / "written").mkdir()
    python = ROOT / "build" / environment / "bin/python"
    command = [str(python), str(SCRIPTS / f"with_{environment}.py"), writer, str(folder / "scene.npz")]
    subprocess.run([*command, str(folder / "written")], check=True)
    return folder / "written"


@pytest.mark.parametrize(
    ("environment", "writer", "layout"),
    [
        ("readers", "datumaro_coco", "coco"),
        ("readers", "cvat_masks", "cvat"),
        ("label_studio", "label_studio", "label-studio"),
    ],
)
def test_every_pixel_of_every_object_is_read(tmp_path: Path, environment: str, writer: str, layout: str) -> None:
    masks = scene()
    folder = write(environment, writer, masks, tmp_path)
    assert same(masks_of(built(layout, folder, tmp_path, prompts="all")), masks)
    tasks = built(layout, folder, tmp_path)
    assert same(masks_of(tasks), first_of(masks))
    assert tasks[0].metadata == {"classes": {"1": "Hündin", "3": "Hündin", "300": "car"}}


def test_masks_of_cvat_that_have_no_track(tmp_path: Path) -> None:
    """datumaro leaves the attribute out that says which object a mask is."""
    masks = scene()
    read = masks_of(built("cvat", write("readers", "datumaro_cvat", masks, tmp_path), tmp_path))
    assert same(
        read,
        {
            (video, 0, number): masks[video, 0, object_id]
            for video in (WALK, UNICODE)
            for number, object_id in enumerate((1, 300), 1)
        },
    )


def test_tracks_of_cvat(tmp_path: Path) -> None:
    masks = {key: mask for key, mask in scene().items() if key[0] == WALK}
    folder = write("readers", "datumaro_tracks", masks, tmp_path)
    tasks = built("cvat", folder, tmp_path, prompts="all", images=str(folder / "images" / WALK))
    assert [task.num_frames for task in tasks] == [3]
    assert same({(WALK, *key[1:]): mask for key, mask in masks_of(tasks).items()}, masks)


@pytest.mark.parametrize(
    ("writer", "videos"),
    [("datumaro_yolo", {WALK, UNICODE}), ("datumaro_ultralytics", {f"train/{WALK}", f"val/{UNICODE}"})],
)
def test_boxes_of_the_first_frame_are_read(tmp_path: Path, writer: str, videos: set[str]) -> None:
    masks = scene()
    tasks = built("yolo", write("readers", writer, masks, tmp_path), tmp_path)
    truth = [cv2.boundingRect(masks[WALK, 0, object_id].astype(np.uint8)) for object_id in (1, 300)]
    found = boxes_of(tasks)
    for task in tasks:
        boxes = [found[task.video_id, 0, number] for number in (1, 2)]
        assert np.allclose(boxes, truth, atol=0.01)
    assert {task.video_id for task in tasks} == videos
    assert all(task.metadata == {"classes": {"1": "Hündin", "2": "car"}} for task in tasks)


def test_outlines_of_supervision_are_exact(tmp_path: Path) -> None:
    masks = scene(simple=True)
    tasks = built("yolo", write("readers", "supervision_yolo", masks, tmp_path), tmp_path)
    (found,) = tasks
    read = masks_of([found])
    truth = [masks[WALK, 0, object_id] for object_id in (1, 300)]
    assert same(read, {(found.video_id, 0, number): mask for number, mask in enumerate(truth, 1)})


@pytest.mark.parametrize(("writer", "layout"), [("supervision_coco", "coco"), ("supervision_labelme", "labelme")])
def test_polygons_are_what_pycocotools_makes_of_them(tmp_path: Path, writer: str, layout: str) -> None:
    """supervision's polygons run through the middles of pixels, so what they enclose is smaller than the masks."""
    masks = scene(simple=True)
    (found,) = built(layout, write("readers", writer, masks, tmp_path), tmp_path)
    assert found.metadata == {"classes": {"1": "Hündin", "2": "car"}}
    read = masks_of([found])
    assert len(read) == 2
    for (_, index, number), mask in read.items():
        truth = masks[WALK, index, (1, 300)[number - 1]]
        ys, xs = np.nonzero(truth)
        (left, right), (top, bottom) = (xs.min(), xs.max()), (ys.min(), ys.max())
        ring = [left, top, left, bottom, right, bottom, right, top]
        assert np.array_equal(mask, coco.decode(coco.frPyObjects([list(map(float, ring))], *SIZE))[..., 0])
        assert not (mask & ~truth).any()
