"""Decoder: a coarse mask an object by a hint at where it was, then uncertain-region refinement (URR; paper, 3.4).

What depends on the frame alone (the skip convolutions, the query's half of the first convolution, r1's half of
the local one) is computed once per frame and shared by all objects. Objects go through in chunks, never across
the two normalisations over objects.

Legend: B batch, K channels (background + objects), k channels of a chunk, H W padded picture, h w = H/16 W/16,
V value width.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.ops import add, cat_channels, logit, relu, upsample2, window_max, window_mean
from model.place import HINT_CHANNELS
from model.trunk import Features, Pointwise
from model.uncertainty import ambiguity

_LOCAL_WINDOW = 7


class Residual(nn.Module):
    """x + conv2(relu(conv1(relu(x)))); x is given away."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _conv(width, width)
        self.conv2 = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return add(x, self.conv2(relu(self.conv1(F.relu(x)))))


class Refine(nn.Module):
    """Add a skip feature of the frame to an object's upsampled map."""

    def __init__(self, skip: int, width: int) -> None:
        super().__init__()
        self.conv_fs = _conv(skip, width)
        self.res_fs = Residual(width)
        self.res_mm = Residual(width)

    def skip(self, feature: Tensor) -> Tensor:
        """The frame's share [B, width, 2y, 2x]: once per frame."""
        return self.res_fs(self.conv_fs(feature))

    def forward(self, skip: Tensor, coarse: Tensor, told: Tensor | None = None) -> Tensor:
        """`coarse` [B*k, width, y, x], `told` of it at twice the size -> [B*k, width, 2y, 2x]."""
        x = _add_per_frame(upsample2(coarse), skip)
        return self.res_mm(x if told is None else x + told)


class Skips(NamedTuple):
    """What a frame gives to all its objects."""

    query: Tensor
    """The query value's half of `conv_fm`, bias included: [B, wide, h, w]."""
    at8: Tensor
    at4: Tensor
    r1: Tensor
    local: Tensor
    """r1's half of `local_conv`, bias included."""


@dataclass(frozen=True, kw_only=True)
class DecoderWidths:
    """Channels at 1/16 and 1/8, at 1/4, and in the local branch."""

    wide: int
    narrow: int
    local: int
    place: bool = False
    """Whether it takes hints at where the channels were (`model.place`)."""


