"""AFB-URR: one network class, two sets of parts.

`resnet50` is the published network, parameter for parameter. `lite0`, the default, is the same design on
EfficientNet-Lite0 trunks: 2.1 M values instead of 33.1 M.

Legend: B batch, K channels (background + objects), H W picture, h w = ceil(H/16) ceil(W/16), P = h w positions,
C key width or features, V value width.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from model.decoder import Decoder, DecoderWidths
from model.encoders import KeyValue, QueryEncoder, ReferenceEncoder, to_rows
from model.matcher import WORKSPACE_ELEMENTS, read
from model.nearby import Near
from model.ops import Padding, crop, pad, padding_to_multiple
from model.slots import Rows
from model.trunk import Lite0Trunk, ResNet50Trunk, Trunk


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The parts and widths of a network."""

    trunk: Callable[[], Trunk]
    key_width: int
    value_width: int
    decoder: DecoderWidths
    nearby: bool = False
    """Whether it reads the latest frame's rows by their distance (`model.nearby`)."""


PRESETS = {
    "lite0": Preset(
        trunk=Lite0Trunk,
        key_width=64,
        value_width=128,
        decoder=DecoderWidths(wide=64, narrow=32, local=32, place=True),
        nearby=True,
    ),
    "resnet50": Preset(
        trunk=ResNet50Trunk,
        key_width=128,
        value_width=512,
        decoder=DecoderWidths(wide=256, narrow=256, local=32),
    ),
}
DEFAULT_PRESET = "lite0"
PLACE = "decoder.place.weight"
"""The layer that takes hints; weights of before it stand for zeros there."""
NEARNESS = "nearness"
"""How much what is near counts (`model.nearby.Near.strength`); weights of before it read nothing nearby."""
_NEARNESS_AT_FIRST = 3.0


class Segmentation(NamedTuple):
    """What `AFBURR.segment` finds."""

    logits: Tensor
    """[B, K, H, W] float32; softmax over K gives probabilities."""
    use: list[list[Tensor]]
    """Of each picture and each part of its memory: how much each stored row was used [K, M]."""
    r4: Tensor
    """The pictures' features at 1/16 [B, C, h, w]."""


