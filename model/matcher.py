"""Matching: every query position reads each channel's stored rows by softmax attention (paper, section 3.2).

Pure: the read-out and the use of the rows come back, nothing is written. Exact, with a workspace that does not
grow with the bank or the picture.

Legend: M stored rows, P query positions, C key width, V value width.
"""

import math

import torch
from torch import Tensor

from model.bank import Rows

WORKSPACE_ELEMENTS = 1 << 23
"""Attention weights held at a time (32 MB in float32)."""


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
    block = max(1, workspace // max(1, len(memory.key)))
    scale = 1 / math.sqrt(query_PC.shape[1])
    positions_M = torch.zeros(len(memory.key), device=query_PC.device)
    readout = []
    for query in query_PC.split(block):
        weight = torch.softmax((query * scale @ memory.key.T).float(), dim=1)
        positions_M += (weight.detach() > valid_weight).sum(dim=0)
        readout.append(weight.to(memory.value.dtype) @ memory.value)
    return torch.cat(readout), torch.log1p(positions_M)
