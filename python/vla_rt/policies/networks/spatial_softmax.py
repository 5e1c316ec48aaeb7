"""Where things are: expected image coordinates of every channel of a feature map."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SpatialSoftmax(nn.Module):
    """Softmax of every channel over the image, answered as its mean x and y in [-1, 1].

    Finn et al. 2016, "Deep Spatial Autoencoders for Visuomotor Learning". The temperature is learned. It
    begins low: of a map of hundreds of places with values about 1, a softmax at temperature 1 answers about
    the middle, wherever things are, and a network learns from it several times slower.

    Args:
        temperature: In the beginning.
    """

    def __init__(self, temperature: float = 0.15) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 2 C)."""
        height, width = features.shape[2:]
        weights = (features.flatten(2) / self.log_temperature.exp()).softmax(dim=2)
        y = torch.linspace(-1.0, 1.0, height, device=features.device)
        x = torch.linspace(-1.0, 1.0, width, device=features.device)
        places = torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=1)
        return (weights @ places).flatten(1)
