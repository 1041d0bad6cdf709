"""Frames of a folder of JPEG or PNG files, fetched side by side."""

import re
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import cv2
import numpy as np

from pipeline.errors import UnreadableVideo
from pipeline.input.frames import MAX_PIXELS, Frame, Rgb, VideoInfo, check_pixels
from pipeline.input.pictures import is_cut, most_bytes, size_of
from pipeline.storage.store import Store

PICTURE_CODECS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}
"""File endings (any case) that make a frame of a folder."""

_FETCHES_AHEAD = 8
"""Pictures that are fetched side by side, so that a store's latency does not set the frame rate."""
_FETCHED_BYTES = 64 << 20
"""Where these are large, no more than one that brings it over so much."""


class FrameFolder:
    """A folder of JPEG or PNG files, in natural order."""

    bad_packets = 0
    """A picture that does not decode ends the video."""

    def __init__(self, url: str, max_pixels: int = MAX_PIXELS) -> None:
        """Lists the folder and decodes its first picture, of at most `max_pixels`.

        Raises UnreadableVideo, InvalidInput for what is no file, StoreUnavailable.
        """
        self._store = Store(url)
        self._bytes = {
            entry.name: entry.size for entry in self._store.list() if not entry.is_folder and _picture_codec(entry.name)
        }
        self._names = sorted(self._bytes, key=natural_key)
        if not self._names:
            raise UnreadableVideo(f"the folder {url} has no {', '.join(PICTURE_CODECS)} file: check video_uri")
        for name in self._names:
            if not _is_text(name):
                raise UnreadableVideo(f"the folder {url} has a file name that is not UTF-8 ({name!a}): rename it")
        first = self._names[0]
        self._most_bytes = most_bytes(max_pixels)
        height, width = self._header(first, data := self._fetch(first))
        check_pixels(self._store.url_of(first), height, width, max_pixels)
        self._most_bytes = most_bytes(height * width)
        height, width, _ = self._decode(first, data).shape  # turned as the picture says
        self.info = VideoInfo(
            width=width,
            height=height,
            fps=None,
            rotation=0,
            codec=_picture_codec(first) or "",
            num_frames=len(self._names),
        )

    def frames(self, start: int, end: int | None, *, backwards: bool = False) -> Generator[Frame, None, None]:
        """The frames [start, end), or the same from the last to the first. Raises UnreadableVideo, StoreUnavailable."""
        numbers = range(len(self._names))[start:end][:: -1 if backwards else 1]
        names = [self._names[index] for index in numbers]
        with closing(_fetched(self._fetch, names, self._bytes)) as fetched:
            for index, name, data in zip(numbers, names, fetched, strict=True):
                yield Frame(index=index, name=name, timestamp_us=None, rgb=self._same_size(name, data), damaged=False)

    def close(self) -> None:
        """Nothing is held open between frames."""

    def _same_size(self, name: str, data: bytes) -> Rgb:
        height, width = self._header(name, data)
        if height * width == self.info.height * self.info.width:
            height, width, _ = (rgb := self._decode(name, data)).shape
        if (height, width) != (self.info.height, self.info.width):
            raise UnreadableVideo(
                f"{self._store.url_of(name)} is {width}x{height}, the first frame {self.info.width}x"
                f"{self.info.height}: give all frames of a folder one size"
            )
        return rgb

    def _header(self, name: str, data: bytes) -> tuple[int, int]:
        size = size_of(data)
        if size is None:
            raise UnreadableVideo(f"{self._store.url_of(name)} is no JPEG or PNG, or a broken one: write it again")
        return size

    def _fetch(self, name: str) -> bytes:
        if self._bytes[name] > self._most_bytes:
            raise UnreadableVideo(
                f"{self._store.url_of(name)} has {self._bytes[name]} bytes, which no frame of this size needs: check it"
            )
        try:
            return self._store.get(name)
        except FileNotFoundError as error:
            raise UnreadableVideo(f"{self._store.url_of(name)} was deleted while it was read: restore it") from error

    def _decode(self, name: str, data: bytes) -> Rgb:
        try:
            picture = None if is_cut(data) else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            picture = None
        if picture is None:
            raise UnreadableVideo(f"{self._store.url_of(name)} is not a whole picture: write or upload it again")
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _fetched(
    fetch: Callable[[str], bytes], names: Sequence[str], num_bytes: Mapping[str, int]
) -> Generator[bytes, None, None]:
    """What `fetch` gives for each name, in order; up to `_FETCHES_AHEAD` are fetched or wait at a time."""
    threads = ThreadPoolExecutor(_FETCHES_AHEAD, thread_name_prefix="fetch")
    waiting: deque[tuple[str, Future[bytes]]] = deque()
    try:
        for name in names:
            waiting.append((name, threads.submit(fetch, name)))
            while len(waiting) == _FETCHES_AHEAD or sum(num_bytes[name] for name, _ in waiting) > _FETCHED_BYTES:
                yield waiting.popleft()[1].result()
        while waiting:
            yield waiting.popleft()[1].result()
    finally:
        threads.shutdown(cancel_futures=True)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """A sort key under which frame2 comes before frame10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _picture_codec(name: str) -> str | None:
    return PICTURE_CODECS.get(name[name.rfind(".") :].lower()) if "." in name else None
