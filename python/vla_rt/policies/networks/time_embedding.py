"""Sinusoidal embedding of the step time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """sin and cos of the time at ``width / 2`` frequencies from 1 to 1/10000 (Vaswani et al. 2017).

    Args:
        width: Even, at least 4.
    """

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        exponents = torch.arange(half, dtype=torch.float32) / (half - 1)
        self.register_buffer("frequencies", torch.exp(-math.log(10_000.0) * exponents), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        """Times (B,) to (B, width)."""
        angles = t.reshape(-1, 1).float() * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)