class AFBURR(nn.Module):
    """Two functions: what to remember of a frame, and what is where in a frame."""

    def __init__(self, preset: str = DEFAULT_PRESET) -> None:
        """Parts as `PRESETS[preset]` says; parameters as torch initialises them (see `untrained`).

        But for the layer that takes hints: it begins with zeros, so that nothing differs from a network without it.
        """
        super().__init__()
        parts = PRESETS[preset]
        self.preset = preset
        self.query_encoder = QueryEncoder(parts.trunk())
        self.reference_encoder = ReferenceEncoder(parts.trunk())
        channels = self.query_encoder.trunk.channels
        self.key_value = KeyValue(channels[-1], parts.key_width, parts.value_width)
        self.decoder = Decoder(channels, parts.value_width, parts.decoder)
        self.nearness = nn.Parameter(torch.full((1,), _NEARNESS_AT_FIRST)) if parts.nearby else None
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def takes_hints(self) -> bool:
        """Whether there is a layer for `hint_BKCyx`."""
        return self.decoder.place is not None

    @property
    def reads_nearby(self) -> bool:
        """Whether `nearby` is read."""
        return self.nearness is not None

    def memorize(self, picture_B3HW: Tensor, masks_BKHW: Tensor, *, chunk: int | None = None) -> list[list[Rows]]:
        """Features of a frame under each of its masks: of each picture, in one part, rows [K, P, C] and [K, P, V].

        The picture is RGB in [0, 1], the masks probabilities. Carries gradients.
        """
        picture, padding = _padded(picture_B3HW)
        r4 = self.reference_encoder(picture, pad(masks_BKHW, padding), chunk=chunk)
        key, value = self.key_value(r4.flatten(0, 1))
        key_BKPC = to_rows(key).float().unflatten(0, r4.shape[:2])
        value_BKPV = to_rows(value).float().unflatten(0, r4.shape[:2])
        return [[Rows(*rows)] for rows in zip(key_BKPC, value_BKPV, strict=True)]

    def segment(
        self,
        picture_B3HW: Tensor,
        memory: Sequence[Sequence[Rows]],
        *,
        nearby: Sequence[Sequence[Rows | None]] | None = None,
        hint_BKCyx: Tensor | None = None,
        refine: bool = True,
        chunk: int | None = None,
        valid_weight: float = 1e-3,
        workspace: int = WORKSPACE_ELEMENTS,
    ) -> Segmentation:
        """Find each picture's channels, given the rows remembered of them.

        `memory[b]` has them in parts: channels with rows of equal number, K >= 2 in all and alike in every b.
        `nearby[b]` has for each of these parts the rows of a frame of the same size, a position each, or None.

        The picture is RGB in [0, 1]; `hint_BKCyx`: `model.place.hint` of the channels. Carries gradients, also into
        the memory.
        """
        picture, padding = _padded(picture_B3HW)
        features = self.query_encoder(picture)
        key, value = self.key_value(features.r4)
        readout, use = [], []
        around = nearby if nearby is not None else [[None] * len(parts) for parts in memory]
        size = key.shape[-2], key.shape[-1]
        for query_PC, parts, beside in zip(to_rows(key).float(), memory, around, strict=True):
            reads = [
                read(rows, query_PC, near=self._near(near, size), valid_weight=valid_weight, workspace=workspace)
                for rows, near in zip(parts, beside, strict=True)
            ]
            readout.append(torch.cat([r for r, _ in reads]))
            use.append([u for _, u in reads])
        readout_BKVhw = torch.stack(readout).transpose(2, 3).unflatten(3, key.shape[-2:])
        logits = self.decoder(readout_BKVhw, value, features, hint_BKCyx=hint_BKCyx, refine=refine, chunk=chunk)
        return Segmentation(crop(logits, padding), use, features.r4)

    def _near(self, rows: Rows | None, size: tuple[int, int]) -> Near | None:
        return None if rows is None or self.nearness is None else Near(rows, size, self.nearness)

    def coarse_features(self, picture_B3HW: Tensor) -> Tensor:
        """`Segmentation.r4` of pictures that are not segmented."""
        return self.query_encoder(_padded(picture_B3HW)[0]).r4


def _padded(picture_B3HW: Tensor) -> tuple[Tensor, Padding]:
    """The picture at a size that all strides divide, its channels side by side: convolutions are twice as fast so."""
    padding = padding_to_multiple(*picture_B3HW.shape[-2:])
    return pad(picture_B3HW, padding).contiguous(memory_format=torch.channels_last), padding


def with_weights_in(network: AFBURR, dtype: torch.dtype) -> AFBURR:
    """A copy whose convolutions hold their weights in `dtype`, for autocast to that: it need not convert them."""
    held = copy.deepcopy(network)
    for module in held.modules():
        if isinstance(module, nn.Conv2d):
            module.to(dtype)
    return held


def untrained(preset: str = DEFAULT_PRESET, *, seed: int = 0) -> AFBURR:
    """A network with reproducible random weights: fan-in scaled normal, residual branches and outputs damped.

    The convolutions of keys and values are centred (zero mean an output channel): behind ReLUs all keys would
    look alike otherwise, and the bank would only merge.
    """
    network = AFBURR(preset).eval()
    generator = np.random.default_rng(seed)
    for name, parameter in sorted(network.named_parameters()):
        if parameter.dim() == 4 and name != PLACE:
            values = generator.standard_normal(tuple(parameter.shape))
            if name.startswith("key_value."):
                values -= values.mean(axis=(1, 2, 3), keepdims=True)
            fan_in = parameter[0].numel()
            values *= _gain(name) * np.sqrt(2 / fan_in)
            parameter.data.copy_(torch.from_numpy(values))
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
    return network


def _gain(name: str) -> float:
    return 0.4 if name.endswith(("project.weight", "conv3.weight", "conv2.weight")) else 1.0
