"""COCO as its documentation shows it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import InvalidInput
from pipeline.storage.store import Store
from tests.jobs.datasets.annotations.prompted import (
    SIZE,
    block,
    boxes_of,
    built,
    masks_of,
    pictures,
    plain_run_lengths,
    run_lengths,
)

SQUARE = [10, 5, 20, 5, 20, 15, 10, 15]


def content(*annotations: dict[str, Any], names: tuple[str, ...] = ("walk/0.png", "walk/1.png")) -> dict[str, Any]:
    """A file with an image for each name, numbered from 1; annotations are numbered too."""
    return {
        "images": [
            {"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
            for number, name in enumerate(names, 1)
        ],
        "annotations": [{"id": n, "image_id": 1, "category_id": 7} | one for n, one in enumerate(annotations, 1)],
        "categories": [{"id": 7, "name": "Hündin"}, {"id": 8, "name": "ball"}],
    }


def dataset(folder: Path, found: dict[str, Any]) -> Path:
    pictures(folder / "images", *(image["file_name"] for image in found["images"]))
    (folder / "annotations").mkdir()
    (folder / "annotations/instances_default.json").write_text(json.dumps(found, ensure_ascii=False))
    return folder


def test_masks_polygons_and_boxes(tmp_path: Path) -> None:
    whole, ring = block(2, 3, 9, 12), block(12, 20, 28, 40) & ~block(15, 25, 20, 30)
    found = content(
        {"segmentation": run_lengths(whole)},
        {"segmentation": plain_run_lengths(ring), "iscrowd": 1, "category_id": 8},
        {"segmentation": [SQUARE, [30, 5, 35, 5, 35, 8]], "category_id": 8},
        {"segmentation": [], "bbox": [1, 20, 8.5, 6]},
    )
    tasks = built("coco", dataset(tmp_path, found), tmp_path)
    masks = masks_of(tasks)
    assert np.array_equal(masks["walk", 0, 1] | block(5, 10, 15, 20), whole | block(5, 10, 15, 20))  # 3 lies on top
    assert np.array_equal(masks["walk", 0, 2], ring)
    assert masks["walk", 0, 3][5:15, 10:20].all()
    assert masks["walk", 0, 3][5, 33]
    assert boxes_of(tasks) == {("walk", 0, 4): [1, 20, 8.5, 6]}
    assert tasks[0].metadata == {"classes": {"1": "Hündin", "2": "ball", "3": "ball", "4": "Hündin"}}
    assert (tasks[0].num_frames, tasks[0].height, tasks[0].width) == (2, *SIZE)


def test_without_tracks_the_first_annotated_frame_is_taken_and_the_rest_told(tmp_path: Path) -> None:
    shape = {"segmentation": [SQUARE]}
    found = content({"image_id": 2, **shape}, {"image_id": 3, **shape}, names=("v/2.png", "v/10.png", "v/11.png"))
    notes: list[str] = []
    tasks = built("coco", dataset(tmp_path, found), tmp_path, tell=notes.append)
    assert set(masks_of(tasks)) == {("v", 1, 1)}
    assert notes == ["video 'v': objects have no track ids, so of 2 annotated frames only the first is taken"]
    with pytest.raises(InvalidInput, match=r"annotation 1: has no track id.*leave --prompts all out"):
        built("coco", tmp_path, tmp_path, prompts="all")


@pytest.mark.parametrize("place", [{"track_id": 300}, {"instance_id": 300}, {"attributes": {"track_id": "300"}}])
def test_tracks_become_ids(tmp_path: Path, place: dict[str, Any]) -> None:
    found = content({"segmentation": [SQUARE], **place}, {"image_id": 2, "segmentation": [SQUARE], **place})
    folder = dataset(tmp_path, found)
    assert set(masks_of(built("coco", folder, tmp_path))) == {("walk", 0, 300)}
    assert set(masks_of(built("coco", folder, tmp_path, prompts="all"))) == {("walk", 0, 300), ("walk", 1, 300)}


def test_tracks_that_are_no_ids_are_numbered_and_kept(tmp_path: Path) -> None:
    shapes = [[[x, 5, x + 8, 5, x + 8, 15]] for x in (1, 10, 20, 30)]
    tracks = (0, "dog-a", 255, 0)
    found = content(*({"segmentation": s, "track_id": track} for s, track in zip(shapes, tracks, strict=True)))
    (task,) = built("coco", dataset(tmp_path, found), tmp_path)
    assert [one.object_id for one in task.prompts[0].objects] == [1, 2, 3]
    assert task.metadata["tracks"] == {"1": 0, "2": "dog-a", "3": 255}
    assert len(task.prompts[0].objects[0].value) == 2


def test_an_object_that_a_later_frame_lacks_is_not_in_it(tmp_path: Path) -> None:
    one = {"segmentation": [SQUARE], "track_id": 1}
    other = {"segmentation": [[25, 5, 35, 5, 35, 15]], "track_id": 2}
    found = content(one, other, {**other, "image_id": 2})
    (task,) = built("coco", dataset(tmp_path, found), tmp_path, prompts="all")
    assert [[(o.object_id, o.kind) for o in prompt.objects] for prompt in task.prompts] == [
        [(1, "polygons"), (2, "polygons")],
        [(1, "rle"), (2, "polygons")],
    ]
    assert set(masks_of([task])) == {("walk", 0, 1), ("walk", 0, 2), ("walk", 1, 2)}


def test_what_would_lie_under_another_is_laid_on_top(tmp_path: Path) -> None:
    small, whole = {"segmentation": [SQUARE]}, {"segmentation": run_lengths(block(0, 0, 31, 45))}
    tasks = built("coco", dataset(tmp_path / "good", content(small, whole)), tmp_path)
    assert {key: mask.sum() for key, mask in masks_of(tasks).items()} == {
        ("walk", 0, 1): 100, ("walk", 0, 2): 31 * 45 - 100
    }  # fmt: skip
    with pytest.raises(InvalidInput, match="annotation 2: other objects of its frame cover all of it"):
        built("coco", dataset(tmp_path / "bad", content(small, small)), tmp_path)


def test_videos_have_the_names_that_the_file_gives(tmp_path: Path) -> None:
    found = content({"segmentation": [SQUARE]}, {"image_id": 2, "segmentation": [SQUARE]}, names=("a/0.png", "b/0.png"))
    found["videos"] = [{"id": 4, "name": "Tür 日本"}]
    found["images"][1]["video_id"] = 4
    tasks = built("coco", dataset(tmp_path, found), tmp_path)
    assert [(task.video_id, task.video_uri.rpartition("/")[2]) for task in tasks] == [("a", "a"), ("Tür 日本", "b")]


def test_pictures_without_folders_are_one_video_with_the_name_of_the_dataset(tmp_path: Path) -> None:
    found = content({"image_id": 2, "segmentation": [SQUARE]}, names=("0.png", "1.png"))
    (task,) = built("coco", dataset(tmp_path / "my set", found), tmp_path)
    assert (task.video_id, task.prompts[0].frame_index) == ("my set", 1)
    assert task.video_uri.endswith("/my set/images")


def test_a_file_and_a_folder_of_images_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(content({"segmentation": [SQUARE]})))
    pictures(tmp_path / "elsewhere", "walk/0.png")
    tasks = built("coco", tmp_path / "labels.json", tmp_path, images=str(tmp_path / "elsewhere"))
    assert tasks[0].video_uri == f"file://{tmp_path}/elsewhere/walk"


def test_any_store_will_do(tmp_path: Path) -> None:
    store = Store("memory://annotated/set")
    picture = (pictures(tmp_path, "0.png") / "0.png").read_bytes()
    for name in ("0.png", "1.png"):
        store.put(f"walk/{name}", picture)
    store.put("instances.json", json.dumps(content({"image_id": 2, "segmentation": [SQUARE]})).encode())
    tasks = built("coco", store.url, tmp_path)
    assert (tasks[0].video_uri, set(masks_of(tasks))) == ("memory://annotated/set/walk", {("walk", 1, 1)})


def test_only_the_videos_of_a_set(tmp_path: Path) -> None:
    found = content({"segmentation": [SQUARE]}, {"image_id": 2, "segmentation": [SQUARE]}, names=("a/0.png", "b/0.png"))
    folder = dataset(tmp_path, found)
    (tmp_path / "val.txt").write_text("b\n")
    assert [task.video_id for task in built("coco", folder, tmp_path, set_file=str(tmp_path / "val.txt"))] == ["b"]
    (tmp_path / "val.txt").write_text("c\n")
    with pytest.raises(InvalidInput, match=r"--set: .* has no video c; it has a, b"):
        built("coco", folder, tmp_path, set_file=str(tmp_path / "val.txt"))


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    found = content({"segmentation": [SQUARE]}, {"keypoints": [1, 2, 2]}, names=("a/0.png", "b/0.png"))
    notes: list[str] = []
    built("coco", dataset(tmp_path, found), tmp_path, tell=notes.append)
    assert notes == [
        "left out: 1 videos on which nothing is drawn",
        "left out: 1 annotations without a mask or box",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 9}, r"instances_default\.json: annotation 1: image_id 9 is no image of the file"),
        ({"category_id": 9}, "annotation 1: category_id 9 is none of the file's categories"),
        ({"segmentation": [[1, 2, 3, 4]]}, "annotation 1: polygons.* 2 points.*at least 3"),
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "annotation 1: .*5 numbers"),
        ({"segmentation": [[1, 2, 3, 4, None, 6]]}, "annotation 1: polygons.*null"),
        ({"segmentation": [[200, 200, 220, 200, 220, 220]]}, "annotation 1: .*beyond the picture of 45 x 31"),
        ({"segmentation": {"size": [45, 31], "counts": [0, 1395]}}, r"annotation 1: .*has the size \[45, 31\], its "),
        ({"segmentation": {"size": list(SIZE), "counts": [3, 4]}}, "annotation 1: .*make 7 pixels"),
        ({"segmentation": {"size": list(SIZE), "counts": "0o"}}, "annotation 1: .*export it again"),
        ({"segmentation": {"size": list(SIZE), "counts": 7}}, "annotation 1: .*counts is 7"),
        ({"segmentation": "circle"}, "annotation 1: the mask is no run-length encoding"),
        ({"bbox": [400, 3, 10, 10]}, "annotation 1: its box .*beyond the picture"),
        ({"bbox": [4, 3, -10, 10]}, "annotation 1: box .*width -10"),
        ({"bbox": "wide"}, "annotation 1: box is .*expected"),
    ],
)
def test_bad_annotations_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    shape = {} if {"bbox", "segmentation"} & change.keys() else {"segmentation": [SQUARE]}
    folder = dataset(tmp_path, content(shape | change))
    with pytest.raises(InvalidInput, match=message):
        built("coco", folder, tmp_path)
    assert not (tmp_path / "built.jsonl").exists()


@pytest.mark.parametrize("side", [1 << 70, 10_000_000, 0, "31"])
def test_sizes_that_no_picture_has_are_refused(tmp_path: Path, side: object) -> None:
    found = content({"segmentation": [SQUARE]})
    found["images"][0]["height"] = side
    with pytest.raises(InvalidInput, match=r"annotation 1: its picture has the size|image 1: height and width are"):
        built("coco", dataset(tmp_path, found), tmp_path)


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    names = ("walk/0.png", "walk/1.png", "walk/2.png")
    found = content(*({"image_id": n, "segmentation": [SQUARE]} for n in (1, 2, 3)), names=names)
    folder = dataset(tmp_path, found)
    for name in names[1:]:
        (folder / "images" / name).unlink()
    with pytest.raises(InvalidInput, match=r"images/walk lacks 1\.png, 2\.png; put the pictures there.*--images"):
        built("coco", folder, tmp_path)
    (folder / "images/walk/0.png").unlink()
    with pytest.raises(InvalidInput, match=r"has no pictures in .*images/default/walk.*; name the folder.*--images"):
        built("coco", folder, tmp_path)


@pytest.mark.parametrize("name", ["../../etc/x.png", "/home/me/x.png", "C:\\x.png", "", 7])
def test_pictures_that_are_not_below_the_images_are_refused(tmp_path: Path, name: object) -> None:
    found = content({"segmentation": [SQUARE]})
    (tmp_path / "labels.json").write_text(json.dumps(found | {"images": [{"id": 1, "file_name": name}]}))
    with pytest.raises(InvalidInput, match=r"image 1: .*below the images"):
        built("coco", tmp_path / "labels.json", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"labels\.json: is no JSON"),
        ("[" * 100_000, r"labels\.json: is no JSON"),
        ("\xff", r"labels\.json: is no JSON"),
        ("[]", "has no images and no annotations and no categories.*choose another --layout"),
        ('{"images": [], "annotations": []}', "has no categories"),
        ('{"images": [], "annotations": {}, "categories": []}', "annotations are no list"),
        ('{"images": [3], "annotations": [], "categories": []}', "image number 1 is no JSON object"),
        ('{"images": [{"file_name": "a"}], "annotations": [], "categories": []}', "image number 1: has no id"),
        ('{"images": [{"id": 1}, {"id": 1}], "annotations": [], "categories": []}', "image 1: its id is that of"),
        ('{"images": [], "annotations": [], "categories": []}', "no object is drawn on any picture"),
    ],
)
def test_files_that_are_no_coco_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput, match=message):
        built("coco", tmp_path, tmp_path)


def test_which_file_it_is_must_be_clear(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"has no \*\.json file, and none in annotations/"):
        built("coco", tmp_path, tmp_path)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InvalidInput, match=r"has several \*\.json files \(a\.json, b\.json\); name one of them"):
        built("coco", tmp_path, tmp_path)
    with pytest.raises(InvalidInput, match=r"gone\.json: no such file; name the JSON file of COCO"):
        built("coco", tmp_path / "gone.json", tmp_path)
