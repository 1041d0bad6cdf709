"""How sure the network is: the ambiguity map U, what is reported of it, and the confidence loss.

U = exp(1 - p1 / p2) of the best and second-best probability of a pixel (paper, equation 7): 1 where the two
are equal, towards 0 where one wins. Three uses, three names: `U_refine` inside the decoder, `U_loss` in the
confidence loss (both as published), and the reported U on the final normalised probabilities, in [0, 1].

Legend: B batch, K channels (background + objects), h w network size without padding.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from model.ops import top2, window_max
from model.result import VOID, FrameStatistics

CONFIDENCE_WEIGHT = 0.5


class ConfidenceLoss(NamedTuple):
    """The confidence loss and its parts, each the mean over a batch."""

    total: Tensor
    """Cross entropy plus the weighted uncertainty."""
    cross_entropy: Tensor
    uncertainty: Tensor


def ambiguity(probability: Tensor, dim: int) -> Tensor:
    """U of probabilities over the channels in `dim`; that dimension is kept with size 1."""
    best, second = top2(probability, dim)
    return torch.exp(1 - best / (second + 1e-8)).clamp(max=1).unsqueeze(dim)


def uncertainty_loss(logits_BKhw: Tensor) -> Tensor:
    """Mean over the batch of ||U_loss||_2 / sqrt(h w), U of the softmax of each channel's own probability."""
    probability = torch.softmax(torch.sigmoid(logits_BKhw), dim=1)
    u_Bhw = ambiguity(probability, dim=1)[:, 0]
    return u_Bhw.flatten(1).norm(dim=1).mean() / math.sqrt(u_Bhw[0].numel())


def confidence_loss(logits_BKhw: Tensor, labels_Bhw: Tensor, *, weight: float = CONFIDENCE_WEIGHT) -> ConfidenceLoss:
    """Cross entropy plus `weight` times the uncertainty (paper, equation 10).

    Labels are channel numbers; void (255) counts for nothing, also where a frame is void all over.
    """
    known = (labels_Bhw != VOID).sum().clamp(min=1)
    summed = F.cross_entropy(logits_BKhw, labels_Bhw.long(), ignore_index=VOID, reduction="sum")
    cross_entropy, uncertainty = summed / known, uncertainty_loss(logits_BKhw)
    return ConfidenceLoss(cross_entropy + weight * uncertainty, cross_entropy, uncertainty)


def frame_statistics(probability_Khw: Tensor, u_hw: Tensor) -> FrameStatistics:
    """What `frames` reports of one frame; percentiles by nearest rank."""
    return as_frame_statistics(frame_values(probability_Khw, u_hw).tolist())


def frame_values(probability_Khw: Tensor, u_hw: Tensor) -> Tensor:
    """[7] for `as_frame_statistics`, on the device."""
    u = u_hw.flatten()
    best, second = top2(probability_Khw, dim=0)
    entropy = -torch.xlogy(probability_Khw, probability_Khw).sum(dim=0)
    spread = [u.mean(), *percentiles(u, (0.5, 0.95)), u.max(), (u > 0.5).float().mean()]
    return torch.stack([*spread, (best - second).mean(), entropy.mean()])


def as_frame_statistics(values: Sequence[float]) -> FrameStatistics:
    """What `frame_values` says."""
    mean, p50, p95, largest, fraction, margin, nats = values
    return FrameStatistics(
        uncertainty_mean=mean,
        uncertainty_p50=p50,
        uncertainty_p95=p95,
        uncertainty_max=largest,
        uncertain_fraction=fraction,
        margin=margin,
        entropy=nats,
    )


def percentiles(values: Tensor, shares: Sequence[float], *, by_sort: bool | None = None) -> list[Tensor]:
    """By nearest rank. `by_sort`, as on a GPU: selecting takes one block of threads there for all values."""
    ranks = [max(1, math.ceil(share * values.numel())) for share in shares]
    if values.device.type == "cpu" if by_sort is None else not by_sort:
        return [values.kthvalue(rank).values for rank in ranks]
    ordered = values.sort().values
    return [ordered[rank - 1] for rank in ranks]


def object_values(probability_Nhw: Tensor, mask_Nhw: Tensor, u_hw: Tensor) -> Tensor:
    """[N, 3] of some objects: pixels, mean probability inside the mask, mean U over the dilated mask."""
    pixels_N = mask_Nhw.sum(dim=(1, 2))
    score_N = (probability_Nhw * mask_Nhw).sum(dim=(1, 2)) / pixels_N
    return torch.stack([pixels_N.float(), score_N, object_uncertainty(u_hw, mask_Nhw)], dim=1)


def object_uncertainty(u_hw: Tensor, mask_hw: Tensor) -> Tensor:
    """Mean U over the mask dilated by ceil(0.008 x diagonal) pixels (a square), so that its border counts.

    An object that is nowhere may hide anywhere: with an empty mask it is the mean over the frame. Of [..., h, w]: each.
    """
    radius = math.ceil(0.008 * math.hypot(*mask_hw.shape[-2:]))
    grown = window_max(mask_hw.float(), 2 * radius + 1)
    total = grown.sum(dim=(-2, -1))
    return torch.where(total > 0, (u_hw * grown).sum(dim=(-2, -1)) / total.clamp(min=1), u_hw.mean())
