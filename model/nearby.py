"""Nearby: what the latest frame left at each position, which is read the more the nearer it lies.

The rows of the bank know no place, for they are merged, and matching is global. Of many things that look alike a
position could not tell which is which; but the one that was there a frame ago is most likely there still. So the rows
of the latest memorized frame are read too, apart from the bank, with a bias that falls with the distance. What
jumps or returns is found in the bank as before, and of a channel that was nowhere in that frame there is nothing to
read.

Legend: N channels, P = h w positions of a frame at 1/16, C key width, V value width, Q of its positions.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from model.slots import Rows

_RADIUS = 1.5
"""Positions, of 16 pixels: the standard deviation of the bell that the distance is weighed by."""


class Nearby(NamedTuple):
    """The rows of some channels in a frame that was memorized."""

    key_NPC: Tensor
    value_NPV: Tensor
    known_N: Tensor
    """False for a channel that was nowhere: it has no rows."""

    def select(self, index: Tensor) -> "Nearby":
        """Some of the channels, in another order or not; -1 stands for one that was nowhere."""
        chosen = Nearby(*(values[index.clamp(min=0)] for values in self))
        return chosen._replace(known_N=chosen.known_N & (index >= 0))

    def rows(self, channels: slice, *, masked: bool) -> Rows | None:
        """What a read of these channels needs, without a copy of the features; None where there is nothing.

        Unless `masked` they are one channel, and the host asks whether it is known.
        """
        key, value, known = (values[channels] for values in self)
        if masked:
            return Rows(key, value, ~known[:, None].expand(key.shape[:2]))
        return Rows(key, value) if bool(known) else None


class Near(NamedTuple):
    """Rows at their positions, for a read of those positions."""

    rows: Rows
    """[K, P, ...] of the channels that are read."""
    size: tuple[int, int]
    """(h, w)"""
    strength: Tensor
    """[1] positive; how many rows of the bank one at the position itself counts for is e to the power of it, less 1."""

    def bias_of(self, start: int, stop: int) -> Tensor:
        """[Q, P] what is added to the scores of the positions from `start` to before `stop`."""
        device = self.rows.key.device
        index = torch.arange(self.size[0] * self.size[1], device=device)
        y, x = (index // self.size[1]).float(), (index % self.size[1]).float()
        square_QP = (y[start:stop, None] - y).square() + (x[start:stop, None] - x).square()
        return torch.log(torch.expm1(self.strength)) - square_QP / (2 * _RADIUS**2)
