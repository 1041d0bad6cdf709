"""The layout of DAVIS: `JPEGImages/[RESOLUTION/]NAME/*.jpg` and `Annotations/[RESOLUTION/]NAME/*.png`."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from jobs.pictures.encode import encode_jpeg, encode_palette_png
from pipeline.storage.store import Store

_JPEG_QUALITY = 92


def write_sequence(
    store: Store, name: str, frames: Iterable[NDArray[np.uint8]], labels: Iterable[NDArray[np.uint8]]
) -> None:
    """Write a sequence: frames [H, W, 3] RGB as JPEG, label maps [H, W] as palette PNG, numbered from 0."""
    for t, (frame, label_map) in enumerate(zip(frames, labels, strict=True)):
        store.put(f"JPEGImages/{name}/{t:05d}.jpg", encode_jpeg(frame, quality=_JPEG_QUALITY))
        store.put(f"Annotations/{name}/{t:05d}.png", encode_palette_png(label_map))
