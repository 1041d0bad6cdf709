import weakref
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from jobs.pictures.colours import PALETTE
from jobs.pictures.mp4 import write_mp4
from pipeline.input.frames import Rgb
from tests.jobs.pictures.shown import GREY, grey, read_video


def test_the_video_plays_everywhere(tmp_path: Path) -> None:
    frames = [grey(120, 160, 20 * t) for t in range(10)]
    write_mp4(tmp_path / "a.mp4", frames, 29.97)
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
    write_mp4(tmp_path / "a.mp4", [bars] * 3, 25)
    shown = read_video(tmp_path / "a.mp4")[1].astype(int)
    for index, colour in enumerate(PALETTE):
        assert np.abs(shown[48, 96 * index + 48] - colour).max() < 10


@pytest.mark.parametrize(("height", "width"), [(121, 160), (120, 161), (121, 161)])
def test_odd_sides_grow_by_one_pixel(tmp_path: Path, height: int, width: int) -> None:
    write_mp4(tmp_path / "a.mp4", [grey(height, width)] * 2, 25)
    shown = read_video(tmp_path / "a.mp4")[0].astype(int)
    assert shown.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(shown - GREY).max() < 5


def test_a_video_needs_a_frame(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.mp4"):
        write_mp4(tmp_path / "a.mp4", [], 25)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_no_half_video(tmp_path: Path) -> None:
    def failing() -> Iterator[Rgb]:
        yield from [grey()] * 100
        raise KeyError("lost")

    with pytest.raises(KeyError):
        write_mp4(tmp_path / "a.mp4", failing(), 25)
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

    write_mp4(tmp_path / "a.mp4", counted(), 25)
    assert len(alive) == 100
    assert most <= 4
