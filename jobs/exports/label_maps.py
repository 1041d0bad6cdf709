"""Masks that share a picture: one value a pixel, and only so many values.

Legend: H, W frame size.
"""

import json
from collections.abc import Mapping

import numpy as np

from jobs.datasets.davis import RENUMBERED
from jobs.exports.format import Corpus
from jobs.exports.losses import Loss
from jobs.exports.parts import Parts
from jobs.exports.sink import Sink
from jobs.exports.video import ExportedFrame, ExportedVideo
from model.result import Labels
from pipeline.errors import InvalidInput

OVERLAPS_GO = "the object with the higher id has them"
IDS_CHANGE = f"replaced by the lowest free ones; {RENUMBERED} says which"
TABLES_ALONE = "in the tables alone"


def numbers_within(video: ExportedVideo, most: int, sink: Sink) -> Mapping[int, int]:
    """A number of 1 to `most` for each object: its id where that is one, else the lowest free number.

    Where ids had to change the sink is told, and `write_renumbered` writes which. Raises InvalidInput for a video with
    more objects than numbers.
    """
    if len(video.object_ids) > most:
        raise InvalidInput(f"has {len(video.object_ids)} objects, this format holds {most}: choose another --format")
    kept = {object_id for object_id in video.object_ids if 1 <= object_id <= most}
    free = (number for number in range(1, most + 1) if number not in kept)
    numbers = {object_id: object_id if object_id in kept else next(free) for object_id in video.object_ids}
    changed = {str(number): object_id for object_id, number in numbers.items() if number != object_id}
    if changed:
        sink.lost(Loss.LARGE_ID, len(changed))
        sink.part(RENUMBERED).add(f"{json.dumps(video.name, ensure_ascii=False)}: {json.dumps(changed)}")
    return numbers


def write_renumbered(corpus: Corpus, parts: Parts) -> None:
    """Where ids had to change: by video the id that each new number stands for."""
    if parts.has(RENUMBERED):
        parts.json_members(RENUMBERED, RENUMBERED)


def drawn(frame: ExportedFrame, size: tuple[int, int], numbers: Mapping[int, int], sink: Sink) -> Labels:
    """The frame's objects as numbers [H, W]; where they overlap the later one is on top, and the sink is told."""
    labels = np.zeros(size, np.int32)
    for found in frame.objects:
        mask = found.mask()
        sink.lost(Loss.OVERLAP, int(np.count_nonzero(labels[mask])))
        labels[mask] = numbers[found.object_id]
    return labels
