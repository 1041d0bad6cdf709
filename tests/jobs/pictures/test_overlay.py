import itertools
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from jobs.pictures.overlay import (
    PALETTE,
    Rgb,
    blend,
    contact_sheet,
    object_colour,
    render_video,
    uncertainty_bar,
    write_overlay_video,
)
from pipeline.errors import InvalidInput, UnreadableVideo

GREY = 100


def grey(height: int = 40, width: int = 60, value: int = GREY) -> Rgb:
    return np.full((height, width, 3), value, np.uint8)


def read_video(path: Path) -> list[Rgb]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def distance(colour: NDArray[np.float64] | Sequence[float], other: Sequence[float]) -> float:
    return float(np.linalg.norm(np.asarray(colour, np.float64) - np.asarray(other)))


# --- colours


def test_palette_colours_are_easy_to_tell_apart() -> None:
    colours = [object_colour(object_id) for object_id in range(1, len(PALETTE) + 1)]
    assert len(colours) == 12
    assert min(distance(first, second) for first, second in itertools.combinations(colours, 2)) > 60


@given(st.integers(13, 2**31 - 1))
def test_generated_colours_differ_from_their_neighbours(object_id: int) -> None:
    colours = [object_colour(object_id + step) for step in range(4)]
    assert min(distance(first, second) for first, second in itertools.combinations(colours, 2)) > 40
    assert all(0 <= channel <= 255 for colour in colours for channel in colour)


# --- blend


def test_background_and_void_keep_the_picture() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[:, 30:] = 255
    assert np.array_equal(blend(grey(), labels), grey())


@given(
    object_id=st.sampled_from([1, 2, 12, 13, 254, 256, 70_000]),
    alpha=st.floats(0, 1),
    dtype=st.sampled_from([np.int32, np.int64]),
)
def test_inside_an_object_its_colour_is_mixed_in(object_id: int, alpha: float, dtype: type[np.int32]) -> None:
    labels = np.zeros((40, 60), dtype)
    labels[10:30, 10:30] = object_id
    shown = blend(grey(), labels, alpha=alpha)
    expected = (1 - alpha) * GREY + alpha * np.array(object_colour(object_id))
    assert np.abs(shown[20, 20] - expected).max() <= 1
    assert np.array_equal(shown[:, 31:], grey()[:, 31:])


def test_objects_are_outlined_in_their_own_colour() -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[10:30, 10:30] = 2
    shown = blend(grey(), labels)
    assert tuple(shown[10, 20]) == object_colour(2)
    assert tuple(shown[20, 29]) == object_colour(2)
    assert tuple(shown[12, 20]) != object_colour(2)
    assert tuple(shown[9, 20]) == (GREY, GREY, GREY)


def test_the_outline_is_thicker_in_a_larger_picture() -> None:
    labels = np.zeros((1080, 600), np.uint8)
    labels[100:900, 100:500] = 1
    shown = blend(grey(1080, 600), labels)
    assert [tuple(shown[100 + y, 300]) == object_colour(1) for y in range(5)] == [True] * 3 + [False] * 2


def test_where_an_object_leaves_the_frame_there_is_no_outline() -> None:
    shown = blend(grey(), np.ones((40, 60), np.uint8))
    assert (shown == shown[20, 20]).all()
    assert tuple(shown[0, 0]) != object_colour(1)


def test_a_colour_does_not_depend_on_the_other_objects() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[5:35, 5:25] = 7
    alone = blend(grey(), labels)
    labels[5:35, 35:55] = 3
    assert np.array_equal(blend(grey(), labels)[:, :30], alone[:, :30])


def test_blend_leaves_its_input_alone() -> None:
    rgb = grey()
    blend(rgb, np.ones((40, 60), np.uint8))
    assert np.array_equal(rgb, grey())


def test_labels_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="resize the labels"):
        blend(grey(), np.zeros((20, 30), np.uint8))


# --- contact sheet


