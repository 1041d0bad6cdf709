"""Frames of a video file, through PyAV.

Demultiplexed packet by packet: a packet that does not decode is counted and costs its own frames, not the rest of
the video. Never call av.logging.set_level here or above: together with threaded decoding a corrupt stream then hangs
for ever.
"""

import re
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from pipeline.errors import UnreadableVideo
from pipeline.input.ffv1 import SliceChecksums
from pipeline.input.frames import MAX_PIXELS, Frame, Rgb, VideoInfo, check_pixels
from pipeline.storage.store import open_url

# A damaged index sends the demultiplexer to positions that no file has: seeking there raises the other two.
_BAD_FILE = (av.FFmpegError, OSError, ValueError)


_CONTAINERS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg", "mxf", "nut", "ivf", "obu", "dv",
    "gif", "apng", "wtv", "rm", "h264", "hevc", "m4v", "mjpeg", "yuv4mpegpipe",
)  # fmt: skip
"""FFmpeg's names of the formats that hold their pictures themselves; others (concat, sdp, hls) name files and
sockets, which would be opened."""
_OPENS_NOTHING_ELSE = {"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "none"}
_DETECT = "crccheck+bitstream+buffer"
_STRICT = dict.fromkeys(("hevc", "mjpeg"), f"{_DETECT}+explode")
"""What decoders look for. These two find damage only where it ends a frame; others would only lose the frame, which
they mark and give as well as they can."""
_PADDED_PIXELS = 1 << 20
_MOST_FRAMES = 2**31 - 1
"""A header that claims more claims nothing."""
_MOST_MICROSECONDS = 2**63 - 1


class VideoFile:
    """The main video stream of one file."""

    def __init__(self, url: str, max_pixels: int = MAX_PIXELS) -> None:
        """Opens the file and decodes one frame, of at most `max_pixels`.

        Raises UnreadableVideo, InvalidInput for what is no regular file, StoreUnavailable, FileNotFoundError.
        """
        self.bad_packets = 0
        self._bad_since_frame = 0
        self._url = url
        self._max_pixels = max_pixels
        self._reformatter = VideoReformatter()
        with ExitStack() as stack:
            self._file = stack.enter_context(open_url(url))
            # The decoder's own limit holds where a header says too little; it is generous, for decoders pad.
            limit = {"max_pixels": str(2 * max_pixels + _PADDED_PIXELS)}
            self._container = stack.enter_context(self._open(limit))
            self._stream = _main_stream(self._container, url)
            check_pixels(url, self._stream.height, self._stream.width, max_pixels)
            codec = self._stream.codec_context.name
            self._stream.codec_context.options = {"err_detect": _STRICT.get(codec, _DETECT), **limit}
            self._checksums = SliceChecksums() if codec == "ffv1" else None
            first = self._first_picture(decoded := self._decoded())
            check_pixels(url, first.height, first.width, max_pixels)
            self._size = first.width, first.height
            self._decoded_frames = chain([first], decoded)
            self.info = _stream_info(self._container, self._stream, first)
            self._resources = stack.pop_all()

    def frames(self, start: int, end: int | None) -> Generator[Frame, None, None]:
        """The frames [start, end); once. Raises UnreadableVideo, StoreUnavailable."""
        for index, picture in self.pictures(end):
            if index < start:
                self.bad_packets = 0
            else:
                yield self.frame(index, picture)

    def pictures(self, end: int | None) -> Generator[tuple[int, VideoFrame], None, None]:
        """All pictures before frame `end` as they are decoded, with their indices; once. Raises as `frames`."""
        for index, picture in enumerate(self._decoded_frames):
            yield index, picture
            self._bad_since_frame = 0
            if index + 1 == end:
                return

    def pictures_near(self, pts: int) -> Iterator[VideoFrame]:
        """The pictures from a key frame on, where the file's index or the demultiplexer finds one at or before `pts`.

        Where it finds a wrong one, or the decoder needs more than a key frame, they are not those of `pictures`; where
        nothing can be found there are none. `pts` is in the stream's time base. Raises StoreUnavailable.
        """
        try:
            self._container.seek(pts, stream=self._stream)
        except _BAD_FILE:
            self._raise_store_failure()
            return iter(())
        return self._decoded()

    def close(self) -> None:
        """Release the decoder and the file."""
        self._resources.close()

    def _open(self, limit: dict[str, str]) -> InputContainer:
        if not self._file.seek(0, 2):
            raise UnreadableVideo(f"{self._url} is empty (0 bytes): upload it again")
        self._file.seek(0)
        try:
            return av.open(
                self._file, mode="r", metadata_errors="replace", options=limit, container_options=_OPENS_NOTHING_ELSE
            )
        except _BAD_FILE as error:
            self._raise_store_failure()
            raise UnreadableVideo(
                f"{self._url} is not a video that can be read ({error}): check that it is complete, and in a container "
                "such as MP4, MOV, Matroska, WebM, AVI or MPEG-TS"
            ) from error

    def _first_picture(self, pictures: Iterator[VideoFrame]) -> VideoFrame:
        picture = next(pictures, None)
        if picture is None:
            raise UnreadableVideo(
                f"{self._url} has no frame that decodes ({self.bad_packets} bad packets): encode or upload it again, "
                f"or, where frames have more than {self._max_pixels} pixels, allow it with --max-pixels"
            )
        return picture

    def frame(self, index: int, picture: VideoFrame) -> Frame:
        """The frame of a picture that `pictures` has just given. Raises UnreadableVideo where it has another size."""
        if (size := (picture.width, picture.height)) != self._size:
            raise UnreadableVideo(
                f"{self._url}: frame {index} is {size[0]}x{size[1]}, the first one {self._size[0]}x{self._size[1]}: "
                "encode the video again with one frame size"
            )
        return Frame(
            index=index,
            name=None,
            timestamp_us=self.timestamp_us(picture.pts),
            rgb=self.rgb(picture),
            damaged=self._bad_since_frame > 0,
            bad_packets=self._bad_since_frame,
        )

    def rgb(self, picture: VideoFrame) -> Rgb:
        """[H, W, 3], turned as the video says."""
        # A reformatter of the picture's own would set up tables and threads for it alone: half of the conversion.
        converted = self._reformatter.reformat(picture, format="rgb24", threads=1)
        return rotate(np.asarray(converted.to_ndarray(), np.uint8), self.info.rotation)

    def timestamp_us(self, pts: int | None) -> int | None:
        """Microseconds of a time in the stream's time base; None for what is no time."""
        return _microseconds(pts, self._stream.time_base)

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            if self._checksums and packet and self._checksums.find_damage(bytes(packet)):
                self._count_bad()
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


def rotate(rgb: Rgb, degrees: int) -> Rgb:
    """`rgb` turned counter-clockwise by a multiple of 90 degrees; H and W swap at 90 and 270."""
    return np.ascontiguousarray(np.rot90(rgb, degrees // 90))


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
        num_frames=_believed(stream.frames or _frames_of_duration(_duration_s(container, stream), rate)),
    )


def _believed(num_frames: int | None) -> int | None:
    return num_frames if num_frames is not None and 0 < num_frames <= _MOST_FRAMES else None


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
    if pts is None or time_base is None:
        return None
    microseconds = round(pts * time_base * 1_000_000)
    return microseconds if abs(microseconds) <= _MOST_MICROSECONDS else None
