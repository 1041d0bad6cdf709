"""Frames to a video file that plays everywhere: H.264 in MP4."""

import os
from collections.abc import Iterable, Iterator
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


def write_mp4(path: str | os.PathLike[str], frames: Iterable[Rgb], fps: float) -> None:
    """Write frames of one size as H.264 (yuv420p, index in front) in MP4, which browsers and editors play.

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
