"""Label maps between network size and native size, and a prompt's masks over predicted ones.

Labels are int32 maps [H, W]: 0 background, an object's id, 255 void in prompts; any ids, compared as integers.

Legend: H, W native size; h, w network size; K channels = background + objects.
"""

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from model.result import BACKGROUND, VOID

_UPSAMPLED_ELEMENTS = 1 << 25
"""Scores at native size that are held at a time on a GPU (128 MB)."""


def best_labels(scores_Khw: Tensor, channels: Sequence[int]) -> Tensor:
    """Labels [h, w] of the best score, ties to the lower id; on the CPU one channel at a time."""
    if scores_Khw.device.type != "cpu":
        return best_labels_at_once(scores_Khw, channels)
    best = scores_Khw[0].clone()
    labels = torch.full(best.shape, channels[0], dtype=torch.int32, device=best.device)
    for score, channel in zip(scores_Khw[1:], channels[1:], strict=True):
        _claim(labels, best, score, channel)
    return labels


def best_labels_at_once(scores_Khw: Tensor, channels: Sequence[int]) -> Tensor:
    """What `best_labels` gives, over all channels in one call."""
    return _ids(channels, scores_Khw.device)[scores_Khw.argmax(dim=0)]


def _ids(channels: Sequence[int], device: torch.device) -> Tensor:
    """Numbers in a row are counted there: a GPU would wait for those that the host brings."""
    if isinstance(channels, range):
        return torch.arange(channels.start, channels.stop, channels.step, dtype=torch.int32, device=device)
    return torch.as_tensor(channels, dtype=torch.int32, device=device)


def upsampled_labels(logits_Khw: Tensor, channels: Sequence[int], size: tuple[int, int]) -> Tensor:
    """Labels [H, W] of the best upsampled logit, with two full-size maps at a time, however many objects there are.

    On a GPU so many at a time as `_UPSAMPLED_ELEMENTS` allows.
    """
    if logits_Khw.device.type != "cpu":
        return upsampled_labels_at_once(logits_Khw, channels, size)
    best = torch.full(size, -torch.inf, device=logits_Khw.device)
    labels = torch.zeros(size, dtype=torch.int32, device=best.device)
    for score, channel in zip(logits_Khw, channels, strict=True):
        full = F.interpolate(score[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        _claim(labels, best, full, channel)
    return labels


def upsampled_labels_at_once(
    logits_Khw: Tensor, channels: Sequence[int], size: tuple[int, int], elements: int = _UPSAMPLED_ELEMENTS
) -> Tensor:
    """What `upsampled_labels` gives, many channels in one call."""
    best = torch.full(size, -torch.inf, device=logits_Khw.device)
    index = torch.zeros(size, dtype=torch.int64, device=best.device)
    most = max(1, elements // best.numel())
    for first in range(0, len(logits_Khw), most):
        part = logits_Khw[None, first : first + most]
        score, place = F.interpolate(part, size, mode="bilinear", align_corners=False)[0].max(dim=0)
        index = torch.where(score > best, first + place, index)
        best = torch.maximum(best, score)
    return _ids(channels, best.device)[index]


def _claim(labels: Tensor, best: Tensor, score: Tensor, channel: int) -> None:
    labels.masked_fill_(score > best, channel)
    torch.maximum(best, score, out=best)


def shrunk_labels(labels_HW: Tensor, size: Sequence[int], object_ids: Sequence[int]) -> Tensor:
    """Labels [h, w] by the nearest pixel; an object too small for that keeps the pixel at its middle."""
    rows, columns = (_nearest(full, small, labels_HW.device) for full, small in zip(labels_HW.shape, size, strict=True))
    shrunk = labels_HW[rows][:, columns]
    for object_id in object_ids:
        if not bool((shrunk == object_id).any()) and len(pixels := (labels_HW == object_id).nonzero()):
            y, x = pixels[len(pixels) // 2].tolist()
            row, column = y * size[0] // labels_HW.shape[0], x * size[1] // labels_HW.shape[1]
            _keep_a_pixel(shrunk, object_id, row, column, object_ids)
    return shrunk


def _nearest(full: int, small: int, device: torch.device) -> Tensor:
    """For each of `small` pixels the index of the one of `full` under its centre; exact for any ids."""
    return ((2 * torch.arange(small, device=device) + 1) * full) // (2 * small)


def _keep_a_pixel(labels: Tensor, object_id: int, y: int, x: int, object_ids: Sequence[int]) -> None:
    """Give an object the pixel (y, x), or one beside it where that is another object's only one."""
    for dy, dx in sorted(product((-1, 0, 1), repeat=2), key=lambda step: abs(step[0]) + abs(step[1])):
        row = min(max(y + dy, 0), labels.shape[0] - 1)
        column = min(max(x + dx, 0), labels.shape[1] - 1)
        there = int(labels[row, column])
        if there not in object_ids or int((labels == there).sum()) > 1:
            labels[row, column] = object_id
            return


def merged_labels(predicted: Tensor, given: Tensor, object_ids: Sequence[int]) -> Tensor:
    """The prompt is the truth for its objects, also where they are not; void and other objects stay as predicted."""
    ids = torch.as_tensor(object_ids, device=given.device, dtype=given.dtype)
    named = torch.isin(given, ids)
    known = given != VOID
    kept = torch.where(known & torch.isin(predicted, ids), BACKGROUND, predicted)
    return torch.where(named, given, kept)
