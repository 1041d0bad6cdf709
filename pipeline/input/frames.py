"""What a video gives, be it a file or a folder of pictures: frames, and what is known before the first one.

Legend: H, W frame size after rotation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableVideo

Rgb = NDArray[np.uint8]
"""Picture [H, W, 3], values 0..255 in the order red, green, blue."""


MAX_PIXELS = 8192 * 8192
"""Of a frame, where nothing else is said: what a header may ask for."""


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


def check_pixels(url: str, height: int, width: int, max_pixels: int) -> None:
    """Raise UnreadableVideo for a frame that is larger, by its header: before it takes any memory."""
    if height * width > max_pixels:
        raise UnreadableVideo(
            f"{url} is {width}x{height}, more than {max_pixels} pixels: check it, or allow more with --max-pixels"
        )


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
    bad_packets: int = 0
    """How many such packets and marks there were since the frame before."""

    def num_bytes(self) -> int:
        """That it takes in memory."""
        return self.rgb.nbytes
