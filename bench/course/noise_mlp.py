"""(c) NoisePredictor of the diffusion course: cat(chunk, condition, time embedding), one step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from course.policy import ACTION_DIM, HORIZON, CourseConfig, CoursePolicy, diffusion
from course.unet import TimeEmbedding

_CHUNK = HORIZON * ACTION_DIM


class NoiseMlp(CoursePolicy):
    """cat(actions 112, condition 256, time 256) -> 256 ReLU x3 -> 112."""

    def __init__(self, obs_dim: int = 512, hidden: int = 256, num_steps: int = 1) -> None:
        super().__init__()
        self.config = CourseConfig((("observation.state", (obs_dim,), "float32"),))
        self.num_steps = num_steps
        self.encoder = nn.Sequential(nn.Linear(obs_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.time = TimeEmbedding(hidden)
        self.layers = nn.Sequential(
            nn.Linear(_CHUNK + 2 * hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, _CHUNK),
        )

    def sampler_spec(self) -> dict[str, Any]:
        """DDIM."""
        return diffusion(self.num_steps)

    def denoise(self, x: Tensor, t: Tensor, observation: Tensor) -> Tensor:
        """Predicted noise (B, T, D)."""
        everything = torch.cat([x.flatten(1), self.encoder(observation), self.time(t)], dim=1)
        noise: Tensor = self.layers(everything)
        return noise.view(-1, HORIZON, ACTION_DIM)
