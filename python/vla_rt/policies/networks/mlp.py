"""Multilayer perceptrons."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from torch import nn


def mlp(
    widths: Sequence[int],
    activation: Callable[[], nn.Module] = nn.ReLU,
    dropout: float = 0.0,
    activate_last: bool = False,
) -> nn.Sequential:
    """Linear layers from ``widths[0]`` to ``widths[-1]`` with an activation (and dropout) between them.

    Args:
        widths: Of the input, the hidden layers and the output.
        activation: Makes one.
        dropout: Probability after each activation; 0 adds no layer.
        activate_last: Whether the output passes an activation too.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    if not activate_last:
        del layers[-2 if dropout else -1 :]
    return nn.Sequential(*layers)
