"""Observation features as tokens of one width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vla_rt.policies.features import FeatureSpec


class ContextTokens(nn.Module):
    """Sequences (N, C) and vectors (C,), each projected to one width and given learned positions.

    Args:
        specs: Features; those of two axes are N tokens, the others one.
        width: Of the tokens.
    """

    def __init__(self, specs: Sequence[FeatureSpec], width: int) -> None:
        super().__init__()
        self._rows = [spec.shape[0] if len(spec.shape) == 2 else 1 for spec in specs]
        self.projections = nn.ModuleList(
            nn.Linear(spec.size // rows, width) for spec, rows in zip(specs, self._rows, strict=True)
        )
        self.positions = nn.ParameterList(torch.randn(rows, width) * 0.02 for rows in self._rows)

    def forward(self, *observation: Tensor) -> Tensor:
        """Features (B, *shape) to tokens (B, N, width) side by side."""
        tokens = []
        for feature, rows, project, position in zip(
            observation, self._rows, self.projections, self.positions, strict=True
        ):
            tokens.append(project(feature.reshape(feature.shape[0], rows, -1)) + position)
        return torch.cat(tokens, dim=1)
