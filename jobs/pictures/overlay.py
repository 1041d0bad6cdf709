"""Masks in colour over their frame.

Legend: H, W frame size.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.pictures.colours import Colour, object_colour
from jobs.pictures.drawing import thickness
from model.result import VOID
from pipeline.input.frames import Rgb


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


def _tint(picture: Rgb, mask: NDArray[np.bool_], colour: Colour, alpha: float) -> None:
    picture[mask] = np.round((1 - alpha) * picture[mask] + alpha * np.array(colour))
    kernel = np.ones((3, 3), np.uint8)
    core = cv2.erode(mask.astype(np.uint8), kernel, iterations=thickness(picture))
    picture[mask & (core == 0)] = colour
