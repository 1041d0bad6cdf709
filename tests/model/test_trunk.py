import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from model.network import AFBURR
from model.trunk import IMAGENET_MEAN, FrozenBatchNorm, Lite0Trunk, ResNet50Trunk, SameConv2d, Trunk
from tests.model.builders import network


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def features(trunk: Trunk, picture: Tensor) -> list[Tensor]:
    return list(trunk.from_stem(trunk.stem(picture)))


def one_colour(colour: tuple[float, float, float]) -> Tensor:
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 32, 48)


@pytest.mark.parametrize("kind", [Lite0Trunk, ResNet50Trunk])
def test_features_come_at_strides_2_to_16(kind: type[Trunk]) -> None:
    trunk = kind().eval()
    with torch.inference_mode():
        maps = features(trunk, torch.rand(2, 3, 48, 80))
    expected = [(2, channels, 48 // s, 80 // s) for channels, s in zip(trunk.channels, (2, 4, 8, 16), strict=True)]
    assert [tuple(found.shape) for found in maps] == expected


def test_the_channels_are_those_of_the_design() -> None:
    assert Lite0Trunk.channels == (16, 24, 40, 112)
    assert ResNet50Trunk.channels == (64, 256, 512, 1024)


def same_convolution(x: Tensor, weight: Tensor, bias: Tensor, stride: int, groups: int) -> Tensor:
    """The definition: output (i, j) sees the kernel's window that begins at stride * i - before."""
    kernel, (height, width) = weight.shape[-1], x.shape[-2:]
    rows, columns = -(-height // stride), -(-width // stride)
    before_y = max((rows - 1) * stride + kernel - height, 0) // 2
    before_x = max((columns - 1) * stride + kernel - width, 0) // 2
    canvas = torch.zeros(*x.shape[:2], height + 2 * kernel, width + 2 * kernel)
    canvas[..., kernel : kernel + height, kernel : kernel + width] = x
    out = torch.empty(len(x), len(weight), rows, columns)
    for i in range(rows):
        for j in range(columns):
            top, left = kernel + stride * i - before_y, kernel + stride * j - before_x
            window = canvas[..., top : top + kernel, left : left + kernel]
            out[:, :, i, j] = F.conv2d(window, weight, bias, groups=groups)[..., 0, 0]
    return out


@given(
    height=st.integers(1, 11),
    width=st.integers(1, 11),
    kernel=st.sampled_from((3, 5)),
    stride=st.sampled_from((1, 2)),
    depthwise=st.booleans(),
    learning=st.booleans(),
)
def test_same_padding_on_odd_and_even_sizes(
    height: int, width: int, kernel: int, stride: int, depthwise: bool, learning: bool
) -> None:
    torch.manual_seed(0)
    groups = 4 if depthwise else 1
    layer = SameConv2d(4, 4, kernel, stride, groups=groups)
    assert layer.bias is not None
    x = torch.randn(2, 4, height, width)
    with torch.inference_mode(not learning):
        found = layer(x)
        expected = same_convolution(x, layer.weight, layer.bias, stride, groups)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("size", "kernel", "first"), [(6, 3, 0), (7, 3, 1), (6, 5, 1), (7, 5, 2)])
def test_the_smaller_half_of_the_padding_comes_first(size: int, kernel: int, first: int) -> None:
    layer = SameConv2d(1, 1, kernel, 2, bias=False)
    with torch.inference_mode():
        layer.weight.zero_()
        layer.weight[0, 0, first, first] = 1  # the tap that lies on pixel 0 for output 0
        found = layer(torch.arange(1.0, size * size + 1).view(1, 1, size, size))
    assert found[0, 0, 0, 0] == 1


@pytest.mark.parametrize("kind", [Lite0Trunk, ResNet50Trunk])
def test_features_are_the_same_with_gradients_and_without(kind: type[Trunk]) -> None:
    trunk, picture = kind().eval(), torch.rand(3, 3, 48, 32)
    learnt = features(trunk, picture)
    with torch.inference_mode():
        for one, other in zip(learnt, features(trunk, picture), strict=True):
            torch.testing.assert_close(one.detach(), other, atol=1e-4, rtol=1e-4)


def test_lite0_has_the_parameters_of_the_design() -> None:
    assert count(Lite0Trunk()) == pytest.approx(0.69e6, rel=0.01)
    assert count(network()) == pytest.approx(2.05e6, rel=0.01)


def test_resnet50_has_the_parameters_of_the_published_network() -> None:
    assert count(AFBURR("resnet50")) == pytest.approx(33.08e6, rel=0.001)


def test_every_lite0_convolution_has_a_bias_and_no_norm_is_left() -> None:
    modules = list(Lite0Trunk().modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    assert convolutions
    assert all(convolution.bias is not None for convolution in convolutions)
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules)


def test_lite0_takes_127_of_255_as_zero() -> None:
    trunk = Lite0Trunk()
    assert trunk.conv_stem.bias is not None
    with torch.inference_mode():
        stem = trunk.stem(one_colour((127 / 255,) * 3))
    torch.testing.assert_close(stem, trunk.conv_stem.bias.view(1, -1, 1, 1).expand_as(stem), atol=1e-6, rtol=0)


def test_lite0_scales_by_128() -> None:
    trunk = Lite0Trunk()
    with torch.inference_mode():
        picture = torch.rand(1, 3, 32, 32)
        torch.testing.assert_close(trunk.stem(picture), trunk.conv_stem((255 * picture - 127) / 128))


def test_resnet50_takes_the_mean_colour_as_zero() -> None:
    with torch.inference_mode():
        stem = ResNet50Trunk().stem(one_colour(IMAGENET_MEAN))
    torch.testing.assert_close(stem, torch.zeros_like(stem), atol=1e-5, rtol=0)


def test_frozen_batch_norm_never_updates() -> None:
    trunk = ResNet50Trunk().train()
    norms = [module for module in trunk.modules() if isinstance(module, FrozenBatchNorm)]
    before = {name: buffer.clone() for name, buffer in trunk.named_buffers()}
    picture = torch.rand(2, 3, 32, 32)
    training = features(trunk, picture)
    assert trunk.training
    assert norms
    assert not any(norm.training for norm in norms)
    assert all(torch.equal(buffer, before[name]) for name, buffer in trunk.named_buffers())
    for seen, frozen in zip(training, features(trunk.eval(), picture), strict=True):
        torch.testing.assert_close(seen, frozen, atol=0, rtol=0)


def test_no_batch_norm_of_the_whole_network_updates() -> None:
    found = [m for m in AFBURR("resnet50").train().modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert found
    assert not any(norm.training for norm in found)


@pytest.mark.parametrize("kind", [Lite0Trunk, ResNet50Trunk])
def test_the_mask_stem_fits_the_stem(kind: type[Trunk]) -> None:
    trunk = kind()
    with torch.inference_mode():
        stem, masked = trunk.stem(torch.rand(1, 3, 32, 48)), trunk.mask_stem()(torch.rand(5, 2, 32, 48))
    assert masked.shape[1:] == stem.shape[1:]
    assert len(masked) == 5
