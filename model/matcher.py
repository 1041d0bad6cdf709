"""Matching: every query position reads each channel's stored rows by softmax attention (paper, section 3.2).

Pure: the read-out and the use of the rows come back, nothing is written. Exact, with a workspace that does not
grow with the bank or the picture.

Legend: K channels, M stored rows of each, P query positions, C key width, V value width.
"""

import math

import torch
from torch import Tensor

from model.nearby import Near
from model.slots import Rows

WORKSPACE_ELEMENTS = 1 << 22
"""Attention weights held at a time (16 MB in float32; a read holds three such arrays)."""

_MOST_POSITIONS = 256
"""Held at a time: more make no product faster, and fall out of the cache."""


def read(
    memory: Rows,
    query_PC: Tensor,
    *,
    near: Near | None = None,
    valid_weight: float = 1e-3,
    workspace: int = WORKSPACE_ELEMENTS,
) -> tuple[Tensor, Tensor]:
    """Read-out [K, P, V] and use [K, M] = ln(1 + positions whose weight on the row is above `valid_weight`).

    The rows of `near` are read beside those of the memory, each the more the nearer it lies; their use is not told.
    Softmax in float32 whatever the precision of the inputs; carries gradients.
    """
    first = 0
    if near is not None:
        # Before the stored ones, so that empty slots are last: how many there are then changes no sum.
        first, memory = near.rows.key.shape[1], _joined(near.rows, memory)
    rows = memory.key.shape[:2].numel()
    most = _MOST_POSITIONS if query_PC.device.type == "cpu" else len(query_PC)
    block = min(most, max(1, workspace // max(1, rows)))
    # A single channel as a matrix: products of batches, also of one, are slower in bf16.
    key, value = _as_multiplied(memory.key.squeeze(0)), _as_multiplied(memory.value.squeeze(0))
    scale = 1 / math.sqrt(query_PC.shape[1])
    positions = torch.zeros(key.shape[:-1], device=query_PC.device)
    used = query_PC.new_empty(*key.shape[:-2], min(block, len(query_PC)), key.shape[-2], dtype=torch.float32)
    readout = []
    for start, query in zip(range(0, len(query_PC), block), query_PC.split(block), strict=True):
        score = (query * scale @ key.mT).float()
        if near is not None:
            score[..., :first] += near.bias_of(start, start + len(query))
        if memory.empty is not None:
            score = score.masked_fill(memory.empty.squeeze(0).unsqueeze(-2), -torch.inf)
        weight = torch.softmax(score, dim=-1)
        del score  # else the next one comes while the last one and its weights are held
        # As numbers: to count booleans takes longer than the product with the values.
        positions += torch.gt(weight.detach(), valid_weight, out=used[..., : len(query), :]).sum(dim=-2)
        readout.append(weight.to(value.dtype) @ value)
        del weight
    channels = len(memory.key)
    use = torch.log1p(positions).reshape(channels, -1)[:, first:]
    return torch.cat(readout, dim=-2).reshape(channels, len(query_PC), -1), use


def _joined(*parts: Rows) -> Rows:
    """All in one; where none of them has an empty row there is nothing to leave out."""
    empty = None
    if any(rows.empty is not None for rows in parts):
        full = torch.zeros((), dtype=torch.bool, device=parts[0].key.device)
        empty = torch.cat([full.expand(r.key.shape[:2]) if r.empty is None else r.empty for r in parts], dim=1)
    return Rows(torch.cat([r.key for r in parts], dim=1), torch.cat([r.value for r in parts], dim=1), empty)


def _as_multiplied(rows: Tensor) -> Tensor:
    """In the type that autocast would convert them to, for every block anew; gradients are to sum up in their own."""
    kind = rows.device.type
    if torch.is_grad_enabled() or not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return rows
    return rows.to(torch.get_autocast_dtype(kind))
