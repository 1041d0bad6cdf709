"""Pictures of a result for a person: masks in colour, the uncertainty of every frame, a video and a contact sheet.

Legend: H, W frame size.
"""

import colorsys
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from model.result import VOID
from pipeline.errors import InvalidInput
from pipeline.input.frames import Frame
from pipeline.input.video import open_video
from pipeline.output import rle

Rgb = NDArray[np.uint8]
"""[H, W, 3]."""
Colour = tuple[int, int, int]
"""RGB."""
Uncertainties = Sequence[float | None] | NDArray[np.float64]
"""One value in [0, 1] a frame; None or NaN where there is none."""

PALETTE: tuple[Colour, ...] = (
    (255, 64, 64),
    (46, 145, 255),
    (255, 200, 20),
    (60, 200, 90),
    (190, 80, 255),
    (255, 130, 20),
    (20, 210, 215),
    (255, 90, 190),
    (165, 220, 40),
    (110, 95, 235),
    (190, 110, 50),
    (20, 140, 120),
)
GOLDEN_ANGLE = 0.381966
"""Steps of this share of the hue circle never come back close to a colour used shortly before."""

SHEET_FRAMES = 8
SHEET_COLUMNS = 4
SHEET_WIDTH = 1600
SHEET_GAP = 6
SHEET_GROUND = 24
CAPTION_HEIGHT = 0.035
"""Height of a caption's letters as a share of its picture's width."""
FONT_HEIGHT = 22
"""Height in pixels of OpenCV's letters at scale 1."""
MASK_COLUMNS = ["object_id", "height", "width", "rle"]
FOLDER_FPS = 24.0
"""Frames a second where the source, a folder of pictures, has no rate of its own."""

