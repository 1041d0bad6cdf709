"""Query and reference encoders, and the keys and values that both share.

Legend: B batch, K channels (background + objects), C features, H W padded picture, h w = H/16 W/16, P = h w positions.
"""

import torch
from torch import Tensor, nn

from model.ops import cat_channels
from model.trunk import Features, Trunk


class QueryEncoder(nn.Module):
    """The frame to be segmented -> features at four strides."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, picture_B3HW: Tensor) -> Features:
        with _gradients_if_learning(self):
            return self.trunk.from_stem(self.trunk.stem(picture_B3HW))


class ReferenceEncoder(nn.Module):
    """A frame with its masks -> r4, once per channel; the picture's share of the stem is computed once."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk
        self.mask_stem = trunk.mask_stem()

    def forward(self, picture_B3HW: Tensor, masks_BKHW: Tensor, *, chunk: int | None = None) -> Tensor:
        """[B, K, C, h, w]; `chunk` channels at a time go through the trunk."""
        with _gradients_if_learning(self):
            stem = self.trunk.stem(picture_B3HW)
            parts = masks_BKHW.split(chunk or masks_BKHW.shape[1], dim=1)
            return cat_channels([self._encode(stem, part) for part in parts])

    def _encode(self, stem: Tensor, masks_BKHW: Tensor) -> Tensor:
        mask = masks_BKHW.flatten(0, 1)[:, None]
        masked = self.mask_stem(_with_inverse(mask)).unflatten(0, masks_BKHW.shape[:2])
        r4 = self.trunk.from_stem((stem[:, None] + masked).flatten(0, 1)).r4
        return r4.unflatten(0, masks_BKHW.shape[:2])


class KeyValue(nn.Module):
    """3x3 convolutions from r4 to keys (for matching) and values (for decoding)."""

    def __init__(self, inputs: int, key_width: int, value_width: int) -> None:
        super().__init__()
        self.key = nn.Conv2d(inputs, key_width, 3, padding=1)
        self.value = nn.Conv2d(inputs, value_width, 3, padding=1)

    def forward(self, r4: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, h, w] -> keys [N, key_width, h, w], values [N, value_width, h, w]."""
        return self.key(r4), self.value(r4)


def _gradients_if_learning(encoder: nn.Module) -> torch.set_grad_enabled:
    """Frozen all over, it gives none on either, to the masks: that would cost as much as to learn."""
    learns = any(parameter.requires_grad for parameter in encoder.parameters())
    return torch.set_grad_enabled(torch.is_grad_enabled() and learns)


def to_rows(feature_map: Tensor) -> Tensor:
    """[N, C, h, w] -> [N, P, C]: one row a position, as the bank stores them."""
    return feature_map.flatten(2).transpose(1, 2)


def _with_inverse(mask: Tensor) -> Tensor:
    return torch.cat([mask, (1 - mask).clamp(0, 1)], dim=1)
