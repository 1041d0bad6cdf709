"""Frames of a video file or of a folder of pictures, one at a time, in presentation order.

Legend: H, W frame size after rotation.

Files are demultiplexed packet by packet: a packet that does not decode is counted and costs its own frames, not
the rest of the video. Never call av.logging.set_level here or above: together with threaded decoding a corrupt
stream then hangs for ever.
"""

import re
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from types import TracebackType
from typing import Protocol, Self

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import InvalidInput, UnreadableVideo
from pipeline.storage import Store, is_folder, open_url
from pipeline.urls import absolute_url

PICTURE_CODECS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}
"""File endings (any case) that make a frame of a folder."""

_FETCHES_AHEAD = 8
"""Pictures of a folder that are fetched side by side, so that a store's latency does not set the frame rate."""

# A damaged index sends the demultiplexer to positions that no file has: seeking there raises the other two.
_BAD_FILE = (av.FFmpegError, OSError, ValueError)

Rgb = NDArray[np.uint8]
"""Picture [H, W, 3], values 0..255 in the order red, green, blue."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a video's header and first frame say."""

    width: int
    """Pixels, after rotation."""
    height: int
    fps: float | None
    """Average frames per second; None for folders."""
    rotation: int
    """Degrees counter-clockwise, already applied: 0, 90, 180 or 270."""
    codec: str
    num_frames: int | None
    """Frames of the whole source as the header claims, or duration x average rate; None when unknown."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One decoded frame."""

    index: int
    """Counts the source's decoded frames in presentation order, whatever range was asked for."""
    name: str | None
    """The file's name in a folder of pictures; None in a video file."""
    timestamp_us: int | None
    """Presentation time by the video's own clock; None for folders."""
    rgb: Rgb
    damaged: bool
    """A packet since the frame before did not decode, or the decoder marks this frame as corrupt."""


class _Source(Protocol):
    info: VideoInfo
    bad_packets: int

    def frames(self, start: int, end: int | None) -> Generator[Frame, None, None]: ...
    def close(self) -> None: ...


class VideoReader:
    """An iterator over the frames of a range, and a context manager that closes the source.

    Iterating raises StoreUnavailable when the store fails, so that a failing store never looks like a short video,
    and UnreadableVideo when a frame's size changes or a picture of a folder cannot be read.
    """

    def __init__(self, source: _Source, start_frame: int, end_frame: int | None) -> None:
        self.info = source.info
        self.frames_expected = _frames_expected(source.info.num_frames, start_frame, end_frame)
        """Frames of the asked range by the header's count; None when unknown."""
        self.frames_decoded = 0
        """Frames yielded so far."""
        self._source = source
        self._frames = source.frames(start_frame, end_frame)

    @property
    def bad_packets(self) -> int:
        """Packets that did not decode and frames marked corrupt, so far, since the frame before the range."""
        return self._source.bad_packets

    def close(self) -> None:
        """Release the decoder, the file and what is being fetched."""
        self._frames.close()  # not left to the collector of cycles, which may run in a thread that fetches need
        self._source.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        frame = next(self._frames)
        self.frames_decoded += 1
        return frame

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_video(url: str, *, start_frame: int = 0, end_frame: int | None = None) -> VideoReader:
    """Open a video file or a folder of JPEG/PNG frames, to read the frames [start_frame, end_frame).

    One frame is decoded here, so that `info` is right and a video without any frame fails now. Raises
    UnreadableVideo (missing, empty, garbage, no video stream, no frame), InvalidInput (range, permission),
    StoreUnavailable.
    """
    url = absolute_url(url)
    if start_frame < 0 or (end_frame is not None and end_frame <= start_frame):
        raise InvalidInput(
            f"{url}: the frames [{start_frame}, {end_frame}) are no range: give 0 <= start_frame < end_frame"
        )
    try:
        source: _Source = _Pictures(url) if is_folder(url) else _Stream(url)
    except FileNotFoundError as error:
        raise UnreadableVideo(f"{url} does not exist: check video_uri in the manifest") from error
    return VideoReader(source, start_frame, end_frame)


