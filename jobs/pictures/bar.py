"""The strip under a frame that shows how uncertain the video was so far."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.pictures.colours import Colour
from jobs.pictures.drawing import thickness, write_caption
from pipeline.input.frames import Rgb

Uncertainties = Sequence[float | None] | NDArray[np.float64]
"""One value in [0, 1] a frame; None or NaN where there is none."""

_GROUND: Colour = (22, 24, 28)
_CALM: Colour = (64, 170, 190)
_ALARM: Colour = (255, 96, 48)
_MARK: Colour = (255, 255, 255)
_HEADROOM = 0.9
_FLOOR = 0.02
"""The strip's full height is at least this uncertainty, so that noise around zero does not fill it."""


def uncertainty_bar(rgb: Rgb, values: Uncertainties, index: int) -> Rgb:
    """The frame over a strip with the uncertainty of frames 0 to `index` of the video's `values`, the last marked.

    Time runs over the whole width, so the strip fills while the video plays. Its height is the video's largest
    value, at least 0.02. High values turn from blue to orange: frames that deserve a look.
    """
    known = np.asarray(values, np.float64)
    width = rgb.shape[1]
    strip = np.full((max(16, rgb.shape[0] // 12), width, 3), _GROUND, np.uint8)
    _draw_curve(strip, _column_values(known, index, width) / np.fmax.reduce(known, initial=_FLOOR))
    mark = int((index + 0.5) * width / len(known))
    cv2.line(strip, (mark, 0), (mark, len(strip) - 1), _MARK, thickness(rgb))
    write_caption(strip, uncertainty_text(known[index]), 0.4 * len(strip))
    return np.concatenate([rgb, strip])


def uncertainty_text(value: float) -> str:
    """`U 0.123`; `U -` for NaN."""
    return "U -" if math.isnan(value) else f"U {value:.3f}"


def _column_values(known: NDArray[np.float64], index: int, width: int) -> NDArray[np.float64]:
    """The curve's value at each pixel column, NaN after `index`; no peak is lost where frames share a column."""
    frames, columns = np.arange(len(known)), np.arange(width)
    past = np.where(frames <= index, known, np.nan)
    if len(known) > width:
        return np.fmax.reduceat(past, columns * len(known) // width)
    return np.interp((columns + 0.5) * len(known) / width - 0.5, frames, past)


def _draw_curve(strip: Rgb, heights: NDArray[np.float64]) -> None:
    """Fill the strip under heights of 0 to 1, one a column; nothing where a height is NaN."""
    calm, alarm = np.array(_CALM), np.array(_ALARM)
    colours = calm + np.nan_to_num(heights)[:, None] * (alarm - calm)
    level = 1 - np.arange(len(strip)) / len(strip)
    below = level[:, None] <= _HEADROOM * heights + 1 / len(strip)
    line = below & ~np.pad(below, ((2, 0), (0, 0)))[:-2]
    for region, share in ((below, 0.45), (line, 1.0)):
        strip[region] = np.broadcast_to(colours * share, strip.shape)[region]
