"""Frames of a video file from the last to the first, in bounded memory.

A decoder only goes forwards. So the file is decoded twice: once as always, which tells where each frame lies, and then
a group of frames at a time, the last group first: from the key frame before it into a scratch file on the local disk,
which is read from its end. The scratch is raw pictures, for masks must depend on the input alone: anything lossy would
change them, and a lossless codec would cost more time than the disk.

Not every key frame that a file has is one: a group may need pictures of the group before (open groups, gradual
refresh, damage), and not every index is right. So each frame is held against a checksum of the first time, and where
they differ the group is decoded from an earlier key frame, at last from the file's beginning: then all is as it was.

Memory: a frame, and 16 bytes for each frame of the video. Disk: `_MOST_BYTES`, or a frame. A group that is larger is
decoded in parts, each from its key frame again.
"""

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from av.video.frame import VideoFrame

from pipeline.errors import UnreadableVideo
from pipeline.input.frames import MAX_PIXELS, Frame, Rgb
from pipeline.input.video_file import VideoFile
from pipeline.scratch import Scratch

_LEAST_FRAMES = 32
"""That are decoded together: where every frame is a key frame, seeking to each would cost more than decoding."""
_MOST_BYTES = 2 << 30
"""Of raw pictures in the scratch file."""
_NO_TIME = -(2**63)


class _Part(NamedTuple):
    """Frames [first, end) that are decoded together, from the key frame `key` on."""

    key: int
    first: int
    end: int


class _Marks:
    """What the first time tells of each frame."""

    def __init__(self) -> None:
        self.pts = array("q")
        """`_NO_TIME` where there is none."""
        self.checksums = array("I")
        self.bad_packets = array("I")
        """Since the frame before."""
        self.keys = [0]
        """Frames that decoding can begin with, if the file keeps its word; ascending. The first one always can."""

    def add(self, picture: VideoFrame, frame: Frame | None) -> None:
        """A picture, and its frame where that is wanted."""
        if picture.key_frame and picture.pts is not None and self.pts:
            self.keys.append(len(self.pts))
        self.pts.append(_NO_TIME if picture.pts is None else picture.pts)
        self.checksums.append(zlib.crc32(frame.rgb.data) if frame else 0)
        self.bad_packets.append(frame.bad_packets if frame else 0)


class BackwardFile:
    """The main video stream of one file, from its last frame to its first."""

    def __init__(self, url: str, max_pixels: int = MAX_PIXELS) -> None:
        """Opens the file and decodes one frame. Raises as `VideoFile`."""
        self._url = url
        self._max_pixels = max_pixels
        self._video = VideoFile(url, max_pixels)
        self.info = self._video.info
        self.bad_packets = 0
        """In the range; known with its first frame."""
        self._marks = _Marks()
        self._groups_back = 0
        """How many key frames before its own one is looked for, to begin with."""

    def frames(self, start: int, end: int | None) -> Generator[Frame, None, None]:
        """The frames [start, end), the last one first; once.

        Raises UnreadableVideo, StoreUnavailable, OSError where the local disk is full.
        """
        self._mark(start, end)
        with Scratch() as scratch:
            for part in _parts(self._marks, start, self.info.height * self.info.width * 3):
                yield from self._reversed(part, scratch.folder / "frames.raw")

    def close(self) -> None:
        """Release the decoder and the file."""
        self._video.close()

    def _mark(self, start: int, end: int | None) -> None:
        for index, picture in self._video.pictures(end):
            frame = self._video.frame(index, picture) if index >= start else None
            self._marks.add(picture, frame)
        self.bad_packets = sum(self._marks.bad_packets)

    def _reversed(self, part: _Part, path: Path) -> Iterator[Frame]:
        with path.open("w+b") as file:
            self._decode(part, file)
            size = self.info.height * self.info.width * 3
            for index in reversed(range(part.first, part.end)):
                file.seek((index - part.first) * size)
                rgb = np.fromfile(file, np.uint8, size).reshape(self.info.height, self.info.width, 3)
                yield self._frame(index, rgb)

    def _frame(self, index: int, rgb: Rgb) -> Frame:
        pts, bad_packets = self._marks.pts[index], self._marks.bad_packets[index]
        return Frame(
            index=index,
            name=None,
            timestamp_us=self._video.timestamp_us(None if pts == _NO_TIME else pts),
            rgb=rgb,
            damaged=bad_packets > 0,
            bad_packets=bad_packets,
        )

    def _decode(self, part: _Part, file: BinaryIO) -> None:
        """Write the pictures of a part one behind the other."""
        own, back = bisect_left(self._marks.keys, part.key), self._groups_back
        while not self._decode_from(place := max(0, own - back), part, file):
            if place == 0:
                raise UnreadableVideo(
                    f"{self._url}: frames {part.first} to {part.end - 1} are others when they are decoded again: "
                    "leave the file alone while it is read, or encode it again"
                )
            back = max(1, 2 * back)
        self._groups_back = back // 2

    def _decode_from(self, place: int, part: _Part, file: BinaryIO) -> bool:
        """Whether all pictures of `part` are those of the first time; `place`: of the key frame that is looked for."""
        file.seek(0)
        for index, picture in self._pictures(place, part):
            if index >= part.first:
                rgb = self._video.rgb(picture)
                if zlib.crc32(rgb.data) != self._marks.checksums[index]:
                    return False
                file.write(rgb.data)
            if index + 1 == part.end:
                file.flush()
                return True
        return False

    def _pictures(self, place: int, part: _Part) -> Iterator[tuple[int, VideoFrame]]:
        """As the decoder gives them now from a key frame on that lies before `part`; none where it finds none."""
        marks = self._marks
        if place == 0:
            self._video.close()
            self._video = VideoFile(self._url, self._max_pixels)
            with closing(self._video.pictures(None)) as pictures:
                yield from pictures
            return
        known = {marks.pts[key]: key for key in marks.keys[place : bisect_right(marks.keys, part.key)]}
        near = self._video.pictures_near(marks.pts[marks.keys[place]])
        for picture in near:
            if picture.pts in known:
                yield from enumerate(chain([picture], near), known[picture.pts])
                return
            if picture.pts is None or picture.pts > marks.pts[part.key]:  # some indexes lead behind what is looked for
                return


def _parts(marks: _Marks, start: int, bytes_a_frame: int) -> Iterator[_Part]:
    """The frames from `start` on as parts, the last one first."""
    most, end = max(1, _MOST_BYTES // bytes_a_frame), len(marks.pts)
    while end > start:
        place = bisect_left(marks.keys, end) - 1
        while place and end - marks.keys[place] < _LEAST_FRAMES and end - marks.keys[place - 1] <= most:
            place -= 1
        first = max(marks.keys[place], start, end - most)
        yield _Part(marks.keys[place], first, end)
        end = first
