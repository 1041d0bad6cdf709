"""The layout of DAVIS: `JPEGImages/[RESOLUTION/]NAME/*.jpg` and `Annotations/[RESOLUTION/]NAME/*.png`."""

import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.pictures.overlay import object_colour
from pipeline.storage.store import Store

_JPEG_QUALITY = 92


def write_sequence(
    store: Store, name: str, frames: Iterable[NDArray[np.uint8]], labels: Iterable[NDArray[np.uint8]]
) -> None:
    """Write a sequence: frames [H, W, 3] RGB as JPEG, label maps [H, W] as palette PNG, numbered from 0."""
    for t, (frame, label_map) in enumerate(zip(frames, labels, strict=True)):
        store.put(f"JPEGImages/{name}/{t:05d}.jpg", _jpeg(frame))
        store.put(f"Annotations/{name}/{t:05d}.png", _palette_png(label_map))


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _palette_png(labels: NDArray[np.uint8]) -> bytes:
    picture = Image.fromarray(labels)
    picture.putpalette(
        [channel for number in range(256) for channel in (object_colour(number) if number else (0, 0, 0))]
    )
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
