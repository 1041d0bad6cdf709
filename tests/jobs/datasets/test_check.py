"""`manifest check`: every fault of every row at once, before a run finds them one by one."""

import json
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from jobs.datasets.check import check
from jobs.manifest import app
from pipeline.errors import InvalidManifest
from pipeline.input.manifest import read_manifest
from tests.pipeline.corpus import FRAMES, HEIGHT, WIDTH, Corpus, png

MASK = {"mask_uri": "walk-0.png", "mask_frame": 0}
WALK = {"video_uri": "walk.mp4", **MASK}


@pytest.fixture(scope="module")
def corpus(corpus: Corpus) -> Corpus:
    folder = corpus.folder
    (folder / "zero.mp4").touch()
    (folder / "pictures-without").mkdir()
    (folder / "zero.png").touch()
    with wave.open(str(folder / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 800, "NONE", ""))
        sound.writeframes(bytes(1600))
    (folder / "small.png").write_bytes(png(np.ones((8, 8), np.uint8)))
    (folder / "empty.png").write_bytes(png(np.zeros((HEIGHT, WIDTH), np.uint8)))
    Image.fromarray(np.ones((HEIGHT, WIDTH, 3), np.uint8)).save(folder / "rgb.png")
    smooth = cv2.GaussianBlur(np.kron(np.eye(4, 4), np.full((12, 16), 200)).astype(np.uint8), (5, 5), 0)
    (folder / "smooth.png").write_bytes(png(smooth.astype(np.uint8)))
    (folder / "video.png").write_bytes((folder / "walk.mp4").read_bytes())
    return corpus


BOX = {"object_id": 3, "box": [5, 5, 20, 20]}


def given(*objects: dict[str, Any], **prompt: Any) -> dict[str, Any]:
    """A row with these objects on frame 0."""
    return {"video_uri": "walk.mp4", "prompts": [{"frame_index": 0, "objects": list(objects), **prompt}]}


FAULTS: list[tuple[dict[str, Any], str]] = [
    (WALK | {"video_uri": "gone.mp4"}, "gone.mp4 does not exist"),
    (WALK | {"video_uri": "zero.mp4"}, "zero.mp4"),
    (WALK | {"video_uri": "garbage.mp4"}, "garbage.mp4 is not a video"),
    (WALK | {"video_uri": "sound.wav"}, "sound.wav"),
    (WALK | {"video_uri": "pictures-without"}, "pictures-without"),
    (WALK | {"mask_uri": "gone.png"}, "gone.png"),
    (WALK | {"mask_uri": "zero.png"}, "zero.png: is not a PNG"),
    (WALK | {"mask_uri": "video.png"}, "video.png: is not a PNG"),
    (WALK | {"mask_uri": "small.png"}, f"small.png: is 8 x 8, the video {WIDTH} x {HEIGHT}"),
    (WALK | {"mask_uri": "rgb.png"}, "rgb.png"),
    (WALK | {"mask_uri": "smooth.png"}, "smooth.png"),
    (WALK | {"mask_uri": "empty.png"}, "empty.png: has no object"),
    (WALK | {"mask_frame": 8}, "prompt for frame 8, but the video"),
    (WALK | {"start_frame": 20, "mask_frame": 20}, "walk.mp4"),
    (given(BOX | {"box": [70, 5, 9, 9]}), "frame 0, object 3: its box (x 70, y 5, width 9, height 9)"),
    (given({"object_id": 3, "rle": {"size": [8, 8], "counts": [60, 4]}}), "object 3: its rle is 8 x 8, the video"),
    (given({"object_id": 3, "polygons": [[1, 1, 999, 1, 9, 9]]}), "object 3: its polygons[0] reaches from x 1 to 999"),
    (given(BOX, frame_index=8), "prompt for frame 8, but the video"),
    (WALK | {"colour": "red"}, "unknown column 'colour'"),
    (WALK | {"video_id": "good"}, "video_id 'good' is already that of row 1"),
]


def write(corpus: Corpus, name: str, rows: Iterable[dict[str, Any]]) -> str:
    path = corpus.folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments], env={"COLUMNS": "200"})


