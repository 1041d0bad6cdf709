"""A contact sheet: several frames in one picture, each with its caption."""

import math
from collections.abc import Sequence

import numpy as np

from jobs.pictures.drawing import write_caption
from jobs.pictures.resize import scaled
from pipeline.input.frames import Rgb

_GAP = 6
_GROUND = 24
_CAPTION_HEIGHT = 0.035
"""Height of a caption's letters as a share of its picture's width."""


def contact_sheet(frames: Sequence[Rgb], *, columns: int, width: int, captions: Sequence[str]) -> Rgb:
    """One picture, `width` pixels wide, of frames of one size in rows of `columns`, each with its caption.

    Raises ValueError without frames or when the captions are not as many as the frames.
    """
    if not frames or len(frames) != len(captions):
        raise ValueError(f"{len(frames)} frames, {len(captions)} captions: pass a caption for each frame")
    cell_width = (width - (columns + 1) * _GAP) // columns
    cell_height = len(scaled(frames[0], cell_width))
    rows = math.ceil(len(frames) / columns)
    sheet = np.full((rows * (cell_height + _GAP) + _GAP, width, 3), _GROUND, np.uint8)
    for index, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
        top = _GAP + index // columns * (cell_height + _GAP)
        left = _GAP + index % columns * (cell_width + _GAP)
        cell = scaled(frame, cell_width)
        write_caption(cell, caption, _CAPTION_HEIGHT * cell_width)
        sheet[top : top + cell_height, left : left + cell_width] = cell
    return sheet
