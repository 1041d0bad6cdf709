"""Small tensor operations that several parts share.

Legend: B batch, K channels (background + objects), C features, H W picture, N rows of a channel, U distinct targets.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SegmentMeanBackend = Literal["torch", "torch-scatter"]
_EQUAL_ELEMENTS = 1 << 23


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


def relu(x: Tensor) -> Tensor:
    """max(x, 0); `x` is given away. In place without gradients: with them, a view that changes is copied twice."""
    return F.relu(x, inplace=not torch.is_grad_enabled())


def relu6(x: Tensor) -> Tensor:
    """The same, and not above 6."""
    return F.relu6(x, inplace=not torch.is_grad_enabled())


def add(x: Tensor, y: Tensor) -> Tensor:
    """x + y; `x` is given away, as in `relu`."""
    return x + y if torch.is_grad_enabled() else x.add_(y)


def top2(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The largest and the second largest along `dim`, which falls away; it has at least two entries.

    On a GPU in as many calls whatever their number; `topk` takes a block of threads for each pixel there.
    """
    if x.device.type != "cpu":
        return top2_at_once(x, dim)
    first, *others = x.unbind(dim)
    best, second = first, torch.full_like(first, -torch.inf)
    for other in others:
        second = torch.maximum(second, torch.minimum(best, other))
        best = torch.maximum(best, other)
    return best, second


def top2_at_once(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """What `top2` gives, over all entries in one call."""
    best, index = x.max(dim=dim, keepdim=True)
    return best.squeeze(dim), x.scatter(dim, index, -torch.inf).amax(dim=dim)


def window_max(x: Tensor, window: int) -> Tensor:
    """Largest of the `window` x `window` values around each of [..., H, W]; odd windows, values of at least 0."""
    return _line_max(_line_max(x, window).mT, window).mT


def _line_max(x: Tensor, window: int) -> Tensor:
    x, seen = F.pad(x, (window // 2, window // 2)), 1
    while seen < window:  # of two windows side by side, or one over the other, the larger one is that of both
        shift = min(seen, window - seen)
        x = torch.maximum(x[..., :-shift], x[..., shift:])
        seen += shift
    return x


def window_mean(x: Tensor, window: int) -> Tensor:
    """Mean of the `window` x `window` values around each of [N, C, H, W], in float32; zeros beyond the border count."""
    channels, side = x.shape[1], window // 2
    line = torch.full((channels, 1, window, 1), 1 / window, device=x.device)
    with torch.autocast(x.device.type, enabled=False):
        columns = F.conv2d(x.float(), line, padding=(side, 0), groups=channels)
        return F.conv2d(columns, line.mT, padding=(0, side), groups=channels)


def upsample2(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, 2H, 2W], bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def segment_mean(values_KNC: Tensor, index_KN: Tensor, backend: SegmentMeanBackend = "torch") -> tuple[Tensor, Tensor]:
    """The merge of the AFB: for each row the mean [K, N, C] of its channel's rows with the same index, itself included,
    and their number [K, N] float. Equal indices have equal rows.

    Whatever the size of the bank, only the targets that are hit are touched. `torch-scatter` needs the extra of that
    name. On a GPU the default neither waits for the host nor depends on the order in which threads add.
    """
    if backend == "torch" and values_KNC.device.type != "cpu":
        return matrix_mean(values_KNC, index_KN)
    apart = index_KN + (torch.arange(len(index_KN), device=index_KN.device) << 32)[:, None]
    targets_U, inverse_KN = torch.unique(apart, return_inverse=True)
    values, inverse = values_KNC.flatten(0, 1), inverse_KN.flatten()
    counts_U = torch.bincount(inverse, minlength=len(targets_U)).to(values.dtype)
    if backend == "torch-scatter":
        from torch_scatter import scatter_mean

        mean_UC = scatter_mean(values, inverse, dim=0, dim_size=len(targets_U))
    else:
        mean_UC = values.new_zeros(len(targets_U), values.shape[1]).index_add_(0, inverse, values) / counts_U[:, None]
    return mean_UC[inverse_KN], counts_U[inverse_KN]


def matrix_mean(values_KNC: Tensor, index_KN: Tensor) -> tuple[Tensor, Tensor]:
    """What `segment_mean` gives, as a product with the matrix that says which rows share an index."""
    if not index_KN.numel():
        return values_KNC, index_KN.to(values_KNC.dtype)
    block = max(1, _EQUAL_ELEMENTS // index_KN.numel())
    means, counts, firsts = zip(
        *(_shared_mean(values_KNC, index_KN, own_Kn) for own_Kn in index_KN.split(block, dim=1)), strict=True
    )
    # All take the row of the first of them: however a product is summed, rows of one index are equal in every bit.
    first_KNC = torch.cat(firsts, dim=1)[:, :, None].expand(-1, -1, values_KNC.shape[2])
    return torch.cat(means, dim=1).gather(1, first_KNC), torch.cat(counts, dim=1)


def _shared_mean(values_KNC: Tensor, index_KN: Tensor, own_Kn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, number and first of the rows that share the index."""
    same_KnN = (own_Kn[:, :, None] == index_KN[:, None]).to(values_KNC.dtype)
    count_Kn = same_KnN.sum(dim=2)
    return same_KnN @ values_KNC / count_Kn[:, :, None], count_Kn, same_KnN.argmax(dim=2)
