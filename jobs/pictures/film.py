"""A video of a result for a person: every frame with its masks and the uncertainty so far, and a contact sheet."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.pictures.bar import uncertainty_bar, uncertainty_text
from jobs.pictures.encode import encode_png
from jobs.pictures.mp4 import write_mp4
from jobs.pictures.overlay import blend
from jobs.pictures.resize import scaled
from jobs.pictures.sheet import contact_sheet
from pipeline.errors import InvalidInput
from pipeline.input.frames import Frame, Rgb
from pipeline.input.video import open_video
from pipeline.output import rle

_SHEET_FRAMES = 8
_SHEET_COLUMNS = 4
_SHEET_WIDTH = 1600
_MASK_COLUMNS = ["object_id", "height", "width", "rle"]
_FOLDER_FPS = 24.0
"""Frames a second where the source, a folder of pictures, has no rate of its own."""


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Where the pictures of one video are."""

    video: Path
    """H.264 in MP4: every frame with its masks, under it the uncertainty so far."""
    sheet: Path
    """PNG of evenly spaced frames."""


def render_video(video_url: str, masks: pa.Table, frames: pa.Table, folder: str | os.PathLike[str]) -> Overlay:
    """Write `overlay.mp4` and `overlay.png` of one video into a local folder, which is made.

    `masks` and `frames` are the rows of that one video in the tables of these names. The video is read once and few
    frames are kept, so only the tables grow with its length. Raises InvalidInput when the rows do not fit the video,
    UnreadableVideo when it cannot be read.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    overlay = Overlay(video=target / "overlay.mp4", sheet=target / "overlay.png")
    timeline = _timeline(video_url, frames)
    sheet = _Sheet(timeline)
    with open_video(video_url, start_frame=timeline.first, end_frame=timeline.end) as video:
        drawn = _drawn(video_url, video, _MaskRows(video_url, masks), timeline, sheet)
        write_mp4(overlay.video, drawn, video.info.fps or _FOLDER_FPS)
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


class _MaskRows:
    """Label maps of frames, looked up in a video's rows of the masks table."""

    def __init__(self, video_url: str, masks: pa.Table) -> None:
        self._video_url = video_url
        self._masks = masks.sort_by([("frame_index", "ascending"), ("object_id", "ascending")])
        self._frame_indices = self._masks["frame_index"].to_numpy()

    def labels(self, frame: Frame) -> NDArray[np.int64]:
        labels = np.zeros(frame.rgb.shape[:2], np.int64)
        start, end = np.searchsorted(self._frame_indices, [frame.index, frame.index + 1])
        for row in self._masks.slice(start, end - start).select(_MASK_COLUMNS).to_pylist():
            labels[self._decode(row, frame)] = row["object_id"]
        return labels

    def _decode(self, row: Mapping[str, Any], frame: Frame) -> NDArray[np.bool_]:
        size, seen = (row["height"], row["width"]), frame.rgb.shape[:2]
        if size != seen:
            problem = f"frame {frame.index} is {seen[0]} x {seen[1]}, its masks {size[0]} x {size[1]}"
            raise InvalidInput(f"{self._video_url}: {problem}; the video was replaced, segment it again")
        return rle.decode(row["rle"], *seen)


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
    video_url: str, video: Iterable[Frame], rows: _MaskRows, timeline: _Timeline, sheet: _Sheet
) -> Iterator[Rgb]:
    frame = None
    for frame in video:
        picture = blend(frame.rgb, rows.labels(frame))
        sheet.offer(frame.index, picture)
        yield uncertainty_bar(picture, timeline.values, frame.index - timeline.first)
    if frame is None:
        problem = f"it has no frame {timeline.first}, though the frames table has"
        raise InvalidInput(f"{video_url}: {problem}; the video was replaced, segment it again")
