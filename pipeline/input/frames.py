"""What a video gives, be it a file or a folder of pictures: frames, and what is known before the first one.

Legend: H, W frame size after rotation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
"""Picture [H, W, 3], values 0..255 in the order red, green, blue."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a video's header and first frame say."""

    width: int
    """Pixels, after rotation."""
    height: int
    fps: float | None
    """Average frames per second; None for folders."""
    rotation: int
    """Degrees counter-clockwise, already applied: 0, 90, 180 or 270."""
    codec: str
    num_frames: int | None
    """Frames of the whole source as the header claims, or duration x average rate; None when unknown."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One decoded frame."""

    index: int
    """Counts the source's decoded frames in presentation order, whatever range was asked for."""
    name: str | None
    """The file's name in a folder of pictures; None in a video file."""
    timestamp_us: int | None
    """Presentation time by the video's own clock; None for folders."""
    rgb: Rgb
    damaged: bool
    """A packet since the frame before did not decode, or the decoder marks this frame as corrupt."""
