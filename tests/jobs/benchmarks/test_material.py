"""The clip of the benchmark: real frames at a size, masks in as many pieces as asked."""

from pathlib import Path

import numpy as np
import pytest

from jobs.benchmarks.material import cut, material
from pipeline.errors import InvalidInput
from pipeline.input.masks import read_mask
from pipeline.input.video import open_video


def test_a_mask_is_cut_into_upright_pieces_of_equal_area() -> None:
    mask = np.zeros((6, 10), bool)
    mask[1:5, 1:9] = True
    labels = cut(mask, 4)
    assert [int((labels == object_id).sum()) for object_id in (0, 1, 2, 3, 4)] == [28, 8, 8, 8, 8]
    assert np.array_equal(labels > 0, mask)
    assert labels[2, 1:9].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]


def test_more_pieces_than_pixels_are_refused() -> None:
    with pytest.raises(InvalidInput, match="5 objects do not fit into the clip's masks at 2x2"):
        cut(np.ones((2, 2), bool), 5)


def test_the_clip_has_the_size_and_the_objects_that_are_asked_for() -> None:
    clip = material(48, 80, num_objects=5, num_frames=3)
    assert [frame.shape for frame in clip.frames] == [(48, 80, 3)] * 3
    assert clip.prompt.object_ids == (1, 2, 3, 4, 5)
    assert set(np.unique(clip.prompt.labels)) == {0, 1, 2, 3, 4, 5}
    assert not np.array_equal(clip.frames[0], clip.frames[2])


def test_behind_its_end_it_runs_backwards() -> None:
    clip = material(16, 32, num_objects=1, num_frames=3)
    seen = [clip.picture(t).permute(1, 2, 0).numpy() for t in range(7)]
    for picture, t in zip(seen, (0, 1, 2, 1, 0, 1, 2), strict=True):
        assert np.array_equal(picture, clip.frames[t])


def test_a_clip_of_one_frame_stands_still() -> None:
    clip = material(16, 32, num_objects=1, num_frames=1)
    assert np.array_equal(clip.picture(5).permute(1, 2, 0).numpy(), clip.frames[0])


def test_its_files_hold_the_frames_and_the_mask(tmp_path: Path) -> None:
    clip = material(48, 80, num_objects=2, num_frames=3)
    clip.write(tmp_path / "clip.mp4", tmp_path / "clip.png")
    with open_video(str(tmp_path / "clip.mp4")) as reader:
        frames = [frame.rgb for frame in reader]
    assert len(frames) == 3
    assert np.abs(frames[1].astype(int) - clip.frames[1]).mean() < 12
    assert np.array_equal(read_mask((tmp_path / "clip.png").read_bytes(), "clip.png"), clip.labels)
