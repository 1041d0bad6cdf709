"""What is segmented: a real clip that comes with the package, enlarged, its masks cut into as many objects as asked.

Real video merges and evicts as users' videos do; cut masks give any number of objects whose features differ.

Legend: H, W frame size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jobs.pictures.encode import encode_png
from jobs.pictures.mp4 import write_mp4
from model.result import BACKGROUND, Labels, Prompt
from pipeline.errors import InvalidInput
from pipeline.input.frames import Rgb
from pipeline.input.masks import read_mask
from pipeline.input.video import open_video

_CLIP = "coffee"
_FPS = 24.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """A clip and the masks of its first frame."""

    frames: Sequence[Rgb]
    """[H, W, 3] each."""
    labels: Labels
    """[H, W] of the first frame: 0 background, objects 1 to n."""

    @property
    def object_ids(self) -> tuple[int, ...]:
        return tuple(range(1, int(self.labels.max()) + 1))

    @property
    def prompt(self) -> Prompt:
        """Of the first frame."""
        return Prompt(labels=self.labels, object_ids=self.object_ids)

    def picture(self, t: int) -> Tensor:
        """Frame t as a segmenter takes it, [3, H, W]; behind its end the clip runs backwards, and so on."""
        there = len(self.frames) - 1
        place = t % (2 * there) if there else 0
        return torch.from_numpy(self.frames[min(place, 2 * there - place)]).permute(2, 0, 1)

    def write(self, video: Path, mask: Path) -> None:
        """As a video file and the PNG of its first mask."""
        write_mp4(video, self.frames, _FPS)
        mask.write_bytes(encode_png(self.labels.astype(np.uint8)))


def material(height: int, width: int, *, num_objects: int, num_frames: int) -> Material:
    """The clip at a size, with as many objects; it has at most 112 frames.

    Raises InvalidInput where so many objects have no pixel each.
    """
    labels = cut(_first_labels(height, width) != BACKGROUND, num_objects)
    return Material(frames=_frames(height, width, num_frames), labels=labels)


def cut(mask_HW: NDArray[np.bool_], number: int) -> Labels:
    """Labels of `number` upright pieces of a mask, of equal area. Raises InvalidInput where it has too few pixels."""
    rows, columns = np.nonzero(mask_HW)
    if len(rows) < number:
        raise InvalidInput(
            f"{number} objects do not fit into the clip's masks at {mask_HW.shape[1]}x{mask_HW.shape[0]}"
        )
    labels = np.zeros(mask_HW.shape, np.int32)
    for object_id, part in enumerate(np.array_split(np.argsort(columns, kind="stable"), number), start=1):
        labels[rows[part], columns[part]] = object_id
    return labels


def _frames(height: int, width: int, number: int) -> list[Rgb]:
    with resources.as_file(_file("mp4")) as path, open_video(str(path), end_frame=number) as reader:
        return [np.asarray(cv2.resize(frame.rgb, (width, height)), np.uint8) for frame in reader]


def _first_labels(height: int, width: int) -> Labels:
    labels = read_mask(_file("png").read_bytes(), f"{_CLIP}.png")
    return np.asarray(cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST), np.int32)


def _file(suffix: str) -> "resources.abc.Traversable":
    return resources.files("jobs").joinpath("demo_data", f"{_CLIP}.{suffix}")