class _Stream:
    """The main video stream of one file."""

    def __init__(self, url: str) -> None:
        self.bad_packets = 0
        self._bad_since_frame = 0
        self._url = url
        with ExitStack() as stack:
            self._file = stack.enter_context(open_url(url))
            self._container = stack.enter_context(self._open())
            self._stream = _main_stream(self._container, url)
            first = self._first_picture(decoded := self._decoded())
            self._size = first.width, first.height
            self._decoded_frames = chain([first], decoded)
            self.info = _stream_info(self._container, self._stream, first)
            self._resources = stack.pop_all()

    def frames(self, start: int, end: int | None) -> Generator[Frame, None, None]:
        for index, picture in enumerate(self._decoded_frames):
            if index < start:
                self.bad_packets = 0
            else:
                yield self._frame(index, picture)
            self._bad_since_frame = 0
            if index + 1 == end:
                return

    def close(self) -> None:
        self._resources.close()

    def _open(self) -> InputContainer:
        if not self._file.seek(0, 2):
            raise UnreadableVideo(f"{self._url} is empty (0 bytes): upload it again")
        self._file.seek(0)
        try:
            return av.open(self._file, mode="r", metadata_errors="replace")
        except _BAD_FILE as error:
            self._raise_store_failure()
            raise UnreadableVideo(
                f"{self._url} is not a video that can be read ({error}): check that it is complete"
            ) from error

    def _first_picture(self, pictures: Iterator[VideoFrame]) -> VideoFrame:
        picture = next(pictures, None)
        if picture is None:
            raise UnreadableVideo(
                f"{self._url} has no frame that decodes ({self.bad_packets} bad packets): encode or upload it again"
            )
        return picture

    def _frame(self, index: int, picture: VideoFrame) -> Frame:
        if (size := (picture.width, picture.height)) != self._size:
            raise UnreadableVideo(
                f"{self._url}: frame {index} is {size[0]}x{size[1]}, the first one {self._size[0]}x{self._size[1]}: "
                "encode the video again with one frame size"
            )
        return Frame(
            index=index,
            name=None,
            timestamp_us=_microseconds(picture.pts, self._stream.time_base),
            rgb=rotate(np.asarray(picture.to_ndarray(format="rgb24"), np.uint8), self.info.rotation),
            damaged=self._bad_since_frame > 0,
        )

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            try:
                pictures = self._stream.codec_context.decode(packet)
            except av.FFmpegError:
                self._count_bad()
                continue
            for picture in pictures:
                if picture.is_corrupt:
                    self._count_bad()
                yield picture

    def _packets(self) -> "Iterator[av.Packet[VideoStream] | None]":
        """All packets, then one that makes the decoder give out what it holds."""
        position = -1
        while True:
            try:
                yield from self._container.demux(self._stream)
                break
            except _BAD_FILE:
                self._raise_store_failure()
                self._count_bad()
                if self._file.tell() == position:
                    yield None
                    break
                position = self._file.tell()
        self._raise_store_failure()

    def _count_bad(self) -> None:
        self.bad_packets += 1
        self._bad_since_frame += 1

    def _raise_store_failure(self) -> None:
        # FFmpeg may take an error of the read callback for the end of the file.
        if self._file.failure:
            raise self._file.failure


