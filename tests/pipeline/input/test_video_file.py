"""Frames from files that were written here: formats, rotation, damage, memory, errors."""

import struct
import uuid
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StoreUnavailable, UnreadableVideo
from pipeline.input import video_file
from pipeline.input.frames import Frame
from pipeline.input.video import open_video
from pipeline.input.video_file import rotate
from pipeline.storage.store import Store, StoreFile, open_url
from tests.pipeline.media import Rgb, distance, moving_square, read, write_streams, write_video

HEIGHT, WIDTH = 64, 96
FRAMES = moving_square(24, HEIGHT, WIDTH)
NOISE = [np.random.default_rng(i).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) for i in range(40)]
INDEX_FIRST = {"movflags": "faststart"}
GROUPS_OF_10 = {"g": "10", "bf": "2"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", FRAMES)


def encoder(name: str) -> str:
    try:
        av.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this PyAV has no encoder {name}")
    return name


class TestFormats:
    @pytest.mark.parametrize(
        ("file", "codec", "pix_fmt", "name"),
        [
            ("v.mp4", "libx264", "yuv420p", "h264"),
            ("v.mov", "libx264", "yuv444p", "h264"),
            ("v.ts", "libx264", "yuv420p", "h264"),
            ("v.mp4", "libx265", "yuv420p10le", "hevc"),
            ("v.webm", "libvpx-vp9", "yuv420p", "vp9"),
            ("v.mkv", "libsvtav1", "yuv420p", "av1"),
            ("v.mkv", "ffv1", "yuv420p", "ffv1"),
            ("v.avi", "mjpeg", "yuvj420p", "mjpeg"),
            ("v.mov", "prores_ks", "yuv422p10le", "prores"),
        ],
    )
    def test_every_frame_in_order_with_its_time(
        self, tmp_path: Path, file: str, codec: str, pix_fmt: str, name: str
    ) -> None:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else None
        path = write_video(tmp_path / file, FRAMES, codec=encoder(codec), pix_fmt=pix_fmt, options=options)
        with open_video(str(path)) as reader:
            frames = list(reader)
        assert [f.index for f in frames] == list(range(24))
        assert max(map(distance, frames, FRAMES)) < 12
        times = [f.timestamp_us or 0 for f in frames]
        assert [t - times[0] for t in times] == [i * 40_000 for i in range(24)]
        info = reader.info
        assert (info.width, info.height, info.rotation, info.codec) == (WIDTH, HEIGHT, 0, name)
        assert info.fps == pytest.approx(25, rel=1e-3)
        assert info.num_frames == reader.frames_expected == reader.frames_decoded == 24
        assert reader.bad_packets == 0 and not any(f.damaged for f in frames)
        assert all(f.rgb.dtype == np.uint8 and f.rgb.flags.c_contiguous and f.name is None for f in frames)

    def test_variable_frame_rate_keeps_each_time(self, tmp_path: Path) -> None:
        pts = [0, 1, 5, 6, 20]
        path = write_video(tmp_path / "v.mp4", FRAMES[:5], pts=pts)
        assert [f.timestamp_us for f in read(path)] == [p * 40_000 for p in pts]

    @pytest.mark.parametrize(
        ("full_range", "luma", "expected"), [(True, 16, 16), (False, 16, 0), (True, 235, 235), (False, 235, 255)]
    )
    def test_range_of_the_luma_is_followed(self, tmp_path: Path, full_range: bool, luma: int, expected: int) -> None:
        path = tmp_path / "v.mkv"
        _write_yuv(path, (luma, 128, 128), color_range=2 if full_range else 1)
        assert np.abs(read(path)[0].rgb.astype(int) - expected).max() <= 1

    @pytest.mark.parametrize(("matrix", "yuv"), [(1, (63, 102, 240)), (6, (81, 90, 240))])
    def test_colour_matrix_is_followed(self, tmp_path: Path, matrix: int, yuv: tuple[int, int, int]) -> None:
        path = tmp_path / "v.mkv"
        _write_yuv(path, yuv, colorspace=matrix)
        assert np.abs(read(path)[0].rgb.astype(int) - (255, 0, 0)).max() <= 4

    @pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "bgr0"])
    def test_pixels_are_those_that_each_picture_gives_by_itself(self, tmp_path: Path, pix_fmt: str) -> None:
        """Though one converter serves them all: masks, and so the bytes of tables, depend on every pixel."""
        path = write_video(tmp_path / "v.mkv", [noise[:, :90] for noise in NOISE[:3]], codec="ffv1", pix_fmt=pix_fmt)
        with av.open(str(path)) as container:
            expected = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
        np.testing.assert_array_equal([frame.rgb for frame in read(path)], expected)

    def test_the_stream_with_the_most_pixels_is_read(self, tmp_path: Path) -> None:
        small = moving_square(3, 32, 32)
        path = write_streams(tmp_path / "v.mkv", [small, FRAMES[:6], small])
        with open_video(str(path)) as reader:
            assert (reader.info.width, len(list(reader))) == (WIDTH, 6)

    @pytest.mark.parametrize(("default", "first_frame"), [(None, 0), (1, 10), (2, 20)])
    def test_of_equal_streams_the_default_or_first_is_read(
        self, tmp_path: Path, default: int | None, first_frame: int
    ) -> None:
        streams = [FRAMES[:4], FRAMES[10:14], FRAMES[20:]]
        path = write_streams(tmp_path / ("v.ts" if default is None else "v.mkv"), streams, default=default)
        assert distance(read(path)[0], FRAMES[first_frame]) < 5

    def test_a_video_on_another_store(self, tmp_path: Path) -> None:
        store = Store(f"memory://{uuid.uuid4().hex}")
        store.put_file("v.mp4", write_video(tmp_path / "v.mp4", FRAMES))
        assert len(read(store.url_of("v.mp4"))) == 24


