"""Frames from folders that were written here: names, order, what is fetched ahead, errors."""

import threading
import uuid
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import UnreadableVideo
from pipeline.input import frame_folder
from pipeline.input.frame_folder import natural_key
from pipeline.input.video import open_video
from pipeline.storage.store import Store
from tests.pipeline.input.pngs import IDS, bomb, png_of_few_bits
from tests.pipeline.media import distance, moving_square, read, write_frames, write_picture

HEIGHT, WIDTH = 64, 96
FRAMES = moving_square(24, HEIGHT, WIDTH)


@pytest.mark.parametrize(("ext", "codec"), [(".jpg", "jpeg"), (".JPEG", "jpeg"), (".png", "png"), (".PNG", "png")])
def test_pictures_are_frames(tmp_path: Path, ext: str, codec: str) -> None:
    folder = write_frames(tmp_path / "f", FRAMES[:5], ext)
    (folder / "notes.txt").write_text("not a frame")
    (folder / "more.jpg").mkdir()
    with open_video(str(folder)) as reader:
        frames = list(reader)
    assert [(f.index, f.name, f.timestamp_us, f.damaged) for f in frames] == [
        (i, f"{i:05d}{ext}", None, False) for i in range(5)
    ]
    assert max(map(distance, frames, FRAMES)) < (1e-9 if codec == "png" else 5)
    info = reader.info
    assert (info.width, info.height, info.fps, info.rotation) == (WIDTH, HEIGHT, None, 0)
    assert (info.codec, info.num_frames, reader.frames_expected, reader.frames_decoded) == (codec, 5, 5, 5)


def test_natural_order_and_range(tmp_path: Path) -> None:
    for number in (1, 2, 10, 9, 100):
        write_picture(tmp_path / f"frame{number}.png", FRAMES[number % 24])
    frames = read(tmp_path, start_frame=1, end_frame=4)
    assert [(f.index, f.name) for f in frames] == [(1, "frame2.png"), (2, "frame9.png"), (3, "frame10.png")]


@given(numbers=st.lists(st.integers(0, 10**6), unique=True, max_size=20), pad=st.integers(0, 4))
def test_natural_order_is_numeric(numbers: list[int], pad: int) -> None:
    names = sorted((f"clip2_{n:0{pad}d}.jpg" for n in numbers), key=natural_key)
    assert names == [f"clip2_{n:0{pad}d}.jpg" for n in sorted(numbers)]


def test_a_folder_on_another_store(tmp_path: Path) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    for path in write_frames(tmp_path / "f", FRAMES[:3]).iterdir():
        store.put_file(f"clip/{path.name}", path)
    assert [f.name for f in read(store.url_of("clip"))] == ["00000.jpg", "00001.jpg", "00002.jpg"]


