"""What the network says of a frame, and what is reported of it.

Legend: h, w network size; K channels = background + objects.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from model.result import ObjectStatistics
from model.uncertainty import ambiguity, frame_values, object_values

_STATISTICS_ELEMENTS = 1 << 23
"""Pixels of objects that go together."""


class Prediction(NamedTuple):
    """What the network says of a frame, at network size."""

    channels: tuple[int, ...]
    logits_Khw: Tensor
    probability_Khw: Tensor
    index_hw: Tensor
    """Of each pixel the place of its channel in `channels`."""
    finite: Tensor
    """[] whether all logits are."""
    r4: Tensor

    @property
    def labels_hw(self) -> Tensor:
        """The channels themselves."""
        return torch.tensor(self.channels, dtype=torch.int32, device=self.index_hw.device)[self.index_hw]

    def present(self) -> Tensor:
        """[K] whether a channel has a pixel."""
        present_K = torch.zeros(len(self.channels), dtype=torch.bool, device=self.index_hw.device)
        return present_K.index_fill_(0, self.index_hw.flatten().long(), True)

    def values(self, *, together: bool) -> list[Tensor]:
        """Whether the scores are finite, `frame_values`, and `object_values` of all objects."""
        u_hw = ambiguity(self.probability_Khw, dim=0)[0]
        values = []
        number_K = torch.arange(len(self.channels), dtype=self.index_hw.dtype, device=self.index_hw.device)
        most = max(1, _STATISTICS_ELEMENTS // self.index_hw.numel()) if together else 1
        parts = self.probability_Khw[1:].split(most), number_K[1:].split(most)
        for probability, number in zip(*parts, strict=True):
            values.append(object_values(probability, self.index_hw == number[:, None, None], u_hw))
        return [self.finite, frame_values(self.probability_Khw, u_hw), torch.cat(values)]


def object_statistics(object_id: int, values: Sequence[float] | None) -> ObjectStatistics:
    """What `object_values` says; None: the object had no prediction yet."""
    if values is None:
        return ObjectStatistics(object_id=object_id, score=None, uncertainty=None)
    pixels, score, uncertainty = values
    return ObjectStatistics(object_id=object_id, score=score if pixels else None, uncertainty=uncertainty)
