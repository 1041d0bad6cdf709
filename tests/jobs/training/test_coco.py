"""COCO layout: polygons and run-length masks become labels, smaller on top; crowds are void; large pictures shrink."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from jobs.training.coco import read_coco
from pipeline.errors import InvalidInput
from tests.jobs.training.material import picture, trainable, write

HEIGHT, WIDTH = 60, 80
(NAME,) = trainable(1)


def box(top: int, bottom: int, left: int, right: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[top:bottom, left:right] = 1
    return found


def polygon(top: int, bottom: int, left: int, right: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def runs(mask: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> dict[str, Any]:
    """Uncompressed: lengths of runs of 0 and 1 in turn, down the columns."""
    flat = mask.flatten(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends.tolist(), flat.size]).tolist()
    return {"size": list(mask.shape), "counts": counts if flat[0] == 0 else [0, *counts]}


def compressed(mask: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(mask))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def written(folder: Path, *segmentations: Any, crowds: tuple[int, ...] = (), name: str = f"{NAME}.jpg") -> str:
    (folder / "images").mkdir(exist_ok=True)
    write(folder / "images" / name, picture(1, HEIGHT, WIDTH))
    content = {
        "images": [{"id": 7, "file_name": name}],
        "annotations": [
            {"id": n, "image_id": 7, "segmentation": shape, "iscrowd": int(n in crowds)}
            for n, shape in enumerate(segmentations)
        ],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return str(folder / "instances.json")


@pytest.mark.parametrize("write_mask", [runs, compressed], ids=["runs", "compressed"])
def test_masks_of_either_kind_are_read_to_the_pixel(tmp_path: Path, write_mask: Any) -> None:
    large, small = box(5, 50, 5, 40), box(10, 30, 45, 75)
    (found,) = read_coco(str(tmp_path / "images"), written(tmp_path, write_mask(small), write_mask(large)))
    assert found.name == f"{NAME}.jpg" and found.picture.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(found.labels, large + 2 * small)


def test_polygons_are_filled(tmp_path: Path) -> None:
    (found,) = read_coco(str(tmp_path / "images"), written(tmp_path, polygon(10, 40, 20, 60)))
    assert np.mean(found.labels == box(10, 40, 20, 60)) > 0.98


def test_the_smaller_instance_is_on_top_and_crowds_are_void(tmp_path: Path) -> None:
    outer, inner, crowd = box(5, 50, 5, 70), box(20, 30, 20, 30), box(0, 60, 60, 80)
    annotations = written(tmp_path, runs(inner), runs(crowd), runs(outer), crowds=(1,))
    (found,) = read_coco(str(tmp_path / "images"), annotations)
    expected = np.where(crowd, 255, 0)
    expected[outer > 0], expected[inner > 0] = 1, 2
    np.testing.assert_array_equal(found.labels, expected)


def test_beyond_254_the_smallest_are_void(tmp_path: Path) -> None:
    dots = [box(row, row + 1, column, column + 1) for row in range(5) for column in range(60)][:253]
    specks = [box(50, 51, column, column + 1) for column in range(3)]
    shapes = [runs(box(10, 40, 0, 80)), *map(runs, dots), *map(runs, specks)]
    (found,) = read_coco(str(tmp_path / "images"), written(tmp_path, *shapes))
    assert found.labels.max() == 255 and len(np.unique(found.labels)) == 256
    assert (found.labels == 255).sum() == 3


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    annotations = written(tmp_path, runs(np.kron(box(10, 40, 20, 60), np.ones((10, 10), np.uint8))))
    write(tmp_path / "images" / f"{NAME}.jpg", picture(1, 10 * HEIGHT, 10 * WIDTH))
    (found,) = read_coco(str(tmp_path / "images"), annotations)
    assert found.labels.shape == found.picture.shape[:2] == (256, 341)
    assert (found.labels == 1).mean() == pytest.approx(30 * 40 / (HEIGHT * WIDTH), abs=0.01)


def test_held_back_pictures_are_read_apart(tmp_path: Path) -> None:
    annotations = written(tmp_path, runs(box(5, 50, 5, 40)))
    assert len(read_coco(str(tmp_path / "images"), annotations)) == 1
    assert read_coco(str(tmp_path / "images"), annotations, held_back=True) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "no COCO file"),
        ("{}", "no COCO file"),
        ('{"images": [], "annotations": [{"image_id": 1}]}', "no COCO file"),
        ('{"images": [{"id": 1, "file_name": "gone.jpg"}], "annotations": [{"image_id": 1}]}', "it is not there"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "instances.json").write_text(content)
    with pytest.raises(InvalidInput, match=message):
        read_coco(str(tmp_path / "images"), str(tmp_path / "instances.json"))
    with pytest.raises(InvalidInput, match="no such file"):
        read_coco(str(tmp_path / "images"), str(tmp_path / "other.json"))


@pytest.mark.parametrize("shape", [None, {"size": [1, 1], "counts": [1]}, {"counts": "x"}], ids=str)
def test_an_instance_without_a_mask_is_named(tmp_path: Path, shape: Any) -> None:
    with pytest.raises(InvalidInput, match=rf"{NAME}.jpg: instance 0"):
        read_coco(str(tmp_path / "images"), written(tmp_path, shape))
