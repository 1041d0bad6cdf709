"""A video of a result for a person: every frame with its masks and the uncertainty so far, and a contact sheet."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.pictures.bar import uncertainty_bar, uncertainty_text
from jobs.pictures.encode import encode_png
from jobs.pictures.mp4 import FOLDER_FPS, write_mp4
from jobs.pictures.overlay import blend
from jobs.pictures.resize import scaled
from jobs.pictures.sheet import contact_sheet
from pipeline.errors import InvalidInput
from pipeline.input.frames import Frame, Rgb
from pipeline.input.video import open_video
from pipeline.output.labels import CommittedVideo

_SHEET_FRAMES = 8
_SHEET_COLUMNS = 4
_SHEET_WIDTH = 1600


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Where the pictures of one video are."""

    video: Path
    """H.264 in MP4: every frame with its masks, under it the uncertainty so far."""
    sheet: Path
    """PNG of evenly spaced frames."""


def render_video(video_url: str, found: CommittedVideo, folder: str | os.PathLike[str]) -> Overlay:
    """Write `overlay.mp4` and `overlay.png` of one video into a local folder, which is made.

    The video and its masks are read once, side by side, and few frames are kept. Raises InvalidInput when the result
    does not fit the video, UnreadableVideo when it cannot be read.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    overlay = Overlay(video=target / "overlay.mp4", sheet=target / "overlay.png")
    timeline = _timeline(video_url, found.frames(["frame_index", "uncertainty_mean"]))
    sheet = _Sheet(timeline)
    with open_video(video_url, start_frame=timeline.first, end_frame=timeline.end) as video:
        drawn = _drawn(video_url, video, found, timeline, sheet)
        write_mp4(overlay.video, drawn, video.info.fps or FOLDER_FPS)
    overlay.sheet.write_bytes(encode_png(sheet.picture()))
    return overlay


@dataclass(frozen=True, kw_only=True)
class _Timeline:
    """The decoded frames `first` to `end` (exclusive) of a video and their mean uncertainty, NaN where none."""

    first: int
    values: NDArray[np.float64]

    @property
    def end(self) -> int:
        return self.first + len(self.values)

    def value(self, frame_index: int) -> float:
        return float(self.values[frame_index - self.first])


def _timeline(video_url: str, frames: pa.Table) -> _Timeline:
    if not len(frames):
        raise InvalidInput(f"{video_url}: no row of the frames table is its own; segment the video first")
    indices = frames["frame_index"].to_numpy()
    first = int(indices.min())
    values = np.full(int(indices.max()) + 1 - first, np.nan)
    values[indices - first] = frames["uncertainty_mean"].to_numpy()
    return _Timeline(first=first, values=values)


class _Sheet:
    """Collects evenly spaced frames for the contact sheet, already at its scale."""

    def __init__(self, timeline: _Timeline) -> None:
        spaced = np.linspace(timeline.first, timeline.end - 1, _SHEET_FRAMES).round()
        self._wanted = {int(index) for index in spaced}
        self._timeline = timeline
        self._cells: list[Rgb] = []
        self._captions: list[str] = []

    def offer(self, frame_index: int, picture: Rgb) -> None:
        if frame_index in self._wanted:
            self._cells.append(scaled(picture, _SHEET_WIDTH // _SHEET_COLUMNS))
            self._captions.append(f"frame {frame_index}  {uncertainty_text(self._timeline.value(frame_index))}")

    def picture(self) -> Rgb:
        return contact_sheet(self._cells, columns=_SHEET_COLUMNS, width=_SHEET_WIDTH, captions=self._captions)


def _drawn(
    video_url: str, video: Iterable[Frame], found: CommittedVideo, timeline: _Timeline, sheet: _Sheet
) -> Iterator[Rgb]:
    frame = None
    masks = found.labels(range(timeline.first, timeline.end))
    for frame, mask in zip(video, masks, strict=False):  # the video may be cut short since
        _check_size(video_url, frame, found)
        picture = blend(frame.rgb, mask.labels)
        sheet.offer(frame.index, picture)
        yield uncertainty_bar(picture, timeline.values, frame.index - timeline.first)
    if frame is None:
        problem = f"it has no frame {timeline.first}, though the frames table has"
        raise InvalidInput(f"{video_url}: {problem}; the video was replaced, segment it again")


def _check_size(video_url: str, frame: Frame, found: CommittedVideo) -> None:
    if (seen := frame.rgb.shape[:2]) != found.size:
        problem = f"frame {frame.index} is {seen[0]} x {seen[1]}, its masks {found.size[0]} x {found.size[1]}"
        raise InvalidInput(f"{video_url}: {problem}; the video was replaced, segment it again")
