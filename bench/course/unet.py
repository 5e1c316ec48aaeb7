"""(b) ConditionalUNet1D, in the architecture of Chi et al. 2023, "Diffusion Policy"; one step."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course.policy import ACTION_DIM, CourseConfig, CoursePolicy, diffusion

_GROUPS = 8


class TimeEmbedding(nn.Module):
    """Sines and cosines of a time (B,) at geometric frequencies; (B, size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        rates = torch.exp(torch.arange(size // 2) * (-math.log(10000.0) / (size // 2 - 1)))
        self.register_buffer("rates", rates)

    def forward(self, t: Tensor) -> Tensor:
        angles = t.reshape(-1, 1) * self.get_buffer("rates")
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class ResidualBlock(nn.Module):
    """conv3, group norm, scale and shift by the condition, Mish, conv3, group norm, Mish, plus the input."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.first, self.norm_first = nn.Conv1d(inputs, outputs, 3, padding=1), nn.GroupNorm(_GROUPS, outputs)
        self.second, self.norm_second = (
            nn.Conv1d(outputs, outputs, 3, padding=1),
            nn.GroupNorm(_GROUPS, outputs),
        )
        self.film = nn.Linear(condition, 2 * outputs)
        self.skip = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition)[:, :, None].chunk(2, dim=1)
        h = F.mish(self.norm_first(self.first(x)) * (1 + scale) + shift)
        h = F.mish(self.norm_second(self.second(h)))
        result: Tensor = h + self.skip(x)
        return result


class ConditionalUnet(CoursePolicy):
    """Channels (256, 512, 1024), a middle block, and back over skips; 26,520,327 parameters.

    The horizon must be divisible by 4.
    """

    def __init__(
        self, obs_dim: int = 512, channels: tuple[int, ...] = (256, 512, 1024), num_steps: int = 1
    ) -> None:
        super().__init__()
        self.config = CourseConfig((("observation.state", (obs_dim,), "float32"),))
        self.num_steps = num_steps
        size = 256
        self.time = nn.Sequential(
            TimeEmbedding(size), nn.Linear(size, 2 * size), nn.Mish(), nn.Linear(2 * size, size)
        )
        self.observation = nn.Sequential(nn.Linear(obs_dim, size), nn.Mish(), nn.Linear(size, size))
        widths = (ACTION_DIM, *channels)
        self.down = nn.ModuleList(ResidualBlock(a, b, size) for a, b in itertools.pairwise(widths))
        self.shorten = nn.ModuleList(nn.Conv1d(c, c, 3, stride=2, padding=1) for c in channels[:-1])
        self.middle = ResidualBlock(channels[-1], channels[-1], size)
        back = channels[::-1]
        self.lengthen = nn.ModuleList(nn.ConvTranspose1d(c, c, 4, stride=2, padding=1) for c in back[:-1])
        self.up = nn.ModuleList(ResidualBlock(a + b, b, size) for a, b in itertools.pairwise(back))
        self.end = nn.Conv1d(channels[0], ACTION_DIM, 1)

    def sampler_spec(self) -> dict[str, Any]:
        """DDIM."""
        return diffusion(self.num_steps)

    def denoise(self, x: Tensor, t: Tensor, observation: Tensor) -> Tensor:
        """Predicted noise (B, T, D)."""
        condition = self.time(t) + self.observation(observation)
        h, skips = x.transpose(1, 2), []
        for i, block in enumerate(self.down):
            h = block(h, condition)
            if i < len(self.shorten):
                skips.append(h)
                h = self.shorten[i](h)
        h = self.middle(h, condition)
        for lengthen, block in zip(self.lengthen, self.up, strict=True):
            h = block(torch.cat([lengthen(h), skips.pop()], dim=1), condition)
        return self.end(h).transpose(1, 2)
