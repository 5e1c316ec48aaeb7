"""What the course's networks share as exportable policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

HORIZON, ACTION_DIM = 16, 7

_Module = TypeVar("_Module", bound=nn.Module)


@dataclass(frozen=True)
class CourseConfig:
    """Sizes that the exporter asks for."""

    observation: tuple[tuple[str, tuple[int, ...], str], ...]
    horizon: int = HORIZON
    action_dim: int = ACTION_DIM
    period_s: float = 0.1
    execution_horizon: int = 8


class CoursePolicy(nn.Module):
    """An exportable policy without normalisers; subclasses have `denoise` or `next_logits`."""

    config: CourseConfig
    normalizers: dict[str, Any] = {}  # noqa: RUF012  the protocol's mapping, never written

    def sampler_spec(self) -> dict[str, Any]:
        """One evaluation is the answer."""
        return {
            "type": "direct",
            "head": "value",
            "mode": "mean",
            "num_components": 1,
            "clip_sample": False,
            "clip_range": 1.0,
        }


def diffusion(num_steps: int) -> dict[str, Any]:
    """The course's noise schedule, sampled by DDIM from its noisy end."""
    return {
        "type": "ddim",
        "num_train_steps": 100,
        "beta_schedule": "linear",
        "beta_start": 1e-4,
        "beta_end": 0.02,
        "prediction": "epsilon",
        "clip_sample": False,
        "clip_range": 1.0,
        "num_steps": num_steps,
        "timestep_spacing": "trailing",
        "steps_offset": 0,
        "eta": 0.0,
        "set_alpha_to_one": True,
    }


def randomized(module: _Module, seed: int = 0) -> _Module:
    """Fresh weights of the usual scale for every parameter, so that no two layers share theirs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() > 1:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan_in**0.5)
            else:
                offset = 1.0 if "norm" in name and name.endswith("weight") else 0.0
                parameter.copy_(offset + 0.05 * torch.randn(parameter.shape, generator=generator))
    return module.eval().requires_grad_(False)
