"""Exponential moving average of a module's parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """Averaged copy of a module's parameters; the decay grows as 1-(1+step)^-0.75 (Chi et al. 2023).

    Args:
        module: Whose parameters are followed.
        decay: Upper bound of the decay.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self.decay = decay
        self.values: list[Tensor] = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Moves the average towards the parameters after optimiser step ``step`` (from 0)."""
        decay = min(self.decay, 1.0 - (1.0 + step) ** -0.75)
        torch._foreach_lerp_(self.values, [p.detach() for p in self._parameters], 1.0 - decay)

    @torch.no_grad()
    def restore(self, values: list[Tensor]) -> None:
        """Takes a saved average."""
        torch._foreach_copy_(self.values, values)

    @torch.no_grad()
    def copy_to_module(self) -> None:
        """Puts the average in place of the module's parameters."""
        torch._foreach_copy_([p.detach() for p in self._parameters], self.values)