def test_all_faults_come_at_once_and_name_row_video_and_file(corpus: Corpus) -> None:
    rows = [{"video_id": f"v{row}", **columns} for row, (columns, _) in enumerate(FAULTS, 2)]
    result = call(write(corpus, "bad.jsonl", [{"video_id": "good", **WALK}, *rows]))
    assert result.exit_code == 2
    said = result.output.splitlines()
    for row, (columns, expected) in enumerate(FAULTS, 2):
        (line,) = (line for line in said if line.startswith(f"row {row}: "))
        assert expected in line
        if "colour" not in columns and "video_id" not in columns:
            assert line.startswith(f"row {row}: video 'v{row}': ")
    assert said[-1] == f"{len(FAULTS)} faults in {len(FAULTS)} rows, 1 videos are fine"


def test_overlaps_are_noted_with_their_pixels(corpus: Corpus) -> None:
    squares = [[5, 5, 25, 5, 25, 25, 5, 25]], [[15, 15, 30, 15, 30, 30, 15, 30]]
    polygons = [{"object_id": number, "polygons": shape} for number, shape in enumerate(squares, 1)]
    rows = [{"video_id": "v1", **given(*polygons)}, {"video_id": "v2", **given(polygons[0], BOX)}]
    rows += [{"video_id": "v3", **given(polygons[0])}]
    result = call(write(corpus, "overlap.jsonl", rows))
    assert result.exit_code == 0
    first, second, last = result.output.splitlines()
    assert first == "note: row 1: video 'v1': frame 0: 100 pixels are in several objects; the later object has them"
    assert "row 2" in second and "up to 400 pixels (boxes are counted whole)" in second
    assert last == "3 videos are fine"


def test_several_masks_of_a_row_are_all_looked_at(corpus: Corpus) -> None:
    prompts = [{"frame_index": n, "mask_uri": uri} for n, uri in enumerate(("gone.png", "walk-0.png", "small.png"))]
    good, faults, _ = check(
        write(corpus, "masks.jsonl", [{"video_id": "a", "video_uri": "walk.mp4", "prompts": prompts}])
    )
    assert good == 0
    assert [("gone.png" in str(fault), "small.png" in str(fault)) for fault in faults] == [(True, False), (False, True)]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_manifest_is_written_with_what_the_videos_say(corpus: Corpus, tmp_path: Path, suffix: str) -> None:
    output = str(tmp_path / f"fixed.{suffix}")
    result = call(corpus.manifest, "--output", output)
    assert (result.exit_code, result.output) == (0, f"4 videos are fine, wrote {output}\n")
    tasks = {task.video_id: task for task in read_manifest(output)}
    assert {name: task.num_frames for name, task in tasks.items()} == {
        name: 8 if name == "span" else len(frames) for name, frames in FRAMES.items()
    }
    assert {(task.height, task.width) for task in tasks.values()} == {(HEIGHT, WIDTH)}
    assert [task.prompts for task in tasks.values()] == [task.prompts for task in corpus.tasks]


def test_nothing_is_written_while_there_are_faults(corpus: Corpus, tmp_path: Path) -> None:
    manifest = write(corpus, "one.jsonl", [{"video_id": "a", **WALK}, {"video_id": "b", **WALK, "mask_frame": 99}])
    result = call(manifest, "--output", str(tmp_path / "fixed.jsonl"))
    assert result.exit_code == 2
    assert "was not written" in result.output and not (tmp_path / "fixed.jsonl").exists()


def test_binary_masks_are_told_apart(corpus: Corpus) -> None:
    path = corpus.folder / "binary.png"
    path.write_bytes(png(np.full((HEIGHT, WIDTH), 255, np.uint8)))
    manifest = write(corpus, "binary.jsonl", [{"video_id": "a", **WALK, "mask_uri": "binary.png"}])
    assert "--binary-masks" in call(manifest).output
    assert call(manifest, "--binary-masks").exit_code == 0


def test_many_rows_keep_their_order(corpus: Corpus) -> None:
    rows = [{"video_id": f"v{n}", **WALK, "mask_frame": n % 2 * 50} for n in range(60)]
    good, faults, _ = check(write(corpus, "many.jsonl", rows), readers=3)
    assert good == 30 and [fault.row for fault in faults] == list(range(2, 61, 2))


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"x")
    assert call(str(tmp_path / "m.parquet")).exit_code == 2
    with pytest.raises(InvalidManifest, match="ends in"):
        check(str(tmp_path / "m.jsonl"), output=str(tmp_path / "m.txt"))
