"""Frames from the last to the first: the same frames, whatever the file, and how they are found again."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StoreUnavailable, UnreadableVideo
from pipeline.input import backwards, video_file
from pipeline.input.frames import Frame
from pipeline.input.video import open_video
from pipeline.input.video_file import VideoFile
from tests.pipeline.media import moving_square, read, write_frames, write_video
from tests.properties import costly

SQUARES = moving_square(70, 48, 64)
NOISE = [np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8) for i in range(70)]
GROUPS = {"g": "10", "bf": "2"}
OPEN_GROUPS = {"g": "12", "bf": "3", "x264-params": "open-gop=1:log-level=none"}
REFRESH = {"x264-params": "intra-refresh=1:keyint=20:log-level=none"}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backwards, "_LEAST_FRAMES", 8)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


@pytest.fixture
def read_from(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Places of the key frames that were looked for, and whether all was as before from there."""
    seen: list[tuple[int, bool]] = []
    decode_from = backwards.BackwardFile._decode_from

    def watched(self: backwards.BackwardFile, place: int, *arguments: Any) -> bool:
        right = decode_from(self, place, *arguments)
        seen.append((place, right))
        return right

    monkeypatch.setattr(backwards.BackwardFile, "_decode_from", watched)
    return seen


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file with open groups and about 1,500 bytes a frame."""
    data = write_video(tmp_path_factory.mktemp("video") / "v.mkv", NOISE, options=OPEN_GROUPS).read_bytes()
    assert len(data) > 100_000
    return data


def assert_reversed(path: Path, **options: Any) -> list[Frame]:
    """Backwards it gives what it gives forwards, which is returned."""
    with open_video(str(path), **options) as reader:
        forwards = list(reader)
    with open_video(str(path), **options, backwards=True) as back:
        frames = list(back)
    assert [f.index for f in frames] == [f.index for f in forwards][::-1]
    for one, other in zip(reversed(frames), forwards, strict=True):
        assert (one.rgb == other.rgb).all() and one.rgb.flags.writeable
        told = [(f.name, f.timestamp_us, f.damaged, f.bad_packets) for f in (one, other)]
        assert told[0] == told[1]
    assert (back.info, back.frames_expected, back.frames_decoded) == (
        reader.info,
        reader.frames_expected,
        reader.frames_decoded,
    )
    assert back.bad_packets == reader.bad_packets
    return forwards


class TestFiles:
    @pytest.mark.parametrize(
        ("file", "codec", "pix_fmt", "options"),
        [
            ("v.mp4", "libx264", "yuv420p", GROUPS),
            ("v.mkv", "libx264", "yuv420p", OPEN_GROUPS),
            ("v.mp4", "libx264", "yuv420p", REFRESH),
            ("v.ts", "libx264", "yuv420p", GROUPS),
            ("v.h264", "libx264", "yuv420p", GROUPS),
            ("v.mp4", "libx265", "yuv420p10le", {"x265-params": "log-level=none:keyint=10:open-gop=1"}),
            ("v.webm", "libvpx-vp9", "yuv420p", {"g": "10", "cpu-used": "8", "deadline": "realtime"}),
            ("v.avi", "mjpeg", "yuvj420p", {}),
            ("v.mkv", "ffv1", "yuv420p", {}),
            ("v.gif", "gif", "rgb8", {}),
        ],
    )
    def test_the_same_frames(
        self, tmp_path: Path, file: str, codec: str, pix_fmt: str, options: dict[str, str]
    ) -> None:
        path = write_video(tmp_path / file, SQUARES, codec=codec, pix_fmt=pix_fmt, options=options)
        assert len(assert_reversed(path)) == 70
        assert len(assert_reversed(path, start_frame=13, end_frame=41)) == 28

    def test_each_frame_keeps_its_time(self, tmp_path: Path) -> None:
        pts = [n * n for n in range(40)]
        path = write_video(tmp_path / "v.mp4", SQUARES[:40], pts=pts, options=GROUPS)
        assert [f.timestamp_us for f in assert_reversed(path)] == [p * 40_000 for p in pts]

    @pytest.mark.parametrize("degrees", [90, 180])
    def test_they_are_turned(self, tmp_path: Path, degrees: int) -> None:
        path = write_video(tmp_path / "v.mp4", SQUARES[:24], rotation=degrees, options=GROUPS)
        assert_reversed(path)

    @pytest.mark.parametrize(
        ("file", "codec", "pix_fmt"), [("v.mp4", "libx264", "yuv420p"), ("v.avi", "mjpeg", "yuvj420p")]
    )
    def test_damage_in_the_middle(self, tmp_path: Path, file: str, codec: str, pix_fmt: str) -> None:
        options = GROUPS if codec == "libx264" else {}
        path = write_video(tmp_path / file, NOISE, codec=codec, pix_fmt=pix_fmt, options=options)
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
        path.write_bytes(data)
        assert any(f.damaged for f in assert_reversed(path))

    def test_a_file_that_breaks_off(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "v.mp4", NOISE, options=GROUPS, container_options={"movflags": "faststart"})
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        assert 20 < len(assert_reversed(path)) < 60

    @given(start=st.integers(0, 69), length=st.integers(1, 80), at=st.lists(st.integers(0, 10**6), max_size=3))
    @costly
    def test_any_range_of_any_file(
        self, tmp_path_factory: pytest.TempPathFactory, encoded: bytes, start: int, length: int, at: list[int]
    ) -> None:
        data = bytearray(encoded)
        for place in at:  # behind the header and before the index
            data[5_000 + place % 90_000] ^= 0x55
        path = tmp_path_factory.mktemp("video") / "v.mkv"
        path.write_bytes(data)
        assert_reversed(path, start_frame=start, end_frame=start + length)


class TestFolders:
    def test_the_same_frames(self, tmp_path: Path) -> None:
        path = write_frames(tmp_path / "frames", SQUARES[:12], ".png")
        assert [f.name for f in assert_reversed(path)] == [f"{n:05d}.png" for n in range(12)]
        assert [f.index for f in assert_reversed(path, start_frame=3, end_frame=99)] == list(range(3, 12))
        assert assert_reversed(path, start_frame=12) == []


class TestFindingAgain:
    def test_each_part_is_decoded_once_from_its_key_frame(
        self, tmp_path: Path, read_from: list[tuple[int, bool]]
    ) -> None:
        path = write_video(tmp_path / "v.mp4", SQUARES, options=GROUPS)
        assert len(read(path, backwards=True)) == 70
        assert read_from == [(place, True) for place in reversed(range(7))]

    def test_of_key_frames_alone_several_go_together(self, tmp_path: Path, read_from: list[tuple[int, bool]]) -> None:
        path = write_video(tmp_path / "v.avi", SQUARES, codec="mjpeg", pix_fmt="yuvj420p")
        assert len(read(path, backwards=True)) == 70
        assert len(read_from) == 9

    def test_where_a_key_frame_is_not_found_an_earlier_one_is_looked_for(
        self, tmp_path: Path, read_from: list[tuple[int, bool]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_video(tmp_path / "v.mp4", SQUARES, options=GROUPS)
        near = VideoFile.pictures_near
        monkeypatch.setattr(VideoFile, "pictures_near", lambda self, pts: near(self, pts + 512 * 10))
        assert_reversed(path)
        found = [place for place, right in read_from if right]
        assert len(found) == 7 < len(read_from) and found.count(0) < 4

    def test_without_an_index_it_begins_at_the_beginning(
        self, tmp_path: Path, read_from: list[tuple[int, bool]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_video(tmp_path / "v.mp4", SQUARES, options=GROUPS)
        monkeypatch.setattr(VideoFile, "pictures_near", lambda self, pts: iter(()))
        assert_reversed(path)
        assert {place for place, right in read_from if right} == {0}

    def test_a_long_group_is_decoded_in_parts(
        self, tmp_path: Path, read_from: list[tuple[int, bool]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_video(tmp_path / "v.mp4", SQUARES, options={"g": "999"})
        monkeypatch.setattr(backwards, "_MOST_BYTES", 20 * 48 * 64 * 3)
        sizes = []
        with open_video(str(path), backwards=True) as reader:
            for _ in reader:
                sizes += [file.stat().st_size for file in Path(tempfile.gettempdir()).rglob("*.raw")]
        assert len(sizes) == 70 and max(sizes) == 20 * 48 * 64 * 3
        assert read_from == [(0, True)] * 4

    def test_a_file_that_changes_meanwhile_is_named(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "v.mp4", SQUARES, options=GROUPS)
        other = write_video(tmp_path / "other.mp4", NOISE, options=GROUPS).read_bytes()
        with open_video(str(path), backwards=True) as reader, pytest.raises(UnreadableVideo, match=r"v\.mp4: frames"):
            for frame in reader:
                if frame.index == 60:
                    path.write_bytes(other)

    def test_a_store_that_fails_meanwhile_is_not_the_videos_fault(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_video(tmp_path / "v.mp4", SQUARES, options=GROUPS)
        with open_video(str(path), backwards=True) as reader:
            assert next(reader).index == 69

            def fail(url: str) -> None:
                raise StoreUnavailable(f"{url}: no answer")

            monkeypatch.setattr(video_file, "open_url", fail)
            with pytest.raises(StoreUnavailable, match="no answer"):
                list(reader)
