"""Matching: every query position reads each channel's stored rows by softmax attention (paper, section 3.2).

Pure: the read-out and the use of the rows come back, nothing is written. Exact, with a workspace that does not
grow with the bank or the picture.

Legend: M stored rows, P query positions, C key width, V value width.
"""

import math

import torch
from torch import Tensor

from model.bank import Rows

WORKSPACE_ELEMENTS = 1 << 22
"""Attention weights held at a time (16 MB in float32; a read holds three such arrays)."""

_MOST_POSITIONS = 256
"""Held at a time: more make no product faster, and fall out of the cache."""


def read(
    memory: Rows,
    query_PC: Tensor,
    *,
    valid_weight: float = 1e-3,
    workspace: int = WORKSPACE_ELEMENTS,
) -> tuple[Tensor, Tensor]:
    """Read-out [P, V] and use [M] = ln(1 + positions whose weight on the row is above `valid_weight`).

    Softmax in float32 whatever the precision of the inputs; carries gradients.
    """
    block = min(_MOST_POSITIONS, max(1, workspace // max(1, len(memory.key))))
    scale = 1 / math.sqrt(query_PC.shape[1])
    positions_M = torch.zeros(len(memory.key), device=query_PC.device)
    used = query_PC.new_empty(min(block, len(query_PC)), len(memory.key), dtype=torch.float32)
    readout = []
    for query in query_PC.split(block):
        weight = torch.softmax((query * scale @ memory.key.T).float(), dim=1)
        # As numbers: to count booleans takes longer than the product with the values.
        positions_M += torch.gt(weight.detach(), valid_weight, out=used[: len(query)]).sum(dim=0)
        readout.append(weight.to(memory.value.dtype) @ memory.value)
    return torch.cat(readout), torch.log1p(positions_M)
