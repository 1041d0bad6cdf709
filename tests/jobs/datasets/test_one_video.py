"""One video and its prompts as they are typed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.datasets.one_video import inspect_call
from pipeline.errors import InvalidInput
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.objects import PromptObject
from tests.pipeline.corpus import HEIGHT, WIDTH, Corpus, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def test_masks_and_boxes_become_prompts_by_frame(corpus: Corpus) -> None:
    folder = corpus.folder
    boxes = ["3:30,5,20,20@4", "7:1.5, 2, 10, 12 @ 4", "9:40,2,5,5"]
    found = inspect_call(str(folder / "two.mp4"), [str(folder / "two-0.png")], boxes)
    on_four = (PromptObject.of_box(3, [30, 5, 20, 20]), PromptObject.of_box(7, [1.5, 2, 10, 12]))
    assert found.task == VideoTask(
        video_id="two",
        video_uri=f"file://{folder}/two.mp4",
        prompts=(
            PromptSource(frame_index=0, mask_uri=f"file://{folder}/two-0.png"),
            PromptSource(frame_index=0, objects=(PromptObject.of_box(9, [40, 2, 5, 5]),)),
            PromptSource(frame_index=4, objects=on_four),
        ),
        num_frames=12,
        height=HEIGHT,
        width=WIDTH,
    )


def test_a_mask_may_name_its_frame_and_a_folder_is_a_video(corpus: Corpus) -> None:
    found = inspect_call(str(corpus.folder / "pictures"), [f"2={corpus.folder}/pictures-2.png"], [])
    assert found.task.video_id == "pictures" and found.task.prompts[0].frame_index == 2


def test_overlapping_boxes_are_noted(corpus: Corpus) -> None:
    found = inspect_call(f"{corpus.url}/walk.mp4", [], ["1:0,0,20,20", "2:10,10,20,20"])
    assert ["up to 100 pixels" in str(note) for note in found.notes] == [True]


@pytest.mark.parametrize(
    ("masks", "boxes", "expected"),
    [
        ([], ["1:1,2,3"], r"--box 1:1,2,3: box is \[1.0, 2.0, 3.0\], expected \[x, y, width, height\]"),
        ([], ["1:1,2,3,x"], "--box 1:1,2,3,x: expected four numbers x,y,width,height in pixels"),
        ([], ["1:1,2,3,nan"], "--box 1:1,2,3,nan: box holds NaN, expected pixels as numbers"),
        ([], ["1,2,3,4"], "--box 1,2,3,4: expected ID:x,y,width,height, with @FRAME"),
        ([], ["1:1,2,3,4@x"], "--box 1:1,2,3,4@x: expected ID:x,y,width,height"),
        ([], ["255:1,2,3,4"], "--box 255:1,2,3,4: 255 is no object id"),
        ([], ["0:1,2,3,4"], "--box 0:1,2,3,4: 0 is no object id"),
        ([], ["1:1,2,0,4"], "--box 1:1,2,0,4: .*not two corners"),
        ([], ["1:1,2,3,4@9999999999"], "--box 1:1,2,3,4@9999999999: there is no frame 9999999999"),
        ([], ["1:1,2,3,4", "1:5,5,3,4"], "--box 1:5,5,3,4: object 1 has a box on frame 0 already"),
        ([], ["1:1,2,3,4@8"], "video 'walk': prompt for frame 8, but the video .* has 8 frames"),
        ([], ["1:70,2,3,4"], "video 'walk': frame 0, object 1: its box .* beyond the picture of 64 x 48"),
        (["walk-0.png"], ["1:1,2,3,4"], "video 'walk': frame 0, object 1: is in two prompts of this frame; keep one"),
        (["gone.png"], [], "video 'walk': mask file://.*gone.png: no such file"),
        ([""], [], "--mask : give a PNG"),
    ],
)
def test_what_is_wrong_is_named(corpus: Corpus, masks: list[str], boxes: list[str], expected: str) -> None:
    given_masks = [str(corpus.folder / mask) if mask else mask for mask in masks]
    with pytest.raises(InvalidInput, match=f"^{expected}"):
        inspect_call(f"{corpus.url}/walk.mp4", given_masks, boxes)


def test_all_faults_come_at_once(corpus: Corpus) -> None:
    with pytest.raises(InvalidInput) as caught:
        inspect_call(f"{corpus.url}/walk.mp4", ["gone.png"], ["1:70,2,3,4@2", "1:1,2,3,4@50"])
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("name", ["gone.mp4", "garbage.mp4"])
def test_what_is_no_video_is_named(corpus: Corpus, name: str) -> None:
    with pytest.raises(InvalidInput, match=f"{name} (does not exist|is not a video)"):
        inspect_call(f"{corpus.url}/{name}", [], ["1:1,2,3,4"])


@given(st.text(max_size=15))
def test_any_text_is_a_box_or_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        inspect_call("memory://nowhere/v.mp4", [], [text])


def test_the_name_is_the_files_without_suffix(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "day 1.2.mp4").write_bytes((corpus.folder / "walk.mp4").read_bytes())
    assert inspect_call(str(tmp_path / "day 1.2.mp4"), [], ["1:1,2,30,30"]).task.video_id == "day 1.2"
