"""A sense of place: where each channel was in the last frame, as a hint to the decoder.

Matching is global: of many things that look alike it cannot tell which is which. The hint is what was found in the
last frame, moved on by what its centre moved before that; it is empty for a channel that was nowhere, so that what
was lost is found by its looks alone.

Legend: N channels, of one picture or of several, H W picture, y x = 2 ceil(H/16) 2 ceil(W/16) (strides of 8).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from model.ops import pad, padding_to_multiple, window_max

HINT_CHANNELS = 3
_STRIDE = 8
_NEAR_WINDOW = 7
"""Within 3 positions, 24 pixels, of a channel is near it."""
_PRESENT = 0.5
"""A channel whose largest probability is not above this is nowhere."""
_STRENGTH = 4.0
"""Of a hint: the layer that takes it begins with zeros, and learns the faster the larger its input is."""


class Place(NamedTuple):
    """Where channels were in a frame; without gradients, in float32."""

    map_Nyx: Tensor
    """Mean probability over each position's pixels."""
    known_N: Tensor
    """1 where the channel was somewhere, else 0."""
    centre_N2: Tensor
    """(y, x) in positions."""
    shift_N2: Tensor
    """What the centre moved since the frame before; 0 where the channel was nowhere in one of the two."""

    def select(self, index: Tensor) -> "Place":
        """Some of the channels, in another order or not; -1 stands for one that was nowhere."""
        chosen = Place(*(values[index.clamp(min=0)] for values in self))
        return chosen._replace(known_N=chosen.known_N * (index >= 0))


@torch.no_grad()
def seen(probability_NHW: Tensor, before: Place | None = None) -> Place:
    """Where channels are by their probabilities; `before`: of the same channels in the frame before."""
    probability = probability_NHW.detach().float()
    padded = pad(probability, padding_to_multiple(*probability.shape[-2:]))
    map_Nyx = F.avg_pool2d(padded[:, None], _STRIDE)[:, 0]
    known = (probability.amax(dim=(1, 2)) > _PRESENT).float()
    centre = _centre(map_Nyx)
    if before is None or before.map_Nyx.shape != map_Nyx.shape:
        return Place(map_Nyx, known, centre, torch.zeros_like(centre))
    both = (known * before.known_N)[:, None]
    return Place(map_Nyx, known, centre, (centre - before.centre_N2) * both)


def _centre(map_Nyx: Tensor) -> Tensor:
    weight = map_Nyx.square()  # so that a little everywhere else does not draw it away
    total = weight.sum(dim=(1, 2)).clamp(min=1e-8)
    rows, columns = (torch.arange(n, device=weight.device, dtype=weight.dtype) for n in weight.shape[1:])
    y, x = (weight.sum(dim=2) * rows).sum(dim=1), (weight.sum(dim=1) * columns).sum(dim=1)
    return torch.stack([y, x], dim=1) / total[:, None]


@torch.no_grad()
def hint(place: Place) -> Tensor:
    """What the decoder is told [N, HINT_CHANNELS, y, x]: the moved map, what is near it, and that it is known."""
    known = place.known_N[:, None, None]
    moved = _moved(place.map_Nyx, place.shift_N2) * known
    near = window_max(moved, _NEAR_WINDOW) / moved.amax(dim=(1, 2), keepdim=True).clamp(min=1e-8)
    return _STRENGTH * torch.stack([moved, near, known.expand_as(moved)], dim=1)


def _moved(map_Nyx: Tensor, shift_N2: Tensor) -> Tensor:
    """Each map moved by so many positions; what lies at the border goes on beyond it."""
    height, width = map_Nyx.shape[1:]
    moves = torch.eye(2, 3, device=map_Nyx.device).repeat(len(map_Nyx), 1, 1)
    moves[:, 0, 2] = -2 * shift_N2[:, 1] / width
    moves[:, 1, 2] = -2 * shift_N2[:, 0] / height
    grid = F.affine_grid(moves, [len(map_Nyx), 1, height, width], align_corners=False)
    return F.grid_sample(map_Nyx[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