def test_pictures_are_fetched_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer of this store waits for two other requests."""
    get, three = Store.get, threading.Barrier(3)

    def together(self: Store, name: str) -> bytes:
        three.wait(timeout=30)
        return get(self, name)

    with open_video(str(write_frames(tmp_path / "f", FRAMES[:9]))) as reader:
        monkeypatch.setattr(Store, "get", together)
        assert [frame.name for frame in reader] == [f"{n:05d}.jpg" for n in range(9)]


def test_a_closed_reader_fetches_no_more(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    reader = open_video(str(write_frames(tmp_path / "f", FRAMES)))
    next(reader)
    reader.close()
    assert set(threading.enumerate()) <= before


def test_a_frame_of_another_size_is_named(tmp_path: Path) -> None:
    write_frames(tmp_path, FRAMES[:3])
    write_picture(tmp_path / "00001.jpg", FRAMES[0][:-2])
    with pytest.raises(UnreadableVideo, match=r"00001\.jpg is 96x62.*96x64"):
        read(tmp_path)


@pytest.mark.parametrize("data", [b"", b"garbage", None], ids=["empty", "garbage", "cut"])
def test_an_unreadable_picture_is_named(tmp_path: Path, data: bytes | None) -> None:
    write_frames(tmp_path, FRAMES[:3], ".jpg")
    broken = tmp_path / "00002.jpg"
    broken.write_bytes(broken.read_bytes()[:300] if data is None else data)
    with pytest.raises(UnreadableVideo, match=r"00002\.jpg"):
        read(tmp_path)


class TestSizes:
    """By the header: nothing is decoded that is too large."""

    @pytest.mark.parametrize("kind", ["PNG", "JPEG"])
    def test_a_first_picture_that_is_too_large(self, tmp_path: Path, kind: str, decoded: list[int]) -> None:
        (tmp_path / "0.png").write_bytes(bomb(kind, 60_000, 50_000))
        with pytest.raises(UnreadableVideo, match=r"0\.png is 50000x60000, more than 67108864 pixels.*--max-pixels"):
            read(tmp_path)
        assert decoded == []

    @pytest.mark.parametrize("kind", ["PNG", "JPEG"])
    def test_a_later_picture_that_is_too_large(self, tmp_path: Path, kind: str, decoded: list[int]) -> None:
        write_frames(tmp_path, FRAMES[:2])
        (tmp_path / "00002.jpg").write_bytes(bomb(kind, 60_000, 50_000))
        with pytest.raises(UnreadableVideo, match=r"00002\.jpg is 50000x60000, the first frame 96x64"):
            read(tmp_path)
        assert len(decoded) == 3

    def test_as_many_pixels_as_are_allowed(self, tmp_path: Path) -> None:
        write_frames(tmp_path, FRAMES[:2])
        assert len(read(tmp_path, max_pixels=HEIGHT * WIDTH)) == 2
        with pytest.raises(UnreadableVideo, match="more than 6143 pixels"):
            read(tmp_path, max_pixels=HEIGHT * WIDTH - 1)

    def test_a_header_that_says_two_sizes(self, tmp_path: Path) -> None:
        small = png_of_few_bits(IDS, 8)
        (tmp_path / "0.png").write_bytes(bomb("PNG", 60_000, 50_000)[:33] + small[8:])
        with pytest.raises(UnreadableVideo, match=r"0\.png"):
            read(tmp_path)

    def test_a_file_that_is_too_long_is_not_read(self, tmp_path: Path) -> None:
        write_frames(tmp_path, FRAMES[:2])
        with (tmp_path / "00001.jpg").open("ab") as file:
            file.truncate(1 << 40)
        with pytest.raises(UnreadableVideo, match=r"00001\.jpg has 1099511627776 bytes"):
            read(tmp_path)

    def test_large_pictures_are_fetched_one_by_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_frames(tmp_path, FRAMES[:9])
        monkeypatch.setattr(frame_folder, "_FETCHED_BYTES", 1)
        reads = _count_reads(monkeypatch)
        with open_video(str(tmp_path)) as reader:
            for number in range(1, 10):
                next(reader)
                assert len(reads) <= number + 1  # the first one is read twice

    def test_pictures_turned_by_their_exif_tag(self, tmp_path: Path) -> None:
        turned = Image.Exif()
        turned[274] = 6
        for number in range(2):
            Image.fromarray(FRAMES[number]).save(tmp_path / f"{number}.jpg", exif=turned)
        assert [frame.rgb.shape for frame in read(tmp_path)] == [(WIDTH, HEIGHT, 3)] * 2


def test_a_picture_deleted_meanwhile_is_named(tmp_path: Path) -> None:
    write_frames(tmp_path, FRAMES[:3])
    with open_video(str(tmp_path)) as reader:
        (tmp_path / "00001.jpg").unlink()
        next(reader)
        with pytest.raises(UnreadableVideo, match=r"00001\.jpg"):
            next(reader)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UnreadableVideo, match=r"has no \.jpg"):
        open_video(str(tmp_path))


def test_of_a_folder_only_a_few_pictures_are_fetched_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_frames(tmp_path / "f", FRAMES)
    monkeypatch.setattr(frame_folder, "_FETCHES_AHEAD", 3)
    reads = _count_reads(monkeypatch)
    with open_video(str(folder)) as reader:
        assert reads == ["00000.jpg"]
        next(reader), next(reader)
    assert set(reads) <= {f"{n:05d}.jpg" for n in range(4)}


def test_a_frame_name_that_is_not_text_is_named(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", moving_square(2, 32, 48))
    first = min((tmp_path / "clip").iterdir())
    first.rename(first.with_name("\udcff0.jpg"))
    with pytest.raises(UnreadableVideo, match="not UTF-8"):
        open_video(str(tmp_path / "clip"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of the pictures that are decoded, as it happens."""
    sizes: list[int] = []
    original = cv2.imdecode

    def counting(data: NDArray[np.uint8], flags: int) -> object:
        sizes.append(len(data))
        return original(data, flags)

    monkeypatch.setattr(cv2, "imdecode", counting)
    return sizes


def _count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    original = Store.get

    def counting(self: Store, name: str) -> bytes:
        names.append(name)
        return original(self, name)

    monkeypatch.setattr(Store, "get", counting)
    return names