class Decoder(nn.Module):
    """Read-outs of all channels and the frame's features -> logits at picture size."""

    def __init__(self, trunk_channels: tuple[int, int, int, int], value_width: int, widths: DecoderWidths) -> None:
        super().__init__()
        r1, r2, r3, _ = trunk_channels
        self.conv_fm = _conv(2 * value_width, widths.wide)
        self.res_mm = Residual(widths.wide)
        self.refine3 = Refine(r3, widths.wide)
        self.narrow = nn.Identity() if widths.narrow == widths.wide else Pointwise(widths.wide, widths.narrow)
        self.refine2 = Refine(r2, widths.narrow)
        self.pred = _conv(widths.narrow, 2)
        self.local_conv = _conv(2 * r1, widths.local)
        self.local_res = Residual(widths.local)
        self.local_pred = _conv(widths.local, 2)
        self.place = _silent(HINT_CHANNELS, widths.wide) if widths.place else None

    def forward(
        self,
        readout_BKVhw: Tensor,
        query_value_BVhw: Tensor,
        features: Features,
        *,
        hint_BKCyx: Tensor | None = None,
        refine: bool = True,
        chunk: int | None = None,
    ) -> Tensor:
        """Logits [B, K, H, W] in float32; softmax over K gives the final probabilities.

        `hint_BKCyx` at 1/8, `model.place.hint`; `refine` switches the URR; `chunk` channels go through at a time
        (None: all).
        """
        size = chunk or readout_BKVhw.shape[1]
        skips = self._skips(features, query_value_BVhw)
        reads = readout_BKVhw.split(size, dim=1)
        hints = [None] * len(reads) if hint_BKCyx is None else hint_BKCyx.split(size, dim=1)
        maps = [self._coarse(part, told, skips) for part, told in zip(reads, hints, strict=True)]
        if refine:
            rough = torch.softmax(_foreground(cat_channels(maps)), dim=1)
            u_refine = ambiguity(rough, dim=1)[:, :, None]
            parts = zip(maps, rough.split(size, dim=1), strict=True)
            maps = [coarse + u_refine * self._local(part, skips) for coarse, part in parts]
        return cat_channels([self._finish(part) for part in maps])

    def _skips(self, features: Features, query_value: Tensor) -> Skips:
        value, r1 = query_value.shape[1], features.r1.shape[1]
        return Skips(
            query=_half_conv(self.conv_fm, query_value, slice(value, None), bias=True),
            at8=self.refine3.skip(features.r3),
            at4=self.refine2.skip(features.r2),
            r1=features.r1,
            local=_half_conv(self.local_conv, features.r1, slice(0, r1), bias=True),
        )

    def _coarse(self, readout_BkVhw: Tensor, hint_BkCyx: Tensor | None, skips: Skips) -> Tensor:
        """[B, k, 2, H/2, W/2]"""
        value = readout_BkVhw.shape[2]
        x = _half_conv(self.conv_fm, readout_BkVhw.flatten(0, 1), slice(0, value), bias=False)
        x = self.res_mm(_add_per_frame(x, skips.query))
        told = None if self.place is None or hint_BkCyx is None else self.place(hint_BkCyx.flatten(0, 1))
        x = self.narrow(self.refine3(skips.at8, x, told))
        x = self.pred(relu(self.refine2(skips.at4, x)))
        return upsample2(x.contiguous()).float().unflatten(0, readout_BkVhw.shape[:2])

    def _local(self, rough_BkYX: Tensor, skips: Skips) -> Tensor:
        """What the neighbourhood of confident pixels says: [B, k, 2, H/2, W/2]."""
        rough = rough_BkYX.flatten(0, 1)[:, None]
        weighted = (rough_BkYX[:, :, None] * skips.r1[:, None].float()).flatten(0, 1)
        reference = window_mean(weighted, _LOCAL_WINDOW) / (window_mean(rough, _LOCAL_WINDOW) + 1e-8)
        x = _half_conv(self.local_conv, reference, slice(skips.r1.shape[1], None), bias=False)
        x = self.local_pred(relu(self.local_res(_add_per_frame(x, skips.local))))
        return (window_max(rough, _LOCAL_WINDOW) * x.float()).unflatten(0, rough_BkYX.shape[:2])

    def _finish(self, maps_Bk2YX: Tensor) -> Tensor:
        full = upsample2(maps_Bk2YX.flatten(0, 1)).unflatten(0, maps_Bk2YX.shape[:2])
        return logit(_foreground(full))


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _silent(inputs: int, outputs: int) -> nn.Conv2d:
    """A convolution that says nothing before it has learnt to, nor ever of what is zero."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.zeros_(conv.weight)
    return conv


def _half_conv(conv: nn.Conv2d, x: Tensor, inputs: slice, *, bias: bool) -> Tensor:
    """The part of a convolution that some of its input channels contribute."""
    return F.conv2d(x, conv.weight[:, inputs], conv.bias if bias else None, padding=1)


def _add_per_frame(per_object: Tensor, per_frame: Tensor) -> Tensor:
    """Add [B, C, y, x] to each of the objects in [B*k, C, y, x]."""
    frames = len(per_frame)
    return (per_object.unflatten(0, (frames, -1)) + per_frame[:, None]).flatten(0, 1)


def _foreground(maps_Bk2YX: Tensor) -> Tensor:
    """Probability of the second of the two channels, their softmax: [B, k, Y, X]."""
    return torch.sigmoid(maps_Bk2YX[:, :, 1] - maps_Bk2YX[:, :, 0])
