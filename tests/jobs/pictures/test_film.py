import itertools
import uuid
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from jobs.pictures.colours import object_colour
from jobs.pictures.film import render_video
from jobs.pictures.mp4 import write_mp4
from jobs.pictures.overlay import blend
from jobs.pictures.sheet import contact_sheet
from pipeline.errors import InvalidInput, UnreadableVideo
from pipeline.output.labels import CommittedVideo
from pipeline.storage.store import Store
from tests.jobs.pictures.shown import GREY, distance, grey, read_video


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


def found(folder: Path, masks: pa.Table, frames: pa.Table, size: tuple[int, int] = (120, 160)) -> CommittedVideo:
    """A result whose files hold these rows."""
    paths = {}
    for name, table in (("masks", masks), ("frames", frames)):
        paths[name] = f"{name}/{uuid.uuid4().hex}.parquet"
        (folder / "found" / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / "found" / paths[name])
    return CommittedVideo(Store(str(folder / "found")), "video", size, paths)


def source(folder: Path, num_frames: int, height: int = 120, width: int = 160) -> str:
    folder.mkdir()
    for t in range(num_frames):
        Image.fromarray(grey(height, width)).save(folder / f"{t:05d}.png")
    return folder.as_uri()


def test_every_frame_shows_its_own_masks(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 20)
    overlay = render_video(url, found(tmp_path, mask_rows(range(20)), frame_rows(range(20))), tmp_path / "out" / "deep")
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
    overlay = render_video(url, found(tmp_path, mask_rows(range(20)), frame_rows(range(20))), tmp_path)
    shown = read_video(overlay.video)
    assert shown[0].shape[0] == 120 + 16
    marks = [int(frame[122:134].astype(int).sum(axis=(0, 2))[60:].argmax()) + 60 for frame in shown[8:]]
    assert marks == pytest.approx([(t + 0.5) * 8 for t in range(8, 20)], abs=1.5)


def test_the_sheet_has_eight_evenly_spaced_frames(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 29)
    overlay = render_video(url, found(tmp_path, mask_rows(range(29)), frame_rows(range(29))), tmp_path)
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
    overlay = render_video(
        url, found(tmp_path, pa.Table.from_pylist([row]), frame_rows(range(1)), (390, 390)), tmp_path
    )
    picture = blend(grey(390, 390), mask)
    resized = np.asarray(cv2.resize(picture, (400, 400), interpolation=cv2.INTER_AREA), np.uint8)
    expected = contact_sheet([resized], columns=4, width=1600, captions=["frame 0  U -"])
    assert np.array_equal(np.asarray(Image.open(overlay.sheet)), expected)


def test_a_short_video_has_a_short_sheet(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 3)
    overlay = render_video(url, found(tmp_path, mask_rows(range(3)), frame_rows(range(3))), tmp_path)
    height, width = np.asarray(Image.open(overlay.sheet)).shape[:2]
    assert height < width / 4


def test_only_the_rows_range_of_the_video_is_shown(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 20)
    overlay = render_video(url, found(tmp_path, mask_rows(range(10, 16)), frame_rows(range(10, 16))), tmp_path)
    shown = read_video(overlay.video)
    assert len(shown) == 6
    assert distance(shown[0][28, 4 * 10 + 20], (GREY,) * 3) > 40


def test_frames_before_the_first_prompt_are_plain(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 6)
    overlay = render_video(url, found(tmp_path, mask_rows(range(4, 6)), frame_rows(range(6))), tmp_path)
    shown = read_video(overlay.video)
    assert np.abs(shown[1][:110].astype(int) - GREY).max() < 12
    assert distance(shown[5][28, 40], (GREY,) * 3) > 40


def test_the_rate_of_a_file_is_kept(tmp_path: Path) -> None:
    write_mp4(tmp_path / "source.mp4", [grey(120, 160)] * 8, 12.5)
    url = (tmp_path / "source.mp4").as_uri()
    overlay = render_video(url, found(tmp_path, mask_rows(range(8)), frame_rows(range(8))), tmp_path)
    with av.open(str(overlay.video)) as container:
        assert float(container.streams.video[0].average_rate or 0) == 12.5


def test_masks_of_another_size_are_refused(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 4)
    masks = found(tmp_path, mask_rows(range(4), height=240, width=320), frame_rows(range(4)), (240, 320))
    with pytest.raises(InvalidInput, match=r"video: frame 0 is 120 x 160, its masks 240 x 320.*again"):
        render_video(url, masks, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_video_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="segment the video first"):
        render_video("file:///v", found(tmp_path, mask_rows(range(1)), frame_rows(range(1)).slice(1)), tmp_path)


def test_a_video_that_became_shorter_is_refused(tmp_path: Path) -> None:
    url = source(tmp_path / "video", 4)
    with pytest.raises(InvalidInput, match="no frame 6"):
        render_video(url, found(tmp_path, mask_rows(range(6, 8)), frame_rows(range(6, 8))), tmp_path)


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    result = found(tmp_path, mask_rows(range(2)), frame_rows(range(2)))
    with pytest.raises(UnreadableVideo, match="nowhere"):
        render_video((tmp_path / "nowhere").as_uri(), result, tmp_path / "out")
