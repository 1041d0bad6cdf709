"""Small videos and frame folders that tests write for themselves, and read again."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.input.frames import Frame, Rgb
from pipeline.input.video import open_video


def moving_square(num_frames: int, height: int, width: int) -> list[Rgb]:
    """A bright square that walks over a dark gradient: rgb uint8 [height, width, 3] a frame."""
    return [_square_at(index / max(1, num_frames - 1), height, width) for index in range(num_frames)]


def write_video(
    path: Path,
    frames: Sequence[Rgb],
    *,
    fps: int = 25,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int = 0,
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
) -> Path:
    """Encode `frames` to a file whose ending chooses the container; returns the path.

    `rotation`: degrees counter-clockwise that a player must turn the picture. `options`: the encoder's,
    `container_options`: the container's, by FFmpeg's names. `pts`: frame times in units of
    1 / fps, for a variable frame rate.
    """
    write_streams(
        path,
        [frames],
        fps=fps,
        codec=codec,
        options=options,
        container_options=container_options,
        rotation=rotation,
        pix_fmt=pix_fmt,
        pts=pts,
    )
    return path


def write_streams(
    path: Path,
    streams: Sequence[Sequence[Rgb]],
    *,
    fps: int = 25,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int = 0,
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    default: int | None = None,
) -> Path:
    """As `write_video`, one video stream for each list of frames; `default` is the index of the default one."""
    with av.open(path, "w", container_options=container_options or {}) as container:
        outputs = [cast(VideoStream, container.add_stream(codec, rate=fps, options=options or {})) for _ in streams]
        for output, frames in zip(outputs, streams, strict=True):
            output.height, output.width = frames[0].shape[:2]
            output.pix_fmt = pix_fmt
            output.codec_context.thread_count = 1
            output.codec_context.time_base = Fraction(1, fps)
            if default is not None:
                output.disposition = Disposition.default if output.index == default else Disposition(0)
            if rotation:
                output.set_display_rotation(rotation)
        for output, frames in zip(outputs, streams, strict=True):
            for index, rgb in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(rgb, "rgb24")
                picture.pts = pts[index] if pts else index
                picture.time_base = Fraction(1, fps)
                container.mux(output.encode(picture))
            container.mux(output.encode())
    return path


def write_frames(folder: Path, frames: Sequence[Rgb], ext: str = ".jpg") -> Path:
    """Write `frames` as 00000.ext, 00001.ext, ... into a folder; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, rgb in enumerate(frames):
        write_picture(folder / f"{index:05d}{ext}", rgb)
    return folder


def write_picture(path: Path, rgb: Rgb) -> Path:
    """Write one RGB picture; the ending chooses the format."""
    path.write_bytes(cv2.imencode(path.suffix.lower(), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes())
    return path


def read(path: Path | str, **options: Any) -> list[Frame]:
    """All frames of a video, through `open_video`."""
    with open_video(str(path), **options) as reader:
        return list(reader)


def distance(frame: Frame, rgb: Rgb) -> float:
    """Mean absolute difference of a frame from a picture, in grey levels."""
    return float(np.abs(frame.rgb.astype(int) - rgb).mean())


def _square_at(share: float, height: int, width: int) -> Rgb:
    rows, columns = np.mgrid[:height, :width]
    rgb = np.stack([rows * 60 // height, columns * 60 // width, (rows + columns) % 40], axis=-1)
    side = max(2, min(height, width) // 3)
    top, left = round(share * (height - side)), round(share * (width - side))
    rgb[top : top + side, left : left + side] = (220, 120, 40)
    return rgb.astype(np.uint8)
