"""Frames of a video file or of a folder of pictures, one at a time, in presentation order or against it."""

from collections.abc import Generator
from types import TracebackType
from typing import Protocol, Self

from pipeline.errors import InvalidInput, UnreadableVideo
from pipeline.input.backwards import BackwardFile
from pipeline.input.frame_folder import FrameFolder
from pipeline.input.frames import MAX_PIXELS, Frame, VideoInfo
from pipeline.input.video_file import VideoFile
from pipeline.storage.store import is_folder
from pipeline.storage.urls import absolute_url


class _FrameSource(Protocol):
    info: VideoInfo
    bad_packets: int

    def close(self) -> None: ...


class VideoReader:
    """An iterator over the frames of a range, and a context manager that closes the source.

    Iterating raises StoreUnavailable when the store fails, so that a failing store never looks like a short video,
    and UnreadableVideo when a frame's size changes or a picture of a folder cannot be read.
    """

    def __init__(
        self, source: _FrameSource, frames: Generator[Frame, None, None], start_frame: int, end_frame: int | None
    ) -> None:
        """`frames`: what `source` gives of that range."""
        self.info = source.info
        self.frames_expected = _frames_expected(source.info.num_frames, start_frame, end_frame)
        """Frames of the asked range by the header's count; None when unknown."""
        self.frames_decoded = 0
        """Frames yielded so far."""
        self._source = source
        self._frames = frames

    @property
    def bad_packets(self) -> int:
        """Packets that did not decode and frames marked corrupt, so far, since the frame before the range.

        Backwards all of the range are known with its first frame.
        """
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


def open_video(
    url: str,
    *,
    start_frame: int = 0,
    end_frame: int | None = None,
    max_pixels: int = MAX_PIXELS,
    backwards: bool = False,
) -> VideoReader:
    """Open a video file or a folder of JPEG/PNG frames, to read the frames [start_frame, end_frame).

    `backwards`: the same frames from the last to the first; of a file this takes a scratch folder and time, see
    `pipeline.input.backwards`.

    One frame is decoded here, so that `info` is right and a video without any frame fails now. Raises
    UnreadableVideo (missing, empty, garbage, no video stream, no frame, frames of more than `max_pixels`),
    InvalidInput (range, permission, no regular file), StoreUnavailable.
    """
    url = absolute_url(url)
    if start_frame < 0 or (end_frame is not None and end_frame <= start_frame):
        raise InvalidInput(
            f"{url}: the frames [{start_frame}, {end_frame}) are no range: give 0 <= start_frame < end_frame"
        )
    try:
        if is_folder(url):
            folder = FrameFolder(url, max_pixels)
            frames = folder.frames(start_frame, end_frame, backwards=backwards)
            return VideoReader(folder, frames, start_frame, end_frame)
        file = BackwardFile(url, max_pixels) if backwards else VideoFile(url, max_pixels)
    except FileNotFoundError as error:
        raise UnreadableVideo(f"{url} does not exist: check video_uri in the manifest") from error
    return VideoReader(file, file.frames(start_frame, end_frame), start_frame, end_frame)


def _frames_expected(num_frames: int | None, start: int, end: int | None) -> int | None:
    if num_frames is None:
        return None
    return max(0, min(num_frames, num_frames if end is None else end) - start)
