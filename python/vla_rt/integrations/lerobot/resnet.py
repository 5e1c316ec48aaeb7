"""The image networks of LeRobot's policies: ResNets with the parameter names of torchvision, without it.

He et al. 2016, "Deep Residual Learning for Image Recognition".
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn

NormOf: TypeAlias = Callable[[int], nn.Module]

#: Blocks per stage, and whether a block is the one with a bottleneck.
DEPTHS: dict[str, tuple[tuple[int, ...], bool]] = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
}
_EPSILON = 1e-5


class FrozenNorm(nn.Module):
    """Batch normalisation by the statistics of the checkpoint; `fold` takes it into the convolution before.

    Args:
        channels: Of the images.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W)."""
        scale = self.weight / (self.running_var + _EPSILON).sqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def fold(self, convolution: nn.Conv2d) -> None:
        """Makes the convolution do what it and this did."""
        scale = self.weight.double() / (self.running_var.double() + _EPSILON).sqrt()
        shift = self.bias.double() - self.running_mean.double() * scale
        with torch.no_grad():
            convolution.weight.copy_(convolution.weight.double() * scale[:, None, None, None])
            convolution.bias = nn.Parameter(shift.float())


def group_norm(channels: int) -> nn.Module:
    """Groups of 16 channels."""
    return nn.GroupNorm(channels // 16, channels)


class _Block(nn.Module):
    """Convolutions with a norm after each, ReLU between them, and a skip: `conv1`, `bn1`, `conv2`, ..."""

    def __init__(self, convolutions: list[nn.Conv2d], inputs: int, stride: int, norm: NormOf) -> None:
        super().__init__()
        self.depth = len(convolutions)
        for i, convolution in enumerate(convolutions, start=1):
            self.add_module(f"conv{i}", convolution)
            self.add_module(f"bn{i}", norm(convolution.out_channels))
        outputs = convolutions[-1].out_channels
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            skip = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(skip, norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        h = x
        for i in range(1, self.depth + 1):
            h = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(h))
            if i < self.depth:
                h = torch.relu(h)
        return torch.relu(h + self.downsample(x))


class ResNet(nn.Module):
    """Feature map of an RGB image: stem, max pool, four stages.

    Args:
        name: One of `DEPTHS`.
        norm: Module that normalises so many channels.
        dilated: The last stage keeps its size and widens its kernels instead (bottlenecks only).

    Attributes:
        out_channels: Of the feature map.
    """

    def __init__(self, name: str, norm: NormOf, dilated: bool = False) -> None:
        super().__init__()
        blocks, self.has_bottleneck = DEPTHS[name]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = norm(64)
        inputs = 64
        for level, count in enumerate(blocks):
            stage = nn.Sequential()
            for i in range(count):
                stride = 2 if level > 0 and i == 0 else 1
                dilation = 1
                if dilated and level == 3:
                    stride, dilation = 1, 1 if i == 0 else 2
                block = self._block(inputs, 64 << level, stride, dilation, norm)
                inputs = 4 * (64 << level) if self.has_bottleneck else 64 << level
                stage.append(block)
            self.add_module(f"layer{level + 1}", stage)
        self.out_channels = inputs

    def _block(self, inputs: int, width: int, stride: int, dilation: int, norm: NormOf) -> _Block:
        def convolution(a: int, b: int, kernel: int, stride: int = 1) -> nn.Conv2d:
            dilated = dilation if kernel == 3 else 1
            padding = dilated if kernel == 3 else 0
            return nn.Conv2d(a, b, kernel, stride, padding, dilated, bias=False)

        if self.has_bottleneck:
            layers = [
                convolution(inputs, width, 1),
                convolution(width, width, 3, stride),
                convolution(width, 4 * width, 1),
            ]
        else:
            layers = [convolution(inputs, width, 3, stride), convolution(width, width, 3)]
        return _Block(layers, inputs, stride, norm)

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) to (B, out_channels, about H / 32, W / 32)."""
        x = torch.relu(self.bn1(self.conv1(image)))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        for level in range(1, 5):
            x = getattr(self, f"layer{level}")(x)
        return x

    def fold(self) -> None:
        """Takes frozen norms into the convolutions before them."""
        for module in list(self.modules()):
            names = list(module._modules)
            for first, second in pairwise(names):
                convolution, norm = getattr(module, first), getattr(module, second)
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, FrozenNorm):
                    norm.fold(convolution)
                    setattr(module, second, nn.Identity())
