"""What the prompts of a manifest show, as masks."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from jobs.datasets.manifests import build
from pipeline.input.manifest import VideoTask, read_manifest
from pipeline.input.prompts import load_prompts

Masks = dict[tuple[str, int, int], NDArray[np.bool_]]
"""By video_id, frame and object_id; those with a pixel."""


def built(layout: str, source: Path | str, folder: Path, **options: object) -> list[VideoTask]:
    """The manifest of a dataset, written and read again."""
    output = str(folder / "built.jsonl")
    number = build(layout, str(source), output, **options)  # type: ignore[arg-type]
    tasks = read_manifest(output)
    assert number == len(tasks)
    return tasks


def masks_of(tasks: Iterable[VideoTask]) -> Masks:
    """All prompts, drawn; the heights and widths are those of the tasks."""
    found: Masks = {}
    for task in tasks:
        assert task.height is not None
        assert task.width is not None
        prompts = load_prompts(task, task.height, task.width)
        for index, prompt in prompts.items():
            for object_id in prompt.object_ids:
                if (mask := prompt.labels == object_id).any():
                    found[task.video_id, index, object_id] = mask
    return found


def first_of(truth: Masks) -> Masks:
    """Each object where it is first seen."""
    firsts: dict[tuple[str, int], int] = {}
    for video, index, object_id in sorted(truth):
        firsts.setdefault((video, object_id), index)
    return {(video, index, one): truth[video, index, one] for (video, one), index in sorted(firsts.items())}


SIZE = (31, 45)
"""H, W of the pictures that tests make."""


def pictures(folder: Path, *names: str, size: tuple[int, int] = SIZE) -> Path:
    """A folder of grey pictures."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path.with_suffix(".png")), np.full((*size, 3), 90, np.uint8))
        path.with_suffix(".png").rename(path)
    return folder


def block(top: int, left: int, bottom: int, right: int, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    """A mask of one rectangle."""
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, object]:
    """As COCO's library writes a mask."""
    found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": found["size"], "counts": found["counts"].decode()}


def plain_run_lengths(mask: NDArray[np.bool_]) -> dict[str, object]:
    """The same as numbers."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat.astype(int), prepend=0))
    return {"size": list(mask.shape), "counts": np.diff(changes, prepend=0, append=len(flat)).tolist()}


def boxes_of(tasks: Iterable[VideoTask]) -> dict[tuple[str, int, int], list[float]]:
    """The boxes among the prompts."""
    return {
        (task.video_id, prompt.frame_index, one.object_id): one.value
        for task in tasks
        for prompt in task.prompts
        for one in prompt.objects
        if one.kind == "box"
    }
