"""`vos-batch segment VIDEO OUTPUT --box ...`: one video without a manifest."""

from pathlib import Path

import av
import pytest
from typer.testing import CliRunner, Result

from jobs.segment import app
from pipeline.output import tables
from pipeline.output.labels import committed_video
from pipeline.output.layout import overlay_path
from pipeline.storage.store import Store
from tests.pipeline.corpus import CHECKPOINT, HEIGHT, WIDTH, Corpus, digests, square_mask
from tests.pipeline.media import moving_square

SQUARE = moving_square(8, HEIGHT, WIDTH)


def call(*arguments: str) -> Result:
    fast = ("--device", "cpu", "--min-side", "0", "--checkpoint", CHECKPOINT)
    return CliRunner().invoke(app, [*arguments, *fast], env={"COLUMNS": "200"})


def box_of_square(frame: int) -> str:
    """A box around the square that the video shows, as typed."""
    ys, xs = square_mask(SQUARE[frame]).nonzero()
    return f"{xs.min() - 2},{ys.min() - 2},{xs.max() - xs.min() + 5},{ys.max() - ys.min() + 5}"


def test_a_box_is_found_and_the_result_lies_as_always(corpus: Corpus, output: str) -> None:
    result = call(f"{corpus.url}/walk.mp4", output, "--box", f"3:{box_of_square(0)}")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "1 videos (8 frames) segmented"
    first, *others = tables.open(output, "masks").to_table().sort_by("frame_index").to_pylist()
    assert (first["video_id"], first["object_id"], first["frame_index"]) == ("walk", 3, 0)
    assert abs(first["area"] - square_mask(SQUARE[0]).sum()) <= 0.1 * first["area"]
    assert first["approximate"] is False and [row["approximate"] for row in others] == [None] * 7
    again = call(f"{corpus.url}/walk.mp4", output, "--box", f"3:{box_of_square(0)}")
    assert "nothing to do" in again.output


def test_masks_and_boxes_of_later_frames_join(corpus: Corpus, output: str) -> None:
    folder = corpus.folder
    result = call(str(folder / "two.mp4"), output, "--mask", str(folder / "two-0.png"), "--box", "9:2,2,6,6@4")
    assert result.exit_code == 0
    assert "note: frame 4, object 9: the mask follows its box, not the object: give a mask" in result.output
    rows = tables.open(output, "masks").to_table().to_pylist()
    assert {
        (row["object_id"], row["frame_index"]): row["approximate"] for row in rows if row["frame_index"] in (0, 4)
    } == {
        (1, 0): False,
        (1, 4): None,
        (9, 4): True,
    }
    assert len(rows) == 12 + 8


def test_the_overlay_lies_in_the_output_and_leaves_the_tables_alone(corpus: Corpus, output: str) -> None:
    arguments = (f"{corpus.url}/pictures", output, "--mask", f"2={corpus.folder}/pictures-2.png")
    assert call(*arguments).exit_code == 0
    before = digests(output)
    result = call(*arguments, "--overlay")
    assert result.exit_code == 0 and "nothing to do" in result.output
    paths = [Path(output) / overlay_path("pictures", suffix) for suffix in (".mp4", ".png")]
    assert result.output.splitlines()[-2:] == [f"drawn: file://{path}" for path in paths]
    with av.open(str(paths[0])) as video:
        assert sum(1 for _ in video.decode(video=0)) == 5
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    assert digests(output) == before


def test_video_and_result_may_lie_in_a_store(corpus: Corpus) -> None:
    store = Store("memory://one/videos")
    store.put("walk.mp4", (corpus.folder / "walk.mp4").read_bytes())
    result = call("memory://one/videos/walk.mp4", "memory://one/out", "--box", f"3:{box_of_square(0)}", "--overlay")
    assert result.exit_code == 0
    assert f"drawn: memory://one/out/{overlay_path('walk', '.mp4')}" in result.output
    assert len(Store("memory://one/out").list("overlays")) == 2
    assert tables.open("memory://one/out", "masks").count_rows() == 8


def test_how_boxes_become_masks_is_part_of_the_identity(corpus: Corpus, output: str) -> None:
    areas = []
    for way in ("ellipse", "box"):
        result = call(f"{corpus.url}/walk.mp4", output, "--box", "3:10,10,20,20", "--box-masks", way)
        assert result.exit_code == 0 and "1 videos (8 frames) segmented" in result.output
        areas.append(next(committed_video(output, "walk").rows("masks", ["area"]))["area"])
    assert areas == [316, 400]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["walk.mp4"], r"walk.mp4 is no manifest (.jsonl, .ndjson, .csv or .parquet): name one, or say what to follow"),
        (["walk.mp4", "--box", "1:70,0,9,9"], "video 'walk': frame 0, object 1: its box (x 70, y 0, width 9,"),
        (["walk.mp4", "--box", "1:7"], "--box 1:7: box is [7.0], expected [x, y, width, height]"),
        (["walk.mp4", "--mask", "8=walk-0.png"], "prompt for frame 8, but the video"),
        (["gone.mp4", "--box", "1:1,1,9,9"], "gone.mp4 does not exist: correct the path of the video"),
        (["manifest.jsonl", "--box", "1:1,1,9,9"], "is a manifest, which holds its prompts: leave out --mask"),
        (["manifest.jsonl", "--overlay"], "--overlay is for one video: `vos-batch export OUTPUT --format overlay`"),
    ],
)  # fmt: skip
def test_wrong_calls_are_refused_before_anything_is_written(
    corpus: Corpus, output: str, arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(corpus.folder)
    result = call(arguments[0], output, *arguments[1:])
    assert result.exit_code == 2
    assert expected in result.output
    assert not Path(output).exists()