class TestRotation:
    @pytest.mark.parametrize("degrees", [0, 90, 180, 270])
    def test_rotation_is_applied(self, tmp_path: Path, degrees: int) -> None:
        path = write_video(tmp_path / "v.mp4", FRAMES[:3], rotation=degrees)
        with open_video(str(path)) as reader:
            frames = list(reader)
        upright = np.rot90(FRAMES[0], degrees // 90)
        assert distance(frames[0], upright) < 12
        assert (reader.info.height, reader.info.width) == upright.shape[:2]
        assert reader.info.rotation == degrees

    @given(quarter=st.integers(0, 3), height=st.integers(1, 9), width=st.integers(1, 9))
    def test_turning_on_to_a_full_turn_restores_the_picture(self, quarter: int, height: int, width: int) -> None:
        rgb = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
        assert (rotate(rotate(rgb, 90 * quarter), 360 - 90 * quarter) == rgb).all()
        assert (rotate(rgb, 90)[0, 0] == rgb[0, -1]).all()


class TestDamage:
    @pytest.mark.parametrize(
        ("file", "codec", "options"), [("v.mp4", "libx264", INDEX_FIRST), ("v.webm", "libvpx-vp9", {})]
    )
    def test_a_truncated_file_keeps_what_decodes(
        self, tmp_path: Path, file: str, codec: str, options: dict[str, str]
    ) -> None:
        path = write_video(tmp_path / file, NOISE, codec=encoder(codec), container_options=options)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        with open_video(str(path)) as reader:
            frames = list(reader)
        assert reader.frames_expected == 40
        assert 10 < reader.frames_decoded == len(frames) < 32

    @pytest.mark.parametrize(
        ("file", "codec", "pix_fmt", "options"),
        [
            ("v.mp4", "libx264", "yuv420p", GROUPS_OF_10),
            ("v.mkv", "ffv1", "yuv420p", {"level": "3", "slices": "4", "slicecrc": "1"}),
        ],
    )
    def test_a_corrupt_middle_costs_only_its_own_frames(
        self, tmp_path: Path, file: str, codec: str, pix_fmt: str, options: dict[str, str]
    ) -> None:
        path = write_video(tmp_path / file, NOISE, codec=codec, pix_fmt=pix_fmt, options=options)
        _overwrite_middle(path)
        with open_video(str(path)) as reader:
            frames = list(reader)
        assert reader.bad_packets > 0
        assert 30 <= len(frames) <= 40
        damaged = [f.index for f in frames if f.damaged]
        assert damaged and 12 < damaged[0] < 28
        assert (frames[-1].timestamp_us or 0) >= 38 * 40_000
        assert distance(frames[-1], NOISE[-1]) < distance(frames[-1], NOISE[0]) / 1.5

    @pytest.mark.parametrize(
        ("file", "codec", "options"),
        [
            ("v.mkv", "ffv1", {"level": "3", "slicecrc": "1"}),
            ("v.mp4", "libx265", {"x265-params": "log-level=none:hash=1:keyint=5"}),
        ],
    )
    def test_checksums_of_pictures_are_looked_at(
        self, tmp_path: Path, file: str, codec: str, options: dict[str, str]
    ) -> None:
        path = write_video(tmp_path / file, NOISE[:12], codec=encoder(codec), options=options)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with open_video(str(path)) as reader:
            frames = list(reader)
        assert reader.bad_packets > 0
        assert [frame.index for frame in frames if frame.damaged]

    def test_damage_before_the_range_is_not_the_ranges(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "v.avi", NOISE, codec="mjpeg", pix_fmt="yuvj420p")
        _zero_packets(path, [20])
        with open_video(str(path), start_frame=32) as reader:
            assert len(list(reader)) > 0 and reader.bad_packets == 0
        with open_video(str(path), end_frame=10) as reader:
            assert len(list(reader)) == 10 and reader.bad_packets == 0

    def test_text_that_is_not_utf8_does_not_matter(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "v.mp4", FRAMES)
        data = path.read_bytes()
        assert b"VideoHandler" in data
        path.write_bytes(data.replace(b"VideoHandler", b"Video\xff\xfe\x80dler"))
        assert len(read(path)) == 24

    @pytest.mark.parametrize("error", [OSError(22, "Invalid argument"), ValueError("seek before start")])
    def test_an_index_that_points_nowhere_is_the_videos_fault(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        path = write_video(tmp_path / "v.mp4", NOISE)  # its index lies at the end

        def seek(self: StoreFile, offset: int, whence: int = 0) -> int:
            if offset > 10_000:
                raise error
            return self._file.seek(offset, whence)

        monkeypatch.setattr(StoreFile, "seek", seek)
        with pytest.raises(UnreadableVideo, match=r"v\.mp4 is not a video"):
            read(path)

    @pytest.mark.parametrize(("times", "num_frames"), [(1, 23), (9, 10)])
    def test_a_packet_that_cannot_be_fetched_does_not_end_the_video(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, times: int, num_frames: int
    ) -> None:
        opened = av.open
        monkeypatch.setattr(av, "open", lambda *a, **k: _Stumbling(opened(*a, **k), after=10, times=times))
        with open_video(str(path)) as reader:
            assert len(list(reader)) == num_frames
        assert reader.bad_packets > 0

    def test_every_bad_packet_is_counted(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "v.avi", NOISE[:9], codec="mjpeg", pix_fmt="yuvj420p")
        _zero_packets(path, [2, 3, 6])
        with open_video(str(path)) as reader:
            frames = list(reader)
        assert reader.bad_packets == 3
        assert [f.damaged for f in frames] == [False, False, True, False, True, False]
        assert [f.index for f in frames] == list(range(6))


class TestClaims:
    """What headers say is checked before it is believed."""

    @pytest.mark.parametrize("file", ["v.mp4", "v.mkv", "v.ts"])
    def test_more_pixels_than_are_allowed(self, tmp_path: Path, file: str) -> None:
        path = write_video(tmp_path / file, FRAMES[:3])
        assert len(read(path, max_pixels=HEIGHT * WIDTH)) == 3
        with pytest.raises(UnreadableVideo, match=rf"{file} is 96x64, more than 6143 pixels.*--max-pixels"):
            read(path, max_pixels=HEIGHT * WIDTH - 1)

    def test_a_size_that_only_the_pictures_say(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "v.avi", moving_square(2, 2048, 2048), codec="mjpeg", pix_fmt="yuvj420p")
        data = path.read_bytes()
        path.write_bytes(data.replace(struct.pack("<II", 2048, 2048), struct.pack("<II", 96, 64)))
        with pytest.raises(UnreadableVideo, match=r"v\.avi (is 2048x2048|has no frame)"):
            read(path, max_pixels=1 << 20)

    def test_a_tag_of_a_duration_beyond_all_time(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "v.mkv", FRAMES)
        data = path.read_bytes()
        at = data.index(b"00:00:00.96")
        path.write_bytes(data[:at] + b"99999999999:00:00.0"[: len(b"00:00:00.960000000")] + data[at + 18 :])
        with open_video(str(path)) as reader:
            assert reader.info.num_frames is None
            assert len(list(reader)) == 24


class TestOtherFiles:
    @pytest.mark.parametrize(
        "text",
        [
            "ffconcat version 1.0\nfile good.mp4\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\ngood.mp4\n#EXT-X-ENDLIST\n",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        ],
        ids=["ffconcat", "hls", "sdp"],
    )
    def test_a_video_that_names_others_is_no_video(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path, text: str
    ) -> None:
        (tmp_path / "good.mp4").write_bytes(path.read_bytes())
        (tmp_path / "v.mp4").write_text(text)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UnreadableVideo, match=r"v\.mp4 is not a video"):
            read(tmp_path / "v.mp4")


class TestMemory:
    def test_only_frames_of_the_range_become_rgb(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        turned: list[int] = []

        def counting(rgb: Rgb, degrees: int) -> Rgb:
            turned.append(degrees)
            return rgb

        monkeypatch.setattr(video_file, "rotate", counting)
        assert len(read(path, start_frame=20, end_frame=22)) == len(turned) == 2

    def test_no_more_frames_are_alive_in_a_longer_video(self, tmp_path: Path) -> None:
        short = _peak_alive(write_video(tmp_path / "short.mp4", moving_square(10, 32, 32)))
        long = _peak_alive(write_video(tmp_path / "long.mp4", moving_square(300, 32, 32)))
        assert long <= short <= 3


class TestErrors:
    @pytest.mark.parametrize(("data", "reason"), [(b"", "empty"), (b"garbage" * 999, "not a video")])
    def test_no_video(self, tmp_path: Path, data: bytes, reason: str) -> None:
        (tmp_path / "v.mp4").write_bytes(data)
        with pytest.raises(UnreadableVideo, match=rf"v\.mp4 is {reason}"):
            open_video(str(tmp_path / "v.mp4"))

    def test_sound_only(self, tmp_path: Path) -> None:
        with av.open(tmp_path / "v.mp4", "w") as container:
            stream = container.add_stream("aac", rate=48_000)
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), "fltp", "mono")
            sound.sample_rate = 48_000
            container.mux(stream.encode(sound))
            container.mux(stream.encode())
        with pytest.raises(UnreadableVideo, match="no video stream"):
            open_video(str(tmp_path / "v.mp4"))

    def test_no_frame_at_all(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "v.avi", NOISE[:1], codec="mjpeg", pix_fmt="yuvj420p")
        _zero_packets(path, [0])
        with pytest.raises(UnreadableVideo, match=r"no frame that decodes \(\d+ bad"):
            open_video(str(path))

    def test_a_size_that_changes_is_named(self, tmp_path: Path) -> None:
        first = write_video(tmp_path / "1.ts", FRAMES[:5])
        second = write_video(tmp_path / "2.ts", moving_square(5, 48, 64))
        (tmp_path / "v.ts").write_bytes(first.read_bytes() + second.read_bytes())
        with pytest.raises(UnreadableVideo, match=r"v\.ts: frame 5 is 64x48, the first one 96x64"):
            read(tmp_path / "v.ts")

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
    @pytest.mark.parametrize("file", ["v.mp4", "v.mkv", "v.ts"])
    def test_a_failing_store_is_never_a_short_video(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, share: float
    ) -> None:
        path = write_video(tmp_path / file, NOISE, container_options=INDEX_FIRST if file == "v.mp4" else {})
        monkeypatch.setattr(StoreFile, "read", _failing_after(int(path.stat().st_size * share)))
        with pytest.raises(StoreUnavailable, match="reset by peer"):
            read(path)

    @pytest.mark.parametrize("share", [0.0, 0.5])
    def test_a_failure_that_the_decoder_takes_for_the_end_is_raised(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
    ) -> None:
        path = write_video(tmp_path / "v.mkv", NOISE)
        failing = _failing_after(int(path.stat().st_size * share))

        def swallowing(self: StoreFile, size: int = -1) -> bytes:
            try:
                return failing(self, size)
            except StoreUnavailable:
                return b""

        monkeypatch.setattr(StoreFile, "read", swallowing)
        with pytest.raises(StoreUnavailable, match="reset by peer"):
            read(path)

    def test_everything_is_closed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[StoreFile] = []

        def counting(url: str) -> StoreFile:
            opened.append(open_url(url))
            return opened[-1]

        monkeypatch.setattr(video_file, "open_url", counting)
        read(write_video(tmp_path / "v.mp4", FRAMES[:2]))
        (tmp_path / "bad.mp4").write_bytes(b"garbage")
        with pytest.raises(UnreadableVideo):
            open_video(str(tmp_path / "bad.mp4"))
        assert [file.closed for file in opened] == [True, True]


