"""(a) FlowMatchingPolicy: an MLP on cat(chunk, time, observation), ten Euler steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from course.policy import ACTION_DIM, HORIZON, CourseConfig, CoursePolicy

_CHUNK = HORIZON * ACTION_DIM


class FlowMlp(CoursePolicy):
    """cat(x 112, t 1, obs) -> hidden Mish x3 -> 112."""

    def __init__(self, obs_dim: int = 512, hidden: int = 256, num_steps: int = 10) -> None:
        super().__init__()
        self.config = CourseConfig((("observation.state", (obs_dim,), "float32"),))
        self.num_steps = num_steps
        self.layers = nn.Sequential(
            nn.Linear(_CHUNK + 1 + obs_dim, hidden),
            nn.Mish(),
            nn.Linear(hidden, hidden),
            nn.Mish(),
            nn.Linear(hidden, hidden),
            nn.Mish(),
            nn.Linear(hidden, _CHUNK),
        )

    def sampler_spec(self) -> dict[str, Any]:
        """Euler from noise at 0."""
        return {"type": "flow_matching", "num_steps": self.num_steps, "solver": "euler", "noise_at": 0}

    def denoise(self, x: Tensor, t: Tensor, observation: Tensor) -> Tensor:
        """Velocity (B, T, D)."""
        velocity: Tensor = self.layers(torch.cat([x.flatten(1), t.reshape(-1, 1), observation], dim=1))
        return velocity.view(-1, HORIZON, ACTION_DIM)
