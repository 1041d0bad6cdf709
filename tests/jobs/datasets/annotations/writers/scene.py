"""What the writers are given, and how they are called: `python FILE WRITER SCENE FOLDER` in their own environment."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np


class Frame(NamedTuple):
    """One picture and its objects."""

    video: str
    stem: str
    masks: dict[int, np.ndarray]
    """By object id."""

    @property
    def size(self) -> tuple[int, int]:
        return next(iter(self.masks.values())).shape


CLASSES = ["car", "Hündin"]


def class_of(object_id: int) -> int:
    """Its place in CLASSES."""
    return object_id % 2


def write_pictures(folder: Path, frames: list[Frame]) -> list[Path]:
    """`folder/VIDEO/STEM.png` for each."""
    paths = [folder / frame.video / f"{frame.stem}.png" for frame in frames]
    for path, frame in zip(paths, frames, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", np.full((*frame.size, 3), 90, np.uint8))[1].tobytes())
    return paths


def main(writers: dict[str, Callable[[list[Frame], Path], None]]) -> None:
    name, scene, folder = sys.argv[1:]
    frames: dict[tuple[str, str], Frame] = {}
    with np.load(scene) as content:
        for key in content.files:
            video, stem, object_id = json.loads(key)
            frame = frames.setdefault((video, stem), Frame(video, stem, {}))
            frame.masks[object_id] = content[key]
    writers[name](list(frames.values()), Path(folder))
