"""Lines and letters that can be seen in a picture of any size."""

import cv2
import numpy as np

from jobs.pictures.colours import Colour
from pipeline.input.frames import Rgb

_FONT_HEIGHT = 22
"""Height in pixels of OpenCV's letters at scale 1."""


def thickness(rgb: Rgb) -> int:
    """Pixels that a line in this picture should have."""
    return max(1, round(len(rgb) / 360))


def draw_box(rgb: Rgb, box: tuple[int, int, int, int], colour: Colour) -> None:
    """Outline the pixels [left, right) x [top, bottom) of a box (left, top, right, bottom) in `rgb` itself."""
    left, top, right, bottom = box
    cv2.rectangle(rgb, (left, top), (right - 1, bottom - 1), colour, thickness(rgb))


def write_caption(rgb: Rgb, text: str, height: float) -> None:
    """Write white text of about `height` pixels, with a dark rim, into the lower left corner of `rgb` itself."""
    scale = height / _FONT_HEIGHT
    origin = (round(height / 2), len(rgb) - round(height / 2) - 1)
    ink = np.zeros(rgb.shape[:2], np.uint8)
    cv2.putText(ink, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(1, round(2 * scale)), cv2.LINE_AA)
    rim = cv2.dilate(ink, np.ones((3, 3), np.uint8), iterations=thickness(rgb))
    for cover, colour in ((rim, 0), (ink, 255)):
        share = cover[..., None] / 255
        rgb[:] = np.round(rgb + share * (colour - rgb.astype(np.float64)))
