"""Frames to a video file that plays everywhere: H.264 in MP4."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from pipeline.input.frames import Rgb

FOLDER_FPS = 24.0
"""Frames a second of a folder of pictures, which has no rate of its own."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """What a film is for."""

    crf: int = 20
    """x264's constant rate factor: six more are half the bytes."""
    keyframes: int = 250
    """Frames from one that stands for itself to the next: what a player decodes to show any one of them."""


def write_mp4(path: str | os.PathLike[str], frames: Iterable[Rgb], fps: float, encoding: Encoding = Encoding()) -> int:
    """Write frames of one size as H.264 (yuv420p, index in front) in MP4, which browsers and editors play.

    Frame n is shown from n / `rate_of(fps)` seconds on. Odd sides grow by a repeated row or column. The file appears
    when it is complete. Returns the number of frames. Raises ValueError without a frame.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        count = _encode(part, iter(frames), fps, encoding)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return count


def rate_of(fps: float) -> Fraction:
    """Frames a second as a film has them."""
    return Fraction(fps).limit_denominator(1001)


def _encode(path: Path, frames: Iterator[Rgb], fps: float, encoding: Encoding) -> int:
    first = next(frames, None)
    if first is None:
        raise ValueError(f"no frame to write to {path}: pass at least one")
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate_of(fps))
        _configure(stream, first, encoding)
        count = 0
        for rgb in chain([first], frames):
            container.mux(stream.encode(_video_frame(rgb)))
            count += 1
        container.mux(stream.encode())
    return count


def _configure(stream: VideoStream, first: Rgb, encoding: Encoding) -> None:
    stream.height, stream.width = (side + side % 2 for side in first.shape[:2])
    stream.pix_fmt = "yuv420p"
    stream.options = {"crf": str(encoding.crf), "g": str(encoding.keyframes), "preset": "veryfast"}
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
