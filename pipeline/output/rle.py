"""Masks as COCO run lengths: column-major, background first, compressed counts (pycocotools' format)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco


@dataclass(frozen=True, kw_only=True)
class EncodedMask:
    """One mask as the `masks` table holds it."""

    counts: str
    area: int
    """Pixels."""
    box: tuple[int, int, int, int] | None
    """Tight box x, y, width, height in pixels; None when the mask is empty."""


def encode(mask_HW: NDArray[np.bool_]) -> EncodedMask:
    """Run lengths, area and tight box of a mask [H, W]."""
    rle = coco.encode(np.asfortranarray(mask_HW, dtype=np.uint8))
    area = int(coco.area(rle))
    x, y, width, height = (int(v) for v in coco.toBbox(rle))
    return EncodedMask(counts=rle["counts"].decode("ascii"), area=area, box=(x, y, width, height) if area else None)


def decode(counts: str, height: int, width: int) -> NDArray[np.bool_]:
    """The mask [height, width] of compressed counts."""
    mask: NDArray[np.uint8] = coco.decode({"size": [height, width], "counts": counts})
    return mask.astype(bool)
