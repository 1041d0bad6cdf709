"""What makes a given mask worth a look before anything is segmented by it.

Legend: H, W size of the video's pictures; h, w size at which the network sees them, in pixels.
"""

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
import torch

from model.labels import shrunk_labels
from model.result import Labels
from pipeline.input.prompts import FramePrompt

_TINY = 256
"""Pixels at the network's size: what one of its features covers."""
_FILLS = 0.9
"""Share of the picture; so much is mostly a background that was taken for an object."""


class Doubt(StrEnum):
    """What may be wrong, the worst first."""

    FAULT = "cannot be used"
    EMPTY = "without a pixel"
    LOST = "without a pixel at the network's size"
    APPROXIMATE = "follows its box, not the object"
    TINY = "tiny"
    OVERLAP = "overlapping"
    FILLS = "nearly the whole picture"
    BORDER = "at the border"


ORDER = tuple(Doubt)


def doubts_of(prompt: FramePrompt, network_size: tuple[int, int]) -> Mapping[int, list[Doubt]]:
    """By object of a prompt what is to be doubted of its mask, the worst first; `network_size`: [h, w]."""
    labels_hw = shrunk_labels(torch.from_numpy(prompt.labels), network_size, ()).numpy()
    return {object_id: list(_doubts(prompt, labels_hw, object_id)) for object_id in prompt.object_ids}


def _doubts(prompt: FramePrompt, labels_hw: Labels, object_id: int) -> list[Doubt]:
    mask = prompt.labels == object_id
    if not mask.any():
        return [Doubt.EMPTY]
    pixels = np.count_nonzero(labels_hw == object_id)
    found = {
        Doubt.LOST: pixels == 0,
        Doubt.APPROXIMATE: object_id in prompt.approximate,
        Doubt.TINY: 0 < pixels < _TINY,
        Doubt.FILLS: mask.mean() > _FILLS,
        Doubt.BORDER: any(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1])),
    }
    return [doubt for doubt, is_so in found.items() if is_so]
