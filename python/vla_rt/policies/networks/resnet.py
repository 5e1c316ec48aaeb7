"""Residual networks for images, with group normalisation: they mean the same in training and averaging.

He et al. 2016, "Deep Residual Learning for Image Recognition"; group normalisation in place of batch
normalisation as in Chi et al. 2023, because averaged weights and running statistics do not agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


def group_norm(channels: int) -> nn.GroupNorm:
    """Groups of 16 channels, or one group where there are fewer."""
    return nn.GroupNorm(max(1, channels // 16), channels)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a skip, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            group_norm(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            group_norm(outputs),
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), group_norm(outputs))
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        result: Tensor = self.activation(self.branch(x) + self.skip(x))
        return result


class ResNet(nn.Module):
    """Feature map of an image: stem (7x7 stride 2, max pool), then stages; all but the first halve it.

    Args:
        width: Channels of the first stage; every further one has twice as many.
        blocks: Residual blocks per stage; (2, 2, 2, 2) with width 64 is ResNet-18.
        channels: Of the image.

    Attributes:
        out_channels: Of the feature map.
    """

    def __init__(self, width: int = 64, blocks: Sequence[int] = (2, 2, 2, 2), channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 7, 2, 3, bias=False),
            group_norm(width),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        stages: list[nn.Module] = []
        inputs = width
        for level, count in enumerate(blocks):
            outputs = width << level
            first = ResidualBlock(inputs, outputs, 1 if level == 0 else 2)
            stages.append(
                nn.Sequential(first, *(ResidualBlock(outputs, outputs, 1) for _ in range(count - 1)))
            )
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        self.out_channels = inputs

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to (B, out_channels, H / 2^(stages + 1), W / 2^(stages + 1))."""
        x = self.stem(2.0 * image - 1.0)
        for stage in self.stages:
            x = stage(x)
        result: Tensor = x
        return result


class PooledResNet(nn.Module):
    """A ResNet whose feature map is averaged: (B, C, H, W) to (B, out_channels)."""

    def __init__(self, width: int = 64, blocks: Sequence[int] = (2, 2, 2, 2), channels: int = 3) -> None:
        super().__init__()
        self.body = ResNet(width, blocks, channels)
        self.out_channels = self.body.out_channels

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to (B, out_channels)."""
        result: Tensor = self.body(image).mean(dim=(2, 3))
        return result
