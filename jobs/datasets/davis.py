"""The layout of DAVIS: `JPEGImages/[RESOLUTION/]NAME/*.jpg` and `Annotations/[RESOLUTION/]NAME/*.png`."""

from collections.abc import Iterable

from jobs.pictures.encode import encode_jpeg, encode_palette_png
from jobs.pictures.label_maps import LabelMap
from pipeline.input.frames import Rgb
from pipeline.storage.store import Store

_JPEG_QUALITY = 92


def write_sequence(store: Store, name: str, frames: Iterable[Rgb], labels: Iterable[LabelMap]) -> None:
    """Write a sequence: frames [H, W, 3] RGB as JPEG, label maps [H, W] as palette PNG, numbered from 0."""
    for t, (frame, label_map) in enumerate(zip(frames, labels, strict=True)):
        store.put(f"JPEGImages/{name}/{t:05d}.jpg", encode_jpeg(frame, quality=_JPEG_QUALITY))
        store.put(f"Annotations/{name}/{t:05d}.png", encode_palette_png(label_map))