def test_a_sheet_shows_frames_row_by_row() -> None:
    frames = [grey(90, 160, value) for value in (40, 80, 120, 160, 200)]
    sheet = contact_sheet(frames, columns=2, width=400, captions=[""] * 5)
    assert sheet.shape[1] == 400
    third = sheet.shape[0] // 3
    centres = [int(sheet[third * row + third // 2, 200 * column + 100, 0]) for row in range(3) for column in range(2)]
    assert centres[:5] == [40, 80, 120, 160, 200]
    assert centres[5] < 40


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_captions_can_be_read_on_any_ground(ground: int) -> None:
    frames = [grey(90, 160, ground)]
    plain = contact_sheet(frames, columns=1, width=400, captions=[""]).astype(int)
    written = contact_sheet(frames, columns=1, width=400, captions=["frame 12"]).astype(int)
    assert (np.abs(written - plain).max(axis=2) > 100).sum() > 100


def test_a_sheet_needs_frames_and_their_captions() -> None:
    with pytest.raises(ValueError, match="0 frames"):
        contact_sheet([], columns=2, width=400, captions=[])
    with pytest.raises(ValueError, match="1 frames, 2 captions"):
        contact_sheet([grey()], columns=2, width=400, captions=["a", "b"])


# --- uncertainty bar


def strip_of(values: Sequence[float | None], index: int, width: int = 400) -> NDArray[np.int64]:
    """Curve heights in pixels by column, without the caption's and the mark's columns (-1 there)."""
    rgb = grey(480, width)
    shown = uncertainty_bar(rgb, values, index)
    assert np.array_equal(shown[:480], rgb)
    strip = shown[480:].astype(int)
    heights: NDArray[np.int64] = (strip != strip[0, 0]).any(axis=2).sum(axis=0)
    mark = int((index + 0.5) * width / len(values))
    heights[: width // 4] = -1
    heights[max(0, mark - 2) : mark + 3] = -1
    return heights


def test_the_strip_fills_up_to_the_current_frame() -> None:
    heights = strip_of([0.1] * 100, 49)
    assert (heights[105:195] > 10).all()
    assert (heights[203:] == 0).all()


def test_the_current_frame_is_marked() -> None:
    shown = uncertainty_bar(grey(480, 400), [0.1] * 100, 74)[480:]
    assert (shown[:, int(74.5 * 4)] == 255).all()


def test_a_peak_stands_out_in_height_and_colour() -> None:
    values = [0.01] * 100
    values[60] = 0.2
    heights = strip_of(values, 99)
    assert heights[242] > 3 * heights[160] > 0
    strip = uncertainty_bar(grey(480, 400), values, 99)[480:].astype(int)
    redness = strip[-1, :, 0] - strip[-1, :, 2]
    assert redness[242] > 0 > redness[160]


def test_a_quiet_video_stays_flat() -> None:
    heights = strip_of([0.001] * 100, 99)
    assert heights[heights >= 0].max() < 6


def test_no_peak_is_lost_in_a_video_longer_than_the_picture_is_wide() -> None:
    values = [0.01] * 40_000
    values[30_033] = 0.2
    heights = strip_of(values, 39_990)
    assert heights.max() > 25
    assert abs(int(heights.argmax()) - 300) <= 1


def test_frames_without_a_value_leave_a_gap() -> None:
    values: list[float | None] = [0.1] * 100
    values[50:70] = [None] * 20
    heights = strip_of(values, 99)
    assert (heights[205:275] == 0).all()
    assert (heights[285:390] > 10).all()
    assert (strip_of([None, None, None], 1) <= 0).all()


# --- video


def test_the_video_plays_everywhere(tmp_path: Path) -> None:
    frames = [grey(120, 160, 20 * t) for t in range(10)]
    write_overlay_video(tmp_path / "a.mp4", frames, 29.97)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate or 0) == pytest.approx(29.97)
        assert sum(1 for _ in container.decode(stream)) == 10
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_colours_survive(tmp_path: Path) -> None:
    bars = np.zeros((96, 96 * len(PALETTE), 3), np.uint8)
    for index, colour in enumerate(PALETTE):
        bars[:, 96 * index : 96 * (index + 1)] = colour
    write_overlay_video(tmp_path / "a.mp4", [bars] * 3, 25)
    shown = read_video(tmp_path / "a.mp4")[1].astype(int)
    for index, colour in enumerate(PALETTE):
        assert np.abs(shown[48, 96 * index + 48] - colour).max() < 10


@pytest.mark.parametrize(("height", "width"), [(121, 160), (120, 161), (121, 161)])
def test_odd_sides_grow_by_one_pixel(tmp_path: Path, height: int, width: int) -> None:
    write_overlay_video(tmp_path / "a.mp4", [grey(height, width)] * 2, 25)
    shown = read_video(tmp_path / "a.mp4")[0].astype(int)
    assert shown.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(shown - GREY).max() < 5


def test_a_video_needs_a_frame(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.mp4"):
        write_overlay_video(tmp_path / "a.mp4", [], 25)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_no_half_video(tmp_path: Path) -> None:
    def failing() -> Iterator[Rgb]:
        yield from [grey()] * 100
        raise KeyError("lost")

    with pytest.raises(KeyError):
        write_overlay_video(tmp_path / "a.mp4", failing(), 25)
    assert list(tmp_path.iterdir()) == []


def test_few_frames_are_alive_at_once(tmp_path: Path) -> None:
    alive: list[weakref.ref[Rgb]] = []
    most = 0

    def counted() -> Iterator[Rgb]:
        nonlocal most
        for _ in range(100):
            frame = grey()
            alive.append(weakref.ref(frame))
            yield frame
            most = max(most, sum(reference() is not None for reference in alive))

    write_overlay_video(tmp_path / "a.mp4", counted(), 25)
    assert len(alive) == 100
    assert most <= 4


# --- one video of a result


def mask_at(t: int, object_id: int, height: int, width: int) -> NDArray[np.uint8]:
    """Object 1: a box walking right on top; object 300: a box at the bottom that is absent from frame 5 on."""
    mask = np.zeros((height, width), np.uint8)
    if object_id == 1:
        mask[8:48, 4 * t : 4 * t + 40] = 1
    elif t < 5:
        mask[72:112, 60:100] = 1
    return mask


def mask_rows(frames: range, height: int = 120, width: int = 160) -> pa.Table:
    rows = []
    for t, object_id in itertools.product(frames, (1, 300)):
        rle = coco.encode(np.asfortranarray(mask_at(t, object_id, height, width)))["counts"].decode()
        row = {"frame_index": t, "object_id": object_id, "height": height, "width": width, "rle": rle}
        rows.append(row)
    return pa.Table.from_pylist(rows)


def frame_rows(frames: range) -> pa.Table:
    values = [None if t == frames.start else 0.01 * (t % 7) for t in frames]
    return pa.table({"frame_index": list(frames), "uncertainty_mean": pa.array(values, pa.float64())})


def source(folder: Path, num_frames: int, height: int = 120, width: int = 160) -> str:
    folder.mkdir()
    for t in range(num_frames):
        Image.fromarray(grey(height, width)).save(folder / f"{t:05d}.png")
    return folder.as_uri()


def test_every_frame_shows_its_own_masks(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 20)
    overlay = render_video(url, mask_rows(range(20)), frame_rows(range(20)), tmp_path / "out" / "deep")
    assert overlay.video == tmp_path / "out" / "deep" / "overlay.mp4"
    shown = read_video(overlay.video)
    assert len(shown) == 20
    for t, frame in enumerate(shown):
        for object_id, (y, x) in {1: (28, 4 * t + 20), 300: (92, 80)}.items():
            inside = mask_at(t, object_id, 120, 160)[y, x]
            tinted = 0.45 * GREY + 0.55 * np.array(object_colour(object_id))
            assert np.abs(frame[y, x] - (tinted if inside else GREY)).max() < 15


def test_every_frame_has_its_bar(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 20)
    overlay = render_video(url, mask_rows(range(20)), frame_rows(range(20)), tmp_path)
    shown = read_video(overlay.video)
    assert shown[0].shape[0] == 120 + 16
    marks = [int(frame[122:134].astype(int).sum(axis=(0, 2))[60:].argmax()) + 60 for frame in shown[8:]]
    assert marks == pytest.approx([(t + 0.5) * 8 for t in range(8, 20)], abs=1.5)


def test_the_sheet_has_eight_evenly_spaced_frames(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 29)
    overlay = render_video(url, mask_rows(range(29)), frame_rows(range(29)), tmp_path)
    sheet = np.asarray(Image.open(overlay.sheet)).astype(int)
    assert sheet.shape[1] == 1600
    height, width = sheet.shape[0] // 2, 400
    for index, t in enumerate(range(0, 29, 4)):
        cell = sheet[height * (index // 4) :, width * (index % 4) :][:height, :width]
        left = 6 + (4 * t + 2) * 390 / 160
        row = cell[round(6 + 28 * 390 / 160)]
        assert distance(row[min(385, round(left) + 6)], (GREY,) * 3) > 40
        if t:
            assert distance(row[round(left) - 12], (GREY,) * 3) < 10


@pytest.mark.parametrize("density", [0.0, 0.001, 0.1, 0.5, 1.0])
def test_masks_of_any_shape_are_read_exactly(tmp_path: Path, density: float) -> None:
    """Runs from one pixel to the whole frame, over all lengths that the encoding writes differently."""
    url = source(tmp_path / "video", 1, 390, 390)
    mask = (np.random.default_rng(0).random((390, 390)) < density).astype(np.uint8)
    counts = coco.encode(np.asfortranarray(mask))["counts"].decode()
    row = {"frame_index": 0, "object_id": 1, "height": 390, "width": 390, "rle": counts}
    overlay = render_video(url, pa.Table.from_pylist([row]), frame_rows(range(1)), tmp_path)
    picture = blend(grey(390, 390), mask)
    resized = np.asarray(cv2.resize(picture, (400, 400), interpolation=cv2.INTER_AREA), np.uint8)
    expected = contact_sheet([resized], columns=4, width=1600, captions=["frame 0  U -"])
    assert np.array_equal(np.asarray(Image.open(overlay.sheet)), expected)


def test_a_short_video_has_a_short_sheet(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 3)
    overlay = render_video(url, mask_rows(range(3)), frame_rows(range(3)), tmp_path)
    height, width = np.asarray(Image.open(overlay.sheet)).shape[:2]
    assert height < width / 4


def test_only_the_rows_range_of_the_video_is_shown(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 20)
    overlay = render_video(url, mask_rows(range(10, 16)), frame_rows(range(10, 16)), tmp_path)
    shown = read_video(overlay.video)
    assert len(shown) == 6
    assert distance(shown[0][28, 4 * 10 + 20], (GREY,) * 3) > 40


def test_frames_before_the_first_prompt_are_plain(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 6)
    overlay = render_video(url, mask_rows(range(4, 6)), frame_rows(range(6)), tmp_path)
    shown = read_video(overlay.video)
    assert np.abs(shown[1][:110].astype(int) - GREY).max() < 12
    assert distance(shown[5][28, 40], (GREY,) * 3) > 40


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 8)
    masks, frames = mask_rows(range(8)), frame_rows(range(8))
    first = render_video(url, masks, frames, tmp_path / "a")
    second = render_video(url, masks.take(list(range(15, -1, -1))), frames.take(list(range(7, -1, -1))), tmp_path / "b")
    assert first.sheet.read_bytes() == second.sheet.read_bytes()
    assert all(map(np.array_equal, read_video(first.video), read_video(second.video)))


def test_the_rate_of_a_file_is_kept(tmp_path: Path) -> None:
    write_overlay_video(tmp_path / "source.mp4", [grey(120, 160)] * 8, 12.5)
    url = (tmp_path / "source.mp4").as_uri()
    overlay = render_video(url, mask_rows(range(8)), frame_rows(range(8)), tmp_path)
    with av.open(str(overlay.video)) as container:
        assert float(container.streams.video[0].average_rate or 0) == 12.5


def test_masks_of_another_size_are_refused(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 4)
    masks = mask_rows(range(4), height=240, width=320)
    with pytest.raises(InvalidInput, match=r"video: frame 0 is 120 x 160, its masks 240 x 320.*again"):
        render_video(url, masks, frame_rows(range(4)), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_video_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="segment the video first"):
        render_video("file:///v", mask_rows(range(1)), frame_rows(range(1)).slice(1), tmp_path)


def test_a_video_that_became_shorter_is_refused(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 4)
    with pytest.raises(InvalidInput, match="no frame 6"):
        render_video(url, mask_rows(range(6, 8)), frame_rows(range(6, 8)), tmp_path)


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableVideo, match="nowhere"):
        render_video((tmp_path / "nowhere").as_uri(), mask_rows(range(2)), frame_rows(range(2)), tmp_path / "out")
