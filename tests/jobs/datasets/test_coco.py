"""COCO layout: polygons and run-length masks become labels, smaller on top; crowds are void."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from jobs.datasets.coco import read_annotated, read_instances
from jobs.pictures.label_maps import LabelMap
from pipeline.errors import InvalidInput
from pipeline.input.frames import Rgb
from pipeline.storage.store import Store
from tests.jobs.material import picture, write

HEIGHT, WIDTH = 60, 80
NAME = "seen.jpg"


def box(top: int, bottom: int, left: int, right: int) -> LabelMap:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[top:bottom, left:right] = 1
    return found


def polygon(top: int, bottom: int, left: int, right: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def runs(mask: LabelMap) -> dict[str, Any]:
    """Uncompressed: lengths of runs of 0 and 1 in turn, down the columns."""
    flat = mask.flatten(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends.tolist(), flat.size]).tolist()
    return {"size": list(mask.shape), "counts": counts if flat[0] == 0 else [0, *counts]}


def compressed(mask: LabelMap) -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(mask))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def written(folder: Path, *segmentations: Any, crowds: tuple[int, ...] = ()) -> str:
    (folder / "images").mkdir(exist_ok=True)
    write(folder / "images" / NAME, picture(1, HEIGHT, WIDTH))
    content = {
        "images": [{"id": 7, "file_name": NAME}],
        "annotations": [
            {"id": n, "image_id": 7, "segmentation": shape, "iscrowd": int(n in crowds)}
            for n, shape in enumerate(segmentations)
        ],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return str(folder / "instances.json")


def read(folder: Path, *segmentations: Any, crowds: tuple[int, ...] = ()) -> tuple[Rgb, LabelMap]:
    """The one picture with these masks."""
    ((name, instances),) = read_instances(written(folder, *segmentations, crowds=crowds)).items()
    return read_annotated(Store(str(folder / "images")), name, instances)


@pytest.mark.parametrize("write_mask", [runs, compressed], ids=["runs", "compressed"])
def test_masks_of_either_kind_are_read_to_the_pixel(tmp_path: Path, write_mask: Any) -> None:
    large, small = box(5, 50, 5, 40), box(10, 30, 45, 75)
    shown, labels = read(tmp_path, write_mask(small), write_mask(large))
    assert np.abs(shown.astype(int) - picture(1, HEIGHT, WIDTH)).mean() < 6
    np.testing.assert_array_equal(labels, large + 2 * small)


def test_polygons_are_filled(tmp_path: Path) -> None:
    _, labels = read(tmp_path, polygon(10, 40, 20, 60))
    assert np.mean(labels == box(10, 40, 20, 60)) > 0.98


def test_the_smaller_instance_is_on_top_and_crowds_are_void(tmp_path: Path) -> None:
    outer, inner, crowd = box(5, 50, 5, 70), box(20, 30, 20, 30), box(0, 60, 60, 80)
    _, labels = read(tmp_path, runs(inner), runs(crowd), runs(outer), crowds=(1,))
    expected = np.where(crowd, 255, 0)
    expected[outer > 0], expected[inner > 0] = 1, 2
    np.testing.assert_array_equal(labels, expected)


def test_beyond_254_the_smallest_are_void(tmp_path: Path) -> None:
    dots = [box(row, row + 1, column, column + 1) for row in range(5) for column in range(60)][:253]
    specks = [box(50, 51, column, column + 1) for column in range(3)]
    shapes = [runs(box(10, 40, 0, 80)), *map(runs, dots), *map(runs, specks)]
    _, labels = read(tmp_path, *shapes)
    assert labels.max() == 255 and len(np.unique(labels)) == 256
    assert (labels == 255).sum() == 3


@pytest.mark.parametrize("content", ["[", "{}", '{"images": [], "annotations": [{"image_id": 1}]}'])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "instances.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"instances\.json is no COCO file of instances"):
        read_instances(str(tmp_path / "instances.json"))
    with pytest.raises(InvalidInput, match=r"other\.json: no such file"):
        read_instances(str(tmp_path / "other.json"))


def test_a_picture_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    instances = read_instances(written(tmp_path, runs(box(5, 50, 5, 40))))[NAME]
    images = Store(str(tmp_path / "images"))
    (tmp_path / "images" / NAME).write_bytes(b"no picture")
    with pytest.raises(InvalidInput, match=rf"images/{NAME}: is no whole JPEG or PNG picture"):
        read_annotated(images, NAME, instances)
    (tmp_path / "images" / NAME).unlink()
    with pytest.raises(InvalidInput, match=rf"images/{NAME}: the annotations name this picture, but it is not there"):
        read_annotated(images, NAME, instances)


@pytest.mark.parametrize("shape", [None, {"size": [1, 1], "counts": [1]}, {"counts": "x"}], ids=str)
def test_an_instance_without_a_mask_is_named(tmp_path: Path, shape: Any) -> None:
    with pytest.raises(InvalidInput, match=rf"{NAME}: instance 0"):
        read(tmp_path, shape)
