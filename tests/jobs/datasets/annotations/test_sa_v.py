"""SA-V as its documentation shows it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import InvalidInput
from tests.jobs.datasets.annotations.prompted import block, built, masks_of, pictures, run_lengths
from tests.pipeline.media import write_video

SIZE = (32, 46)
NOTHING = run_lengths(np.zeros(SIZE, bool))
EARLY, LATE = run_lengths(block(2, 3, 9, 12, SIZE)), run_lengths(block(12, 20, 28, 40, SIZE))
MASKLETS = [[EARLY, NOTHING], [EARLY, NOTHING], [NOTHING, LATE]]


def write(folder: Path, *, kind: str = "manual", name: str = "sav_000001", **change: Any) -> Path:
    content: dict[str, Any] = {
        "video_id": name,
        "video_frame_count": 10.0,
        "video_height": float(SIZE[0]),
        "video_width": float(SIZE[1]),
        "masklet": MASKLETS,
        "masklet_id": [0, 1],
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{name}_{kind}.json").write_text(json.dumps(content | change))
    return folder


def test_every_fourth_frame_of_the_video_is_annotated(tmp_path: Path) -> None:
    write_video(tmp_path / "sav_000001.mp4", [np.full((*SIZE, 3), 90, np.uint8)] * 10)
    tasks = built("sa-v", write(tmp_path), tmp_path)
    assert {key: mask.sum() for key, mask in masks_of(tasks).items()} == {
        ("sav_000001", 0, 1): 63, ("sav_000001", 8, 2): 320
    }  # fmt: skip
    assert tasks[0].metadata == {"tracks": {"1": 0, "2": 1}}
    assert tasks[0].video_uri == f"file://{tmp_path}/sav_000001.mp4"
    (task,) = built("sa-v", tmp_path, tmp_path, prompts="all")
    assert [prompt.frame_index for prompt in task.prompts] == [0, 4, 8]


def test_pictures_of_the_annotated_frames_alone(tmp_path: Path) -> None:
    pictures(tmp_path / "JPEGImages_24fps", *(f"sav_000001/{t:05d}.jpg" for t in (0, 4, 8)))
    assert {key[1] for key in masks_of(built("sa-v", write(tmp_path), tmp_path))} == {0, 2}


def test_drawn_masklets_go_before_automatic_ones(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{name}/{t}.jpg" for t in range(10) for name in ("a", "b")))
    write(tmp_path, name="a", kind="auto", masklet=[[LATE]], masklet_id=[5])
    assert set(masks_of(built("sa-v", tmp_path, tmp_path))) == {("a", 0, 5)}
    write(tmp_path, name="b")
    assert {key[0] for key in masks_of(built("sa-v", tmp_path, tmp_path))} == {"b"}
    assert {key[0] for key in masks_of(built("sa-v", tmp_path / "a_auto.json", tmp_path))} == {"a"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masklet": 3}, r"sav_000001_manual\.json: masklet is no list of frames"),
        ({"masklet": [[EARLY]]}, "frame 0 of masklet: has 1 masks for 2 masklet_id"),
        ({"masklet": [[EARLY, {"size": [9, 9], "counts": "0"}]]}, r"masklet 1: .* size \[9, 9\], its picture"),
        ({"masklet": [[EARLY, {"size": list(SIZE), "counts": "oo"}]]}, "masklet 1: .*export it again"),
        ({"masklet": [[EARLY, 5]]}, "masklet 1: the mask is no run-length encoding"),
        ({"masklet_id": [[], 1]}, r"its id is \[\]"),
        ({"video_frame_count": "ten"}, "video_frame_count is no number"),
        ({"video_height": None, "first_frame": -4}, "first_frame -4 and every"),
        ({"masklet": [[NOTHING, NOTHING]]}, "no mask has a pixel.*--set"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    pictures(tmp_path, "sav_000001/0.jpg")
    with pytest.raises(InvalidInput, match=message):
        built("sa-v", write(tmp_path, **change), tmp_path)


def test_masks_behind_the_end_of_the_pictures_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path, "sav_000001/0.jpg", "sav_000001/1.jpg")
    with pytest.raises(InvalidInput, match=r"frame 8 has objects, but .* has 2 pictures"):
        built("sa-v", write(tmp_path), tmp_path)


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"has no \*_manual\.json and no \*_auto\.json"):
        built("sa-v", tmp_path, tmp_path)
    (tmp_path / "x_manual.json").write_text("{}")
    with pytest.raises(InvalidInput, match="has no masklet and no masklet_id, so it is not SA-V's"):
        built("sa-v", tmp_path, tmp_path)
