"""Feature trunks: ResNet-50 to layer3 (torchvision's parameter names) and EfficientNet-Lite0, both to 1/16.

A trunk normalises a padded RGB picture in [0, 1], turns it into stem features, and these into `Features`.
The reference encoder adds its mask features between the two steps. Without gradients, activations work in place on
what a convolution has just made.

Legend: B batch, C channels, H W padded picture.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.ops import add, relu, relu6

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Features(NamedTuple):
    """Feature maps [B, C, H / s, W / s] at strides s = 2, 4, 8, 16."""

    r1: Tensor
    r2: Tensor
    r3: Tensor
    r4: Tensor


class Trunk(nn.Module):
    """What the encoders ask of a trunk."""

    channels: tuple[int, int, int, int]
    """Channels of r1, r2, r3, r4."""

    def stem(self, picture: Tensor) -> Tensor:
        """Padded RGB [B, 3, H, W] in [0, 1] -> stem features [B, C, H/2, W/2] before norm and activation."""
        raise NotImplementedError

    def from_stem(self, stem: Tensor) -> Features:
        """Stem features, which are given away -> `Features`."""
        raise NotImplementedError

    def mask_stem(self) -> nn.Module:
        """A module [B, 2, H, W] (mask, its inverse) -> what is added to the stem features."""
        raise NotImplementedError


class Pointwise(nn.Conv2d):
    """1x1 convolution of stride 1."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """As a batch of lines: on one CPU thread torch takes a slower way for batches of less than 16.

        With gradients as a matrix product: those of the lines come in a layout that all around is copied into.
        """
        if torch.is_grad_enabled():
            return F.linear(x.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)
        lines = x.transpose(1, 2).flatten(0, 1).unsqueeze(2)
        return super().forward(lines).squeeze(2).unflatten(0, (len(x), -1)).transpose(1, 2)


class FrozenBatchNorm(nn.BatchNorm2d):
    """Batch norm that always uses its stored statistics, as the paper trains it."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm":
        super().train(False)
        return self


class Bottleneck(nn.Module):
    """ResNet-50's residual block: 1x1, 3x3 (with the stride), 1x1 (He et al., 2016; torchvision's V1.5)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = Pointwise(inputs, width, bias=False)
        self.bn1 = FrozenBatchNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = FrozenBatchNorm(width)
        self.conv3 = Pointwise(width, outputs, bias=False)
        self.bn3 = FrozenBatchNorm(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), FrozenBatchNorm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        y = relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return relu(add(y, x if self.downsample is None else self.downsample(x)))


def _bottlenecks(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(inputs, width, stride)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))


class ResNet50Trunk(Trunk):
    """ResNet-50 up to layer3; r1 is taken after the stem's ReLU, before its pooling."""

    channels = (64, 256, 512, 1024)
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = FrozenBatchNorm(64)
        self.layer1 = _bottlenecks(64, 64, 3, stride=1)
        self.layer2 = _bottlenecks(256, 128, 4, stride=2)
        self.layer3 = _bottlenecks(512, 256, 6, stride=2)

    def stem(self, picture: Tensor) -> Tensor:
        return self.conv1((picture - self.mean) / self.std)

    def from_stem(self, stem: Tensor) -> Features:
        r1 = relu(self.bn1(stem))
        r2 = self.layer1(F.max_pool2d(r1, 3, 2, 1))
        r3 = self.layer2(r2)
        return Features(r1, r2, r3, self.layer3(r3))

    def mask_stem(self) -> nn.Module:
        return ResNetMaskStem()


class ResNetMaskStem(nn.Module):
    """The published pair of stem convolutions, one for the mask and one for its inverse."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1_m = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.conv1_o = nn.Conv2d(1, 64, 7, 2, 3, bias=False)

    def forward(self, mask_and_inverse: Tensor) -> Tensor:
        mask, inverse = mask_and_inverse.split(1, dim=1)
        return self.conv1_m(mask) + self.conv1_o(inverse)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: output ceil(n / stride), the smaller half of the padding first."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        top, bottom = _same(height, self.kernel_size[0], self.stride[0])
        left, right = _same(width, self.kernel_size[1], self.stride[1])
        if torch.is_grad_enabled() and (top, left) != (bottom, right):
            # The gradient of a kernel of even size takes 25 times as long.
            x, top, left, bottom, right = F.pad(x, (left, right, top, bottom)), 0, 0, 0, 0
        # A tap of zero in front makes up for a pixel more behind: cheaper than a padded copy of the picture.
        weight = F.pad(self.weight, (right - left, 0, bottom - top, 0))
        return F.conv2d(x, weight, self.bias, self.stride, (bottom, right), groups=self.groups)


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class InvertedResidual(nn.Module):
    """MobileNetV2's block as EfficientNet-Lite uses it, batch norms folded into the convolutions."""

    def __init__(self, kernel: int, stride: int, expansion: int, inputs: int, outputs: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = Pointwise(inputs, width) if expansion != 1 else None
        self.depthwise = SameConv2d(width, width, kernel, stride, groups=width)
        self.project = Pointwise(width, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else relu6(self.expand(x))
        y = self.project(relu6(self._filtered(y)))
        return add(y, x) if self.residual else y

    def _filtered(self, x: Tensor) -> Tensor:
        """Depthwise convolution; on a CPU its gradient takes 3 to 6 times as long in bf16 as in fp32."""
        if not (x.requires_grad and x.device.type == "cpu"):
            return self.depthwise(x)
        with torch.autocast("cpu", enabled=False):
            return self.depthwise(x.float())


LITE0_BLOCKS = (  # kernel, stride, expansion, in, out
    (3, 1, 1, 32, 16),
    (3, 2, 6, 16, 24),
    (3, 1, 6, 24, 24),
    (5, 2, 6, 24, 40),
    (5, 1, 6, 40, 40),
    (3, 2, 6, 40, 80),
    (3, 1, 6, 80, 80),
    (3, 1, 6, 80, 80),
    (5, 1, 6, 80, 112),
    (5, 1, 6, 112, 112),
    (5, 1, 6, 112, 112),
)
_LITE0_TAPS = (0, 2, 4, 10)


class Lite0Trunk(Trunk):
    """EfficientNet-Lite0 up to 1/16; features are the linear outputs of blocks 0, 2, 4 and 10."""

    channels = (16, 24, 40, 112)

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = SameConv2d(3, 32, 3, 2)
        self.blocks = nn.ModuleList(InvertedResidual(*block) for block in LITE0_BLOCKS)

    def stem(self, picture: Tensor) -> Tensor:
        return self.conv_stem((255 * picture - 127) / 128)

    def from_stem(self, stem: Tensor) -> Features:
        x, taps = relu6(stem), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _LITE0_TAPS:
                taps.append(x)
        return Features(*taps)

    def mask_stem(self) -> nn.Module:
        return SameConv2d(2, 32, 3, 2)
