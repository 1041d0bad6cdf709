"""YouTube-VIS as its documentation shows it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import InvalidInput
from tests.jobs.datasets.annotations.prompted import SIZE, block, boxes_of, built, masks_of, pictures, plain_run_lengths

NAMES = ["0a1b/00000.jpg", "0a1b/00005.jpg", "0a1b/00010.jpg"]
EARLY, LATE = block(2, 3, 9, 12), block(12, 20, 28, 40)


def dataset(folder: Path, *annotations: dict[str, Any], names: list[str] = NAMES) -> Path:
    """As the dataset of 2021 lies: train/JPEGImages and train.json."""
    pictures(folder / "train/JPEGImages", *NAMES)
    video = {"id": 1, "file_names": names, "height": SIZE[0], "width": SIZE[1], "length": len(names)}
    found = [{"id": n, "video_id": 1, "category_id": 3} | one for n, one in enumerate(annotations, 1)]
    content = {"videos": [video], "annotations": found, "categories": [{"id": 3, "name": "frog"}]}
    (folder / "train.json").write_text(json.dumps(content))
    return folder


def test_objects_come_where_they_are_first_seen(tmp_path: Path) -> None:
    masks = [plain_run_lengths(EARLY), None, plain_run_lengths(LATE)]
    folder = dataset(tmp_path, {"segmentations": masks}, {"segmentations": [None, plain_run_lengths(LATE), None]})
    tasks = built("youtube-vis", folder, tmp_path)
    found = masks_of(tasks)
    assert {key: mask.sum() for key, mask in found.items()} == {("0a1b", 0, 1): 63, ("0a1b", 1, 2): 320}
    assert np.array_equal(found["0a1b", 1, 2], LATE)
    assert tasks[0].metadata == {"classes": {"1": "frog", "2": "frog"}}


def test_boxes_alone_will_do(tmp_path: Path) -> None:
    tasks = built("youtube-vis", dataset(tmp_path, {"bboxes": [None, [3, 4, 5, 6], None]}), tmp_path)
    assert boxes_of(tasks) == {("0a1b", 1, 1): [3, 4, 5, 6]}


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"segmentations": [None]}, r"train\.json: annotation 1: has 1 segmentations, its video 3 file_names"),
        ({"segmentations": 3}, "annotation 1: has no segmentations"),
        ({"segmentations": [None] * 3, "video_id": 8}, "annotation 1: video_id 8 is no video of the file"),
        ({"segmentations": [None] * 3, "category_id": 8}, "annotation 1: category_id 8 is none"),
        (
            {"segmentations": [None, None, {"size": [9, 9], "counts": [81]}]},
            r"annotation 1, frame 2: .*size \[9, 9\], its picture \[31, 45\]",
        ),
        ({"segmentations": [None] * 3}, "no object is drawn"),
    ],
)
def test_bad_annotations_are_named(tmp_path: Path, annotation: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        built("youtube-vis", dataset(tmp_path, annotation), tmp_path)


def test_frames_of_a_video_lie_in_one_folder(tmp_path: Path) -> None:
    folder = dataset(tmp_path, names=["a/0.jpg", "b/1.jpg"])
    with pytest.raises(InvalidInput, match="video 1: its file_names lie in 2 folders"):
        built("youtube-vis", folder, tmp_path)


def test_coco_is_another_format(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(InvalidInput, match="has no videos, so it is not the JSON file of YouTube-VIS"):
        built("youtube-vis", tmp_path, tmp_path)
