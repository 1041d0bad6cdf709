"""The prompts of a video: what they speak for, how masks of a frame are combined, what is refused."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import InvalidPrompt
from pipeline.input.frames import Rgb
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.objects import PromptObject
from pipeline.input.prompts import Prompts, load_prompts
from pipeline.input.shapes import Mask
from tests.pipeline.input.pngs import IDS, disc, grey


def task(folder: Path, *masks: tuple[int, NDArray[np.integer], tuple[int, ...] | None]) -> VideoTask:
    sources = []
    for number, (frame_index, labels, object_ids) in enumerate(masks):
        path = folder / f"{number}.png"
        path.write_bytes(grey(labels))
        sources.append(PromptSource(frame_index=frame_index, mask_uri=f"file://{path}", object_ids=object_ids))
    return VideoTask(video_id="clip", video_uri="file:///clip.mp4", prompts=tuple(sources), row=12)


def test_a_prompt_speaks_for_the_ids_of_its_mask(tmp_path: Path) -> None:
    prompts = load_prompts(task(tmp_path, (0, IDS, None), (4, IDS // 7 * 9, None)), 3, 4)
    assert {frame: prompt.object_ids for frame, prompt in prompts.items()} == {0: (1, 3, 7), 4: (9,)}
    np.testing.assert_array_equal(prompts[0].labels, IDS)
    assert prompts.object_ids == (1, 3, 7, 9)


def test_named_ids_leave_others_out_and_may_be_absent(tmp_path: Path) -> None:
    labels = np.array([[1, 3, 255, 0]])
    prompt = load_prompts(task(tmp_path, (2, labels, (3, 5))), 1, 4)[2]
    assert prompt.object_ids == (3, 5)
    np.testing.assert_array_equal(prompt.labels, [[0, 3, 255, 0]])


def test_an_empty_mask_says_that_the_named_object_is_not_there(tmp_path: Path) -> None:
    prompt = load_prompts(task(tmp_path, (2, np.zeros((2, 2), int), (4,))), 2, 2)[2]
    assert prompt.object_ids == (4,)
    assert not prompt.labels.any()


def test_masks_of_one_frame_are_combined(tmp_path: Path) -> None:
    one = np.array([[1, 1, 255, 255, 0, 0, 2]])
    other = np.array([[0, 255, 2, 255, 255, 2, 0]])
    prompts = load_prompts(task(tmp_path, (0, one, (1,)), (0, other, (2,))), 1, 7)
    assert prompts[0].object_ids == (1, 2)
    np.testing.assert_array_equal(prompts[0].labels, [[1, 1, 2, 255, 255, 2, 0]])


def test_binary_masks_load_as_object_one(tmp_path: Path) -> None:
    prompt = load_prompts(task(tmp_path, (0, disc(255), None)), 120, 160, binary_masks=True)[0]
    assert prompt.object_ids == (1,)


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([(0, np.ones((3, 5), int), None)], "5 x 3, the video 4 x 3.*make the mask in the video's size"),
        ([(0, np.zeros((3, 4), int), None)], "has no object"),
        ([(0, IDS, (1,)), (0, np.where(IDS == 1, 2, 0), (2,))], "frame 0: its masks give 2 pixels to two objects"),
        ([(0, np.where(IDS == 1, 255, 0), None)], "--binary-masks"),
    ],
)
def test_faults_name_mask_or_frame(tmp_path: Path, masks: list, expected: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InvalidPrompt, match=f"^(mask file://.*{expected}|{expected})"):
        load_prompts(task(tmp_path, *masks), 3, 4)


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    wanted = task(tmp_path, (0, IDS, None))
    (tmp_path / "0.png").unlink()
    with pytest.raises(InvalidPrompt, match=r"^mask file://.*/0\.png: no such file"):
        load_prompts(wanted, 3, 4)


def test_a_folder_as_mask_is_named(tmp_path: Path) -> None:
    wanted = task(tmp_path, (0, IDS, None))
    (tmp_path / "0.png").unlink()
    (tmp_path / "0.png").mkdir()
    with pytest.raises(InvalidPrompt, match=r"^mask file://.*/0\.png: .*is a folder"):
        load_prompts(wanted, 3, 4)


def test_a_mask_that_no_video_can_have_is_not_read(tmp_path: Path) -> None:
    wanted = task(tmp_path, (0, IDS, None))
    with (tmp_path / "0.png").open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidPrompt, match=r"^mask file://.*/0\.png: .*has more than \d+ bytes"):
        load_prompts(wanted, 3, 4)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    wanted = task(tmp_path, (0, IDS, None))
    (tmp_path / "0.png").unlink()
    (tmp_path / "0.png").symlink_to("/dev/zero")
    with pytest.raises(InvalidPrompt, match=r"^mask file://.*/0\.png: .*is a device"):
        load_prompts(wanted, 3, 4)


def test_prompts_of_a_long_video_stay_compressed(tmp_path: Path) -> None:
    """Sixty label maps of 1080 x 1920 would be 498 MB."""
    labels = np.zeros((1080, 1920), np.uint8)
    labels[200:900, 300:1500] = 4
    (tmp_path / "m.png").write_bytes(grey(labels))
    source = PromptSource(frame_index=0, mask_uri=f"file://{tmp_path}/m.png")
    sources = tuple(replace(source, frame_index=10 * number) for number in range(60))
    long = VideoTask(video_id="clip", video_uri="file:///clip.mp4", prompts=sources)
    tracemalloc.start()
    try:
        prompts = load_prompts(long, 1080, 1920)
        held, _ = tracemalloc.get_traced_memory()
        np.testing.assert_array_equal(prompts[590].labels, labels)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(prompts) == 60
    assert held < 20e6 and after < 20e6


def test_prompts_are_a_mapping_by_frame(tmp_path: Path) -> None:
    prompts = load_prompts(task(tmp_path, (2, IDS, (1, 7)), (5, IDS, (3,)), (9, IDS, (1,))), 3, 4)
    assert list(prompts) == [2, 5, 9] and len(prompts) == 3
    assert (5 in prompts, 4 in prompts) == (True, False)
    assert prompts.get(4) is None
    with pytest.raises(KeyError):
        prompts[4]
    assert [prompt.object_ids for prompt in prompts.values()] == [(1, 7), (3,), (1,)]
    assert prompts.object_ids == (1, 3, 7)
    first, again = prompts[2], prompts[2]
    first.labels[:] = 0
    np.testing.assert_array_equal(again.labels, np.where(IDS == 3, 0, IDS))
    np.testing.assert_array_equal(prompts[2].labels, again.labels)


def test_objects_that_are_named_but_not_there_are_among_the_ids(tmp_path: Path) -> None:
    prompts = load_prompts(task(tmp_path, (0, IDS, (1, 8)), (0, IDS, (3,))), 3, 4)
    assert prompts.object_ids == (1, 3, 8)
    assert prompts[0].object_ids == (1, 3, 8)


def test_every_prompt_is_checked_when_they_are_loaded(tmp_path: Path) -> None:
    wanted = task(tmp_path, (0, IDS, None), (4, np.ones((3, 5), int), None))
    with pytest.raises(InvalidPrompt, match=r"1\.png: is 5 x 3"):
        load_prompts(wanted, 3, 4)


def test_prompts_need_no_store_once_they_are_loaded(tmp_path: Path) -> None:
    prompts = load_prompts(task(tmp_path, (0, IDS, None)), 3, 4)
    (tmp_path / "0.png").unlink()
    np.testing.assert_array_equal(prompts[0].labels, IDS)


# --- objects instead of masks --------------------------------------------------------------------------------------

SIZE = (40, 60)


def rectangle(object_id: int, x: int, y: int, width: int, height: int) -> PromptObject:
    corners = [x, y, x + width, y, x + width, y + height, x, y + height]
    return PromptObject.of_polygons(object_id, [corners])


def of_objects(*objects: PromptObject, **fields: Any) -> PromptSource:
    return PromptSource(frame_index=2, objects=objects, **fields)


def loaded(*sources: PromptSource, **options: Any) -> Prompts:
    video = VideoTask(video_id="clip", video_uri="file:///clip.mp4", prompts=sources)
    return load_prompts(video, *SIZE, **options)


def two_colours() -> Rgb:
    """A red and a blue square in a green picture."""
    rgb = np.full((*SIZE, 3), (40, 150, 60), np.uint8)
    rgb[10:30, 10:26], rgb[10:30, 34:50] = (220, 40, 40), (40, 40, 220)
    return rgb


def test_later_objects_lie_over_earlier_ones_and_the_pixels_are_counted() -> None:
    prompt = loaded(of_objects(rectangle(3, 5, 5, 20, 10), rectangle(1, 15, 5, 20, 10)))[2]
    assert prompt.object_ids == (1, 3) and prompt.overlap == 100
    assert (prompt.labels == 3).sum() == 100 and (prompt.labels == 1).sum() == 200
    assert prompt.approximate == frozenset()


def test_named_ids_without_a_shape_are_not_there() -> None:
    prompts = loaded(of_objects(rectangle(1, 5, 5, 20, 10), object_ids=(1, 9)))
    assert prompts.object_ids == (1, 9) == prompts[2].object_ids


def test_empty_run_lengths_say_that_the_object_is_not_there() -> None:
    prompt = loaded(of_objects(PromptObject.of_rle(4, {"size": list(SIZE), "counts": [2400]})))[2]
    assert prompt.object_ids == (4,) and not prompt.labels.any()


def test_boxes_become_masks_by_the_picture_and_say_where_that_failed() -> None:
    boxes = of_objects(PromptObject.of_box(1, (8, 8, 20, 24)), PromptObject.of_box(7, (52, 2, 6, 6)))
    prompt = loaded(boxes).on(2, two_colours())
    assert prompt is not None
    found = prompt.labels == 1
    assert found[12:28, 12:24].all() and not found[:9].any() and not found[:, 27:].any()
    assert prompt.approximate == {7} and 24 <= (prompt.labels == 7).sum() < 36
    whole = loaded(boxes, box_masks="box").on(2, two_colours())
    assert whole is not None and whole.approximate == {1, 7} and (whole.labels == 1).sum() == 480


def test_only_masks_of_boxes_are_improved_each_by_its_own_box(tmp_path: Path) -> None:
    labels = np.zeros(SIZE, np.uint8)
    labels[35:, 50:] = 4
    (tmp_path / "m.png").write_bytes(grey(labels))
    file = PromptSource(frame_index=2, mask_uri=f"file://{tmp_path}/m.png")
    drawn = of_objects(rectangle(3, 0, 32, 20, 5), PromptObject.of_box(1, (8, 8, 20, 24)))
    boxes = []

    def improve(rgb: Rgb, guess: Mask, inside: Mask) -> Mask:
        assert rgb.shape[:2] == guess.shape == inside.shape
        boxes.append(int(inside.sum()))
        return guess & (np.arange(guess.shape[1]) % 2 == 0)

    prompts = loaded(file, drawn, box_masks="network")
    plain, better = prompts.on(2, two_colours()), prompts.on(2, two_colours(), improve)
    assert plain is not None and better is not None and boxes == [480]
    for exact in (3, 4):
        np.testing.assert_array_equal(better.labels == exact, plain.labels == exact)
    assert (better.labels == 1).sum() == (plain.labels == 1).sum() / 2
    assert better.object_ids == (1, 3, 4) and better.approximate == plain.approximate == frozenset()
    given = loaded(file, drawn, box_masks="grabcut").on(2, two_colours(), improve)
    assert given is not None and boxes == [480]


def test_other_frames_have_no_prompt() -> None:
    assert loaded(of_objects(rectangle(1, 5, 5, 20, 10))).on(3, two_colours()) is None


def test_objects_and_masks_of_one_frame_are_combined(tmp_path: Path) -> None:
    labels = np.zeros(SIZE, np.uint8)
    labels[:10, :30] = 4
    (tmp_path / "m.png").write_bytes(grey(labels))
    file = PromptSource(frame_index=2, mask_uri=f"file://{tmp_path}/m.png", object_ids=(4,))
    prompt = loaded(file, of_objects(rectangle(1, 20, 5, 20, 10)))[2]
    assert prompt.object_ids == (1, 4) and prompt.overlap == 50
    assert (prompt.labels == 1).sum() == 200 and (prompt.labels == 4).sum() == 250


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([rectangle(1, 10, 10, 4, 4), rectangle(2, 5, 5, 20, 20)], "object 1: lies wholly under later objects"),
        (
            [rectangle(2, 5, 5, 20, 20), PromptObject.of_box(1, (70, 5, 9, 9))],
            r"object 1: its box .*beyond the picture",
        ),
        ([PromptObject.of_rle(8, {"size": [2, 3], "counts": [1, 5]})], "object 8: its rle is 3 x 2, the video 60 x 40"),
    ],
)
def test_what_is_wrong_with_an_object_is_named(objects: list[PromptObject], expected: str) -> None:
    with pytest.raises(InvalidPrompt, match=f"^frame 2, {expected}"):
        loaded(of_objects(*objects))


def test_a_mask_that_is_hidden_by_objects_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(grey(np.pad([[4]], ((9, 30), (9, 50)))))
    file = PromptSource(frame_index=2, mask_uri=f"file://{tmp_path}/m.png", object_ids=(4,))
    with pytest.raises(InvalidPrompt, match=r"^frame 2, object 4: lies wholly under later objects"):
        loaded(file, of_objects(rectangle(1, 5, 5, 20, 10)))


def test_an_object_that_a_box_may_hide_is_refused_where_it_does() -> None:
    """Whether it does is known with the picture."""
    prompts = loaded(of_objects(PromptObject.of_box(2, (14, 14, 6, 6)), PromptObject.of_box(1, (8, 8, 20, 24))))
    with pytest.raises(InvalidPrompt, match=r"^frame 2, object 2: lies wholly under later objects"):
        prompts.on(2, two_colours())
