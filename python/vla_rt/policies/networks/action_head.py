"""Features to one bounded action."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vla_rt.policies.networks.mlp import mlp


class ActionHead(nn.Module):
    """Linear layers with ReLU, tanh, and a learned scale per dimension, 1 at first.

    Args:
        features: Width of the input.
        hidden: Of the hidden layers.
        action_dim: D.
    """

    def __init__(self, features: int, hidden: Sequence[int], action_dim: int) -> None:
        super().__init__()
        self.layers = mlp([features, *hidden, action_dim])
        self.scale = nn.Parameter(torch.ones(action_dim))

    def forward(self, features: Tensor) -> Tensor:
        """(..., features) to (..., D) within +-scale."""
        action: Tensor = torch.tanh(self.layers(features)) * self.scale
        return action
