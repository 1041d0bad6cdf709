"""Stills and sequences that tests write for themselves, where the training looks for them."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.pictures.label_maps import LabelMap
from jobs.training.stills import Still, is_held_back


def picture(seed: int, height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    """Smooth colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def labels(*objects: tuple[int, int, int, int], height: int = 60, width: int = 80) -> LabelMap:
    """Boxes (top, bottom, left, right) with the ids 1, 2, .."""
    found = np.zeros((height, width), np.uint8)
    for number, (top, bottom, left, right) in enumerate(objects, 1):
        found[top:bottom, left:right] = number
    return found


def two_boxes() -> LabelMap:
    return labels((10, 35, 8, 36), (20, 50, 45, 70))


def still(seed: int, found: LabelMap | None = None) -> Still:
    return Still(name=f"{seed}.jpg", picture=picture(seed), labels=two_boxes() if found is None else found)


def write_stills(folder: Path, names: Sequence[str], found: LabelMap | None = None) -> Path:
    """`images/NAME.jpg` and `masks/NAME.png`; returns the folder."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        write(folder / "images" / f"{name}.jpg", picture(number))
        write(folder / "masks" / f"{name}.png", two_boxes() if found is None else found)
    return folder


def trainable(count: int) -> list[str]:
    """Names of stills, without suffix, that are not held back."""
    return _names(count, held_back=False)


def held_back(count: int) -> list[str]:
    """Names of stills, without suffix, that are."""
    return _names(count, held_back=True)


def _names(count: int, *, held_back: bool) -> list[str]:
    names = (f"still{number}" for number in itertools.count())
    return list(itertools.islice((name for name in names if is_held_back(f"{name}.jpg") == held_back), count))


def write_sequence(
    root: Path, name: str, frames: int, *, level: str = "", found: Sequence[LabelMap] | None = None
) -> Path:
    """A sequence in DAVIS layout whose frame n is grey 10 (n + 1), natural names 8, 9, 10, ..; returns the root."""
    pictures, masks = root / "JPEGImages" / level / name, root / "Annotations" / level / name
    pictures.mkdir(parents=True)
    masks.mkdir(parents=True)
    for number in range(frames):
        write(pictures / f"{8 + number}.jpg", np.full((60, 80, 3), 10 * (number + 1), np.uint8))
        write(masks / f"{8 + number}.png", two_boxes() if found is None else found[number])
    return root


def write(path: Path, values: NDArray[np.uint8]) -> None:
    """RGB or labels; the ending chooses the format."""
    shown = values[..., ::-1] if values.ndim == 3 else values
    path.write_bytes(cv2.imencode(path.suffix, np.ascontiguousarray(shown))[1].tobytes())