def _write_yuv(path: Path, yuv: tuple[int, int, int], *, color_range: int = 1, colorspace: int = 1) -> None:
    planes = np.concatenate([np.full(32 * 32, yuv[0]), np.full(256, yuv[1]), np.full(256, yuv[2])])
    picture = av.VideoFrame.from_ndarray(planes.astype(np.uint8).reshape(48, 32), "yuv420p")
    picture.color_range, picture.colorspace, picture.pts = color_range, colorspace, 0
    picture.time_base = Fraction(1, 25)
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        stream.codec_context.color_range = color_range
        stream.codec_context.colorspace = colorspace
        container.mux(stream.encode(picture))
        container.mux(stream.encode())


class _Stumbling:
    """A container whose demultiplexer fails after some packets: once, or as often as it is asked again."""

    def __init__(self, container: Any, *, after: int, times: int) -> None:
        self._container, self._after, self._times = container, after, times

    def demux(self, stream: Any) -> Iterator[Any]:
        for packet in self._container.demux(stream):
            if self._after == 0 and self._times:
                self._times -= 1
                raise av.error.InvalidDataError(1, "damaged index")
            self._after = max(0, self._after - 1)
            yield packet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def __enter__(self) -> "_Stumbling":
        return self

    def __exit__(self, *_error: object) -> None:
        self._container.close()


def _overwrite_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle, length = len(data) // 2, len(data) // 16
    data[middle : middle + length] = np.random.default_rng(0).bytes(length)
    path.write_bytes(data)


def _zero_packets(path: Path, numbers: list[int]) -> None:
    data = bytearray(path.read_bytes())
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for number in numbers:
        start, size = data.index(bytes(packets[number])), packets[number].size
        data[start : start + size] = bytes(size)
    path.write_bytes(data)


def _peak_alive(path: Path) -> int:
    alive: weakref.WeakSet[Frame] = weakref.WeakSet()
    peak = 0
    with open_video(str(path)) as reader:
        for frame in reader:
            alive.add(frame)
            peak = max(peak, len(alive))
    return peak


def _failing_after(num_bytes: int) -> Callable[[StoreFile, int], bytes]:
    def read(self: StoreFile, size: int = -1) -> bytes:
        with self._remembering():
            if self.tell() + size > num_bytes:
                raise ConnectionResetError("reset by peer")
            return self._file.read(size)

    return read
