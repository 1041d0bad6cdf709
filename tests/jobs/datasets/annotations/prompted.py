"""What the prompts of a manifest show, as masks."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
