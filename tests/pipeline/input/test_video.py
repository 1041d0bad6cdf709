"""What `open_video` gives for a file and for a folder alike: ranges, and what it refuses."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidInput, UnreadableVideo
from pipeline.input.video import open_video
from tests.pipeline.media import moving_square, write_video

FRAMES = moving_square(24, 64, 96)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", FRAMES)


@given(start=st.integers(0, 30), length=st.integers(1, 30) | st.none())
def test_a_range_is_a_slice_that_keeps_the_numbers(path: Path, start: int, length: int | None) -> None:
    end = None if length is None else start + length
    with open_video(str(path), start_frame=start, end_frame=end) as reader:
        frames = list(reader)
    assert [f.index for f in frames] == list(range(24))[start:end]
    assert reader.frames_expected == reader.frames_decoded == len(frames)
    assert all(f.timestamp_us == f.index * 40_000 for f in frames)


def test_the_end_stops_the_decoder(path: Path) -> None:
    with open_video(str(path), end_frame=1) as reader:
        assert [f.index for f in reader] == [0]
        assert list(reader) == []


@pytest.mark.parametrize(("start", "end"), [(-1, None), (3, 3), (3, 2)])
def test_an_empty_range_is_refused(path: Path, start: int, end: int | None) -> None:
    with pytest.raises(InvalidInput, match=r"v\.mp4.*start_frame < end_frame"):
        open_video(str(path), start_frame=start, end_frame=end)


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "v.mp4")
    with pytest.raises(InvalidInput, match=r"v\.mp4 is a FIFO, no regular file"):
        open_video(str(tmp_path / "v.mp4"))


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(UnreadableVideo, match=r"gone\.mp4 does not exist: check video_uri"):
        open_video(str(tmp_path / "gone.mp4"))
