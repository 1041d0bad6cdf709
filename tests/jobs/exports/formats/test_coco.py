import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from jobs.datasets.coco import read_annotated, read_instances
from jobs.exports.losses import Loss
from jobs.exports.pictures import Frames
from pipeline.output.marker import claim_output
from pipeline.storage.store import Store
from tests.jobs.exports.outputs import FOLDER, Output, Truth, exported, overlapping, put_video, same, truth_of


def read(to: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(to / "annotations/instances_default.json"))


def masks_of(coco: COCO) -> Truth:
    videos = {video["id"]: video["name"] for video in coco.dataset["videos"]}
    found = {}
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]
        assert annotation["video_id"] == image["video_id"]
        key = (videos[image["video_id"]], image["frame_index"], annotation["track_id"])
        found[key] = coco.annToMask(annotation).astype(bool)
    return found


@pytest.mark.parametrize("name", ["coco", "coco-polygons"])
def test_pycocotools_finds_every_pixel(output: Output, tmp_path: Path, name: str) -> None:
    written = exported(output, name, tmp_path / "to")
    assert same(masks_of(read(tmp_path / "to")), output.truth)
    assert written.lost == {Loss.ABSENT: 2}


def test_overlaps_are_kept(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    claim_output(store)
    put_video(store, "v", overlapping())
    exported(store.url, "coco", tmp_path / "to")
    assert same(masks_of(read(tmp_path / "to")), truth_of("v", overlapping()))


def test_polygons_but_for_holes(output: Output, tmp_path: Path) -> None:
    exported(output, "coco-polygons", tmp_path / "to", only=[FOLDER])
    found = {(one["track_id"], type(one["segmentation"]).__name__) for one in read(tmp_path / "to").anns.values()}
    assert found == {(1, "dict"), (3, "list"), (300, "list")}
    parts = next(one["segmentation"] for one in read(tmp_path / "to").anns.values() if one["track_id"] == 3)
    assert parts == [[40, 25, 50, 25, 50, 30, 40, 30], [45, 35, 46, 35, 46, 36, 45, 36]]


def test_no_two_images_or_annotations_share_a_number(output: Output, tmp_path: Path) -> None:
    exported(output, "coco", tmp_path / "to")
    content = json.loads((tmp_path / "to/annotations/instances_default.json").read_text())
    for name, number in (("videos", 2), ("images", 10), ("annotations", 18)):
        ids = [one["id"] for one in content[name]]
        assert (len(set(ids)), min(ids)) == (number, 1)
        assert ids == sorted(ids)


def test_what_is_known_of_a_mask_stands_beside_it(output: Output, tmp_path: Path) -> None:
    exported(output, "coco", tmp_path / "to", manifest=output.manifest, classes=True)
    coco = read(tmp_path / "to")
    names = {one["id"]: one["name"] for one in coco.dataset["categories"]}
    assert sorted(names) == [1, 2, 3]
    annotations = {one["track_id"]: one for one in coco.loadAnns(coco.getAnnIds(imgIds=[7]))}
    assert {track: names[one["category_id"]] for track, one in annotations.items()} == {
        1: "car", 3: "object", 300: "pedestrian"
    }  # fmt: skip
    box = annotations[300]["bbox"]
    assert (annotations[300]["area"], box) == (17 * 17, [2, 30, 17, 17])
    assert (annotations[300]["score"], annotations[300]["uncertainty"]) == (pytest.approx(0.7), pytest.approx(0.2))


def test_our_own_reader_takes_it(output: Output, tmp_path: Path) -> None:
    exported(output, "coco", tmp_path / "to", manifest=output.manifest, frames=Frames.COPY)
    instances = read_instances(str(tmp_path / "to/annotations/instances_default.json"))
    name = f"{FOLDER}/8.png"
    picture, labels = read_annotated(Store(str(tmp_path / "to/images")), name, instances[name])
    assert picture.shape == (47, 61, 3)
    assert np.count_nonzero(labels) == sum(mask.sum() for key, mask in output.truth.items() if key[:2] == (FOLDER, 0))