class _Pictures:
    """A folder of JPEG or PNG files, in natural order."""

    bad_packets = 0

    def __init__(self, url: str) -> None:
        self._store = Store(url)
        self._names = sorted(
            (entry.name for entry in self._store.list() if not entry.is_folder and _picture_codec(entry.name)),
            key=natural_key,
        )
        if not self._names:
            raise UnreadableVideo(f"the folder {url} has no {', '.join(PICTURE_CODECS)} file: check video_uri")
        for name in self._names:
            if not _is_text(name):
                raise UnreadableVideo(f"the folder {url} has a file name that is not UTF-8 ({name!a}): rename it")
        height, width, _ = self._decode(self._names[0], self._fetch(self._names[0])).shape
        self.info = VideoInfo(
            width=width,
            height=height,
            fps=None,
            rotation=0,
            codec=_picture_codec(self._names[0]) or "",
            num_frames=len(self._names),
        )

    def frames(self, start: int, end: int | None) -> Generator[Frame, None, None]:
        names = self._names[start:end]
        with closing(_fetched(self._fetch, names)) as fetched:
            for index, (name, data) in enumerate(zip(names, fetched, strict=True), start):
                yield Frame(index=index, name=name, timestamp_us=None, rgb=self._same_size(name, data), damaged=False)

    def close(self) -> None:
        pass

    def _same_size(self, name: str, data: bytes) -> Rgb:
        rgb = self._decode(name, data)
        height, width, _ = rgb.shape
        if (width, height) != (self.info.width, self.info.height):
            raise UnreadableVideo(
                f"{self._store.url_of(name)} is {width}x{height}, the first frame {self.info.width}x"
                f"{self.info.height}: give all frames of a folder one size"
            )
        return rgb

    def _fetch(self, name: str) -> bytes:
        try:
            return self._store.get(name)
        except FileNotFoundError as error:
            raise UnreadableVideo(f"{self._store.url_of(name)} was deleted while it was read: restore it") from error

    def _decode(self, name: str, data: bytes) -> Rgb:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        if picture is None:
            raise UnreadableVideo(f"{self._store.url_of(name)} is not a whole picture: write or upload it again")
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _fetched(fetch: Callable[[str], bytes], names: Sequence[str]) -> Generator[bytes, None, None]:
    """What `fetch` gives for each name, in order; up to `_FETCHES_AHEAD` are fetched or wait at a time."""
    threads = ThreadPoolExecutor(_FETCHES_AHEAD, thread_name_prefix="fetch")
    waiting: deque[Future[bytes]] = deque()
    try:
        for name in names:
            waiting.append(threads.submit(fetch, name))
            if len(waiting) == _FETCHES_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """A sort key under which frame2 comes before frame10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name


def rotate(rgb: Rgb, degrees: int) -> Rgb:
    """`rgb` turned counter-clockwise by a multiple of 90 degrees; H and W swap at 90 and 270."""
    return np.ascontiguousarray(np.rot90(rgb, degrees // 90))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _picture_codec(name: str) -> str | None:
    return PICTURE_CODECS.get(name[name.rfind(".") :].lower()) if "." in name else None


def _frames_expected(num_frames: int | None, start: int, end: int | None) -> int | None:
    if num_frames is None:
        return None
    return max(0, min(num_frames, num_frames if end is None else end) - start)


def _main_stream(container: InputContainer, url: str) -> VideoStream:
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    if not streams:
        raise UnreadableVideo(f"{url} has no video stream that this decoder knows: encode it as H.264 or AV1")
    return max(streams, key=_rank)


def _rank(stream: VideoStream) -> tuple[bool, int, bool, int]:
    # A cover picture may have more pixels than the film it belongs to.
    cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
    default = bool(stream.disposition & av.stream.Disposition.default)
    return not cover, stream.width * stream.height, default, -stream.index


def _stream_info(container: InputContainer, stream: VideoStream, first: VideoFrame) -> VideoInfo:
    rotation = round(first.rotation / 90) % 4 * 90
    width, height = (first.height, first.width) if rotation in (90, 270) else (first.width, first.height)
    rate = stream.average_rate or stream.guessed_rate
    return VideoInfo(
        width=width,
        height=height,
        fps=float(rate) if rate else None,
        rotation=rotation,
        codec=stream.codec_context.codec.canonical_name,
        num_frames=stream.frames or _frames_of_duration(_duration_s(container, stream), rate),
    )


def _frames_of_duration(duration_s: Fraction | None, rate: Fraction | None) -> int | None:
    return round(duration_s * rate) if duration_s and rate else None


def _duration_s(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    # Matroska keeps a stream's own duration in a tag; the container's may be that of a longer sound track.
    if tag := re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", "")):
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3])
    return Fraction(container.duration, av.time_base) if container.duration else None


def _microseconds(pts: int | None, time_base: Fraction | None) -> int | None:
    return None if pts is None or time_base is None else round(pts * time_base * 1_000_000)