BAR_GROUND: Colour = (22, 24, 28)
BAR_CALM: Colour = (64, 170, 190)
BAR_ALARM: Colour = (255, 96, 48)
BAR_MARK: Colour = (255, 255, 255)
BAR_HEADROOM = 0.9
BAR_FLOOR = 0.02
"""The bar's full height is at least this uncertainty, so that noise around zero does not fill it."""


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Where the pictures of one video are."""

    video: Path
    """H.264 in MP4: every frame with its masks, under it the uncertainty so far."""
    sheet: Path
    """PNG of evenly spaced frames."""


def object_colour(object_id: int) -> Colour:
    """The colour of an object, the same in every picture: a palette for ids 1 to 12, then generated ones."""
    if 1 <= object_id <= len(PALETTE):
        return PALETTE[object_id - 1]
    hue = object_id * GOLDEN_ANGLE % 1
    saturation, value = (0.85, 1.0) if object_id % 2 else (0.55, 0.85)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def blend(rgb: Rgb, labels: NDArray[np.integer], *, alpha: float = 0.55) -> Rgb:
    """The frame [H, W, 3] with each object of `labels` [H, W] in its colour, outlined; 0 and void (255) stay.

    `alpha` is the share of the colour inside an object. Raises ValueError when the sizes differ.
    """
    if rgb.shape[:2] != labels.shape:
        raise ValueError(f"frame is {rgb.shape[:2]}, labels {labels.shape}: resize the labels first")
    out = rgb.copy()
    for object_id in np.unique(labels):
        if object_id not in (0, VOID):
            _tint(out, labels == object_id, object_colour(int(object_id)), alpha)
    return out


def contact_sheet(frames: Sequence[Rgb], *, columns: int, width: int, captions: Sequence[str]) -> Rgb:
    """One picture, `width` pixels wide, of frames of one size in rows of `columns`, each with its caption.

    Raises ValueError without frames or when the captions are not as many as the frames.
    """
    if not frames or len(frames) != len(captions):
        raise ValueError(f"{len(frames)} frames, {len(captions)} captions: pass a caption for each frame")
    cell_width = (width - (columns + 1) * SHEET_GAP) // columns
    cell_height = len(_scaled(frames[0], cell_width))
    rows = math.ceil(len(frames) / columns)
    sheet = np.full((rows * (cell_height + SHEET_GAP) + SHEET_GAP, width, 3), SHEET_GROUND, np.uint8)
    for index, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
        top = SHEET_GAP + index // columns * (cell_height + SHEET_GAP)
        left = SHEET_GAP + index % columns * (cell_width + SHEET_GAP)
        cell = _scaled(frame, cell_width)
        _caption(cell, caption, CAPTION_HEIGHT * cell_width)
        sheet[top : top + cell_height, left : left + cell_width] = cell
    return sheet


def uncertainty_bar(rgb: Rgb, values: Uncertainties, index: int) -> Rgb:
    """The frame over a strip with the uncertainty of frames 0 to `index` of the video's `values`, the last marked.

    Time runs over the whole width, so the strip fills while the video plays. Its height is the video's largest
    value, at least 0.02. High values turn from blue to orange: frames that deserve a look.
    """
    known = np.asarray(values, np.float64)
    width = rgb.shape[1]
    strip = np.full((max(16, rgb.shape[0] // 12), width, 3), BAR_GROUND, np.uint8)
    _draw_curve(strip, _column_values(known, index, width) / np.fmax.reduce(known, initial=BAR_FLOOR))
    mark = int((index + 0.5) * width / len(known))
    cv2.line(strip, (mark, 0), (mark, len(strip) - 1), BAR_MARK, _thickness(rgb))
    _caption(strip, _value_text(known[index]), 0.4 * len(strip))
    return np.concatenate([rgb, strip])


def write_overlay_video(path: str | os.PathLike[str], frames: Iterable[Rgb], fps: float) -> None:
    """Writes frames of one size as H.264 (yuv420p, index in front) in MP4, which browsers and editors play.

    Odd sides grow by a repeated row or column. The file appears when it is complete. Raises ValueError
    without a frame.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        _encode(part, iter(frames), fps)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def render_video(video_url: str, masks: pa.Table, frames: pa.Table, folder: str | os.PathLike[str]) -> Overlay:
    """Writes `overlay.mp4` and `overlay.png` of one video into a local folder, which is made.

    `masks` and `frames` are the rows of that one video in the tables of design section 7. The video is read
    once and few frames are kept, so only the tables grow with its length. Raises InvalidInput when
    the rows do not fit the video, UnreadableVideo when it cannot be read.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    overlay = Overlay(video=target / "overlay.mp4", sheet=target / "overlay.png")
    timeline = _timeline(video_url, frames)
    sheet = _Sheet(timeline)
    with open_video(video_url, start_frame=timeline.first, end_frame=timeline.end) as video:
        drawn = _drawn(video_url, video, _MaskRows(video_url, masks), timeline, sheet)
        write_overlay_video(overlay.video, drawn, video.info.fps or FOLDER_FPS)
    Image.fromarray(sheet.picture()).save(overlay.sheet)
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
        for row in self._masks.slice(start, end - start).select(MASK_COLUMNS).to_pylist():
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
        spaced = np.linspace(timeline.first, timeline.end - 1, SHEET_FRAMES).round()
        self._wanted = {int(index) for index in spaced}
        self._timeline = timeline
        self._cells: list[Rgb] = []
        self._captions: list[str] = []

    def offer(self, frame_index: int, picture: Rgb) -> None:
        if frame_index in self._wanted:
            self._cells.append(_scaled(picture, SHEET_WIDTH // SHEET_COLUMNS))
            self._captions.append(f"frame {frame_index}  {_value_text(self._timeline.value(frame_index))}")

    def picture(self) -> Rgb:
        return contact_sheet(self._cells, columns=SHEET_COLUMNS, width=SHEET_WIDTH, captions=self._captions)


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


def _tint(picture: Rgb, mask: NDArray[np.bool_], colour: Colour, alpha: float) -> None:
    picture[mask] = np.round((1 - alpha) * picture[mask] + alpha * np.array(colour))
    kernel = np.ones((3, 3), np.uint8)
    core = cv2.erode(mask.astype(np.uint8), kernel, iterations=_thickness(picture))
    picture[mask & (core == 0)] = colour


def _thickness(picture: Rgb) -> int:
    return max(1, round(len(picture) / 360))


def _scaled(picture: Rgb, width: int) -> Rgb:
    height = max(1, round(width * picture.shape[0] / picture.shape[1]))
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _column_values(known: NDArray[np.float64], index: int, width: int) -> NDArray[np.float64]:
    """The curve's value at each pixel column, NaN after `index`; no peak is lost where frames share a column."""
    frames, columns = np.arange(len(known)), np.arange(width)
    past = np.where(frames <= index, known, np.nan)
    if len(known) > width:
        return np.fmax.reduceat(past, columns * len(known) // width)
    return np.interp((columns + 0.5) * len(known) / width - 0.5, frames, past)


def _draw_curve(strip: Rgb, heights: NDArray[np.float64]) -> None:
    """Fills the strip under heights of 0 to 1, one a column; nothing where a height is NaN."""
    calm, alarm = np.array(BAR_CALM), np.array(BAR_ALARM)
    colours = calm + np.nan_to_num(heights)[:, None] * (alarm - calm)
    level = 1 - np.arange(len(strip)) / len(strip)
    below = level[:, None] <= BAR_HEADROOM * heights + 1 / len(strip)
    line = below & ~np.pad(below, ((2, 0), (0, 0)))[:-2]
    for region, share in ((below, 0.45), (line, 1.0)):
        strip[region] = np.broadcast_to(colours * share, strip.shape)[region]


def _value_text(value: float) -> str:
    return "U -" if math.isnan(value) else f"U {value:.3f}"


def _caption(picture: Rgb, text: str, height: float) -> None:
    """Writes white text of about `height` pixels, with a dark rim, into the lower left corner."""
    scale = height / FONT_HEIGHT
    origin = (round(height / 2), len(picture) - round(height / 2) - 1)
    ink = np.zeros(picture.shape[:2], np.uint8)
    cv2.putText(ink, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(1, round(2 * scale)), cv2.LINE_AA)
    rim = cv2.dilate(ink, np.ones((3, 3), np.uint8), iterations=_thickness(picture))
    for cover, colour in ((rim, 0), (ink, 255)):
        share = cover[..., None] / 255
        picture[:] = np.round(picture + share * (colour - picture.astype(np.float64)))


def _encode(path: Path, frames: Iterator[Rgb], fps: float) -> None:
    first = next(frames, None)
    if first is None:
        raise ValueError(f"no frame to write to {path}: pass at least one")
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        _configure(stream, first)
        for rgb in chain([first], frames):
            container.mux(stream.encode(_video_frame(rgb)))
        container.mux(stream.encode())


def _configure(stream: VideoStream, first: Rgb) -> None:
    stream.height, stream.width = (side + side % 2 for side in first.shape[:2])
    stream.pix_fmt = "yuv420p"
    stream.options = {"crf": "20", "preset": "veryfast"}
    # Players guess the colour matrix from the size unless the file names it.
    stream.codec_context.colorspace = Colorspace.ITU709
    stream.codec_context.color_range = ColorRange.MPEG
    stream.codec_context.color_primaries = ColorPrimaries.BT709
    stream.codec_context.color_trc = ColorTrc.BT709


def _video_frame(rgb: Rgb) -> av.VideoFrame:
    height, width = rgb.shape[:2]
    even = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
