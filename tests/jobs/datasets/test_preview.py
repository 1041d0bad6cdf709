"""The prompt sheet: every object's first mask is drawn where it belongs, what deserves a look comes first."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from typer.testing import CliRunner, Result

from jobs.datasets.doubts import Doubt
from jobs.datasets.preview import Looks, preview
from jobs.manifest import app
from jobs.pictures.colours import object_colour
from jobs.pictures.decode import decode_picture
from model.segmenter import SegmenterConfig
from pipeline.storage.store import Store
from tests.pipeline.corpus import HEIGHT, WIDTH, Corpus, square_mask
from tests.pipeline.media import moving_square

WALK = {"video_uri": "walk.mp4"}
NATIVE = Looks(segmenter=SegmenterConfig(min_side=0))


def write(corpus: Corpus, name: str, rows: Iterable[dict[str, Any]]) -> str:
    path = corpus.folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def boxes(frame_index: int, *boxes: list[int]) -> list[dict[str, Any]]:
    objects = [{"object_id": number, "box": box} for number, box in enumerate(boxes, 1)]
    return [{"frame_index": frame_index, "objects": objects}]


def polygons(*shapes: list[int]) -> list[dict[str, Any]]:
    return [{"frame_index": 0, "objects": [{"object_id": 1, "polygons": list(shapes)}]}]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["preview", *arguments], env={"COLUMNS": "200"})


def sections(folder: Path) -> dict[str, list[str]]:
    """Titles by section of the page."""
    text = (folder / "index.html").read_text()
    parts = re.split(r"<h2>(.*?) \(\d+\)</h2>", text)[1:]
    return {name: re.findall(r"<b><bdi>(.*?)</bdi>", part) for name, part in zip(parts[::2], parts[1::2], strict=True)}


def test_every_objects_first_mask_is_drawn(corpus: Corpus, tmp_path: Path) -> None:
    drawn = preview(corpus.manifest, str(tmp_path / "sheet"), looks=NATIVE)
    assert (drawn.videos, drawn.pictures, drawn.faults) == (4, 5, [])
    names = {path.name for path in (tmp_path / "sheet/pictures").iterdir()}
    assert names == {"000000-0.jpg", "000001-0.jpg", "000001-4.jpg", "000002-2.jpg", "000003-3.jpg"}


def test_a_picture_shows_the_mask_on_its_frame(corpus: Corpus, tmp_path: Path) -> None:
    preview(corpus.manifest, str(tmp_path / "sheet"), looks=NATIVE)
    picture = decode_picture((tmp_path / "sheet/pictures/000002-2.jpg").read_bytes(), "p").astype(int)
    frame = moving_square(5, HEIGHT, WIDTH)[2]
    inside = cv2.erode(square_mask(frame), np.ones((5, 5), np.uint8)).astype(bool)
    outside = cv2.dilate(square_mask(frame), np.ones((7, 7), np.uint8)) == 0
    expected = 0.45 * frame[inside].mean(0) + 0.55 * np.array(object_colour(7))
    assert np.abs(picture[inside].mean(0) - expected).max() < 12
    assert np.abs(picture[outside].mean(0) - frame[outside].mean(0)).max() < 6


def test_doubtful_ones_come_first_and_faults_before_them(corpus: Corpus, tmp_path: Path) -> None:
    polygon = polygons([10, 10, 40, 10, 40, 40, 10, 40])
    rows = [
        {"video_id": "good", **WALK, "prompts": polygon},
        {"video_id": "tiny", **WALK, "prompts": boxes(0, [20, 20, 8, 8])},
        {"video_id": "border", **WALK, "prompts": polygons([0, 0, 30, 0, 30, 30, 0, 30])},
        {"video_id": "late", **WALK, "prompts": boxes(99, [5, 5, 9, 9])},
        {"video_id": "gone", "video_uri": "gone.mp4", "prompts": polygon},
        {"video_id": "wrong", **WALK, "prompts": boxes(0, [5, 5, 0, 9])},
        {"video_id": "two", **WALK, "prompts": boxes(2, [5, 5, 30, 30], [20, 20, 25, 25])},
    ]  # fmt: skip
    looks = Looks(segmenter=NATIVE.segmenter, box_masks="box")
    drawn = preview(write(corpus, "doubts.jsonl", rows), str(tmp_path / "sheet"), looks=looks)
    found = sections(tmp_path / "sheet")
    assert list(found) == ["cannot be used", "follows its box, not the object", "at the border", "nothing to doubt"]
    assert found["cannot be used"] == ["row 6", "video &#x27;late&#x27;", "video &#x27;gone&#x27;"]
    assert [title.split(",")[0] for title in found["follows its box, not the object"]] == [
        "video &#x27;tiny&#x27;",
        "video &#x27;two&#x27;",
    ]
    assert drawn.doubtful == {Doubt.FAULT: 3, Doubt.APPROXIMATE: 2, Doubt.BORDER: 1}
    assert "225 pixels are in several objects" in (tmp_path / "sheet/index.html").read_text()
    assert [fault.row for fault in drawn.faults] == [6, 4, 5]


def test_an_object_that_others_hide_is_a_fault_of_its_frame(corpus: Corpus, tmp_path: Path) -> None:
    rows = [{"video_id": "hidden", **WALK, "prompts": boxes(2, [20, 20, 5, 5], [5, 5, 40, 40])}]
    drawn = preview(write(corpus, "hidden.jsonl", rows), str(tmp_path / "sheet"), looks=Looks(box_masks="box"))
    assert [str(fault) for fault in drawn.faults] == [
        "row 1: video 'hidden': frame 2, object 1: lies wholly under later objects of its frame; put it last"
    ]


def test_the_command_says_where_the_page_is_and_what_to_look_at(corpus: Corpus, tmp_path: Path) -> None:
    rows = [{"video_id": "a", **WALK, "prompts": boxes(0, [20, 20, 8, 8])}]
    result = call(write(corpus, "one.jsonl", rows), "--to", str(tmp_path / "sheet"), "--box-masks", "ellipse")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"wrote 1 pictures of 1 videos: file://{tmp_path}/sheet/index.html",
        "1 follows its box, not the object",
    ]


def test_faults_are_said_and_exit_with_2(corpus: Corpus, tmp_path: Path) -> None:
    result = call(f"{corpus.url}/broken.jsonl", "--to", str(tmp_path / "sheet"))
    assert result.exit_code == 2
    assert "row 1: video 'missing': " in result.output and "3 cannot be used" in result.output
    assert list(sections(tmp_path / "sheet")) == ["cannot be used"]


def test_a_folder_with_something_in_it_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    result = call(corpus.manifest, "--to", str(tmp_path))
    assert result.exit_code == 2 and "is not empty: choose an empty or new folder" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_any_store_takes_it(corpus: Corpus) -> None:
    drawn = preview(corpus.manifest, "memory://preview/sheet", looks=NATIVE)
    assert drawn.pictures == len(Store("memory://preview/sheet").list("pictures")) == 5
    assert b"pictures/000000-0.jpg" in Store("memory://preview/sheet").get("index.html")
