"""Small tensor operations that several parts share.

Legend: B batch, K channels (background + objects), C features, H W picture, N rows, U distinct targets.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SegmentMeanBackend = Literal["torch", "torch-scatter"]


class Padding(NamedTuple):
    """Pixels added on each side, in the order `torch.nn.functional.pad` takes them."""

    left: int
    right: int
    top: int
    bottom: int


def padding_to_multiple(height: int, width: int, multiple: int = 16) -> Padding:
    """Padding to the next multiple; the low side gets the smaller half."""
    add_h, add_w = -height % multiple, -width % multiple
    return Padding(add_w // 2, add_w - add_w // 2, add_h // 2, add_h - add_h // 2)


def pad(x: Tensor, padding: Padding) -> Tensor:
    """Zero-pad the last two dimensions."""
    return F.pad(x, padding) if any(padding) else x


def crop(x: Tensor, padding: Padding) -> Tensor:
    """Undo `pad`."""
    height, width = x.shape[-2:]
    return x[..., padding.top : height - padding.bottom, padding.left : width - padding.right]


def one_hot(labels_HW: Tensor, ids: Sequence[int]) -> Tensor:
    """[K, H, W] float: channel k is 1 where the label is `ids[k]`."""
    wanted = torch.as_tensor(ids, device=labels_HW.device, dtype=labels_HW.dtype)
    return (labels_HW[None] == wanted[:, None, None]).float()


def logit(probability: Tensor) -> Tensor:
    """Log-odds of a probability clamped to [1e-7, 1 - 1e-7]; softmax over these is the soft aggregation of objects."""
    clamped = probability.clamp(1e-7, 1 - 1e-7)
    return torch.log(clamped / (1 - clamped))


def cat_channels(parts: Sequence[Tensor]) -> Tensor:
    """Join chunks of channels [B, k, ...] along the channel dimension."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)


def upsample2(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, 2H, 2W], bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def segment_mean(values_NC: Tensor, index_N: Tensor, backend: SegmentMeanBackend = "torch") -> tuple[Tensor, Tensor]:
    """Mean of the rows that share an index: (targets [U] ascending, mean [U, C]). The merge of the AFB.

    Only the targets that are hit are touched, whatever the size of the bank. `torch-scatter` needs the
    extra of that name.
    """
    targets_U, inverse_N = torch.unique(index_N, return_inverse=True)
    if backend == "torch-scatter":
        from torch_scatter import scatter_mean

        return targets_U, scatter_mean(values_NC, inverse_N, dim=0, dim_size=len(targets_U))
    sums_UC = values_NC.new_zeros(len(targets_U), values_NC.shape[1]).index_add_(0, inverse_N, values_NC)
    counts_U = torch.bincount(inverse_N, minlength=len(targets_U))
    return targets_U, sums_UC / counts_U[:, None]
