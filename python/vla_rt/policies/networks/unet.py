"""One-dimensional U-Net over the time axis of a chunk.

Chi et al. 2023, "Diffusion Policy: Visuomotor Policy Learning via Action Diffusion": a convolutional encoder
and decoder whose residual blocks are scaled and shifted by the observation and the step time. Stride-2
convolutions halve the length after all levels but the last, transposed convolutions double it again, so that
every skip connection has the length of what it is joined to.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vla_rt.errors import require
from vla_rt.policies.checked_config import CheckedConfig
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.networks.time_embedding import TimeEmbedding


@dataclass(frozen=True)
class UNetConfig(CheckedConfig):
    """Sizes of a ``ConditionalUNet1D``.

    Attributes:
        action_dim: D, channels of the chunk.
        obs_dim: Width of the encoded observation.
        channels: Of the levels; the length is halved between two, so it must be a multiple of
            2^(levels - 1): with three levels any horizon divisible by 4.
        cond_dim: Width of the time embedding and of what conditions the blocks.
        groups: Of the group normalisation; divides every one of ``channels``.
    """

    action_dim: int = 7
    obs_dim: int = 512
    channels: tuple[int, ...] = (256, 512, 1024)
    cond_dim: int = 256
    groups: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))

    @property
    def length_divisor(self) -> int:
        """What the horizon must be a multiple of."""
        return 1 << (len(self.channels) - 1)

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        self._require_positive("action_dim", "obs_dim", "channels", "groups")
        require(len(self.channels) >= 2, "channels", self.channels, "needs at least 2 levels")
        for i, width in enumerate(self.channels):
            require(
                width % self.groups == 0,
                f"channels[{i}]",
                width,
                f"must be a multiple of groups = {self.groups}",
            )
        require(
            self.cond_dim >= 4 and self.cond_dim % 2 == 0, "cond_dim", self.cond_dim, "must be even and >= 4"
        )

    def validate_horizon(self, horizon: int) -> None:
        """Raises ConfigError for a horizon that the levels cannot halve."""
        require(
            horizon % self.length_divisor == 0,
            "horizon",
            horizon,
            f"must be a multiple of {self.length_divisor}: "
            f"the U-Net halves it {len(self.channels) - 1} times",
        )


class ConditionedBlock(nn.Module):
    """conv, norm, scale and shift, Mish, conv, norm, Mish, plus a 1x1 skip."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, padding=1)
        self.first_norm = nn.GroupNorm(config.groups, outputs)
        self.condition = nn.Linear(config.cond_dim, 2 * outputs)
        self.second = nn.Conv1d(outputs, outputs, 3, padding=1)
        self.second_norm = nn.GroupNorm(config.groups, outputs)
        self.skip = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.activation = nn.Mish()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, inputs, T) and (B, cond_dim) to (B, outputs, T)."""
        scale, shift = self.condition(condition)[:, :, None].chunk(2, dim=1)
        h = self.activation(self.first_norm(self.first(x)) * (1.0 + scale) + shift)
        result: Tensor = self.activation(self.second_norm(self.second(h))) + self.skip(x)
        return result


class ConditionalUNet1D(nn.Module):
    """Noise of a chunk, conditioned on the observation and the step time.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        config = config if config is not None else UNetConfig()
        config.validate()
        self.config = config
        width, channels = config.cond_dim, config.channels
        self.time = nn.Sequential(TimeEmbedding(width), *mlp([width, 2 * width, width], nn.Mish))
        self.observation = mlp([config.obs_dim, width, width], nn.Mish)
        self.down = nn.ModuleList(
            ConditionedBlock(inputs, outputs, config)
            for inputs, outputs in itertools.pairwise((config.action_dim, *channels))
        )
        self.downsample = nn.ModuleList(nn.Conv1d(c, c, 3, 2, 1) for c in channels[:-1])
        self.middle = ConditionedBlock(channels[-1], channels[-1], config)
        self.upsample = nn.ModuleList(nn.ConvTranspose1d(c, c, 4, 2, 1) for c in channels[:0:-1])
        self.up = nn.ModuleList(
            ConditionedBlock(deep + shallow, shallow, config)
            for shallow, deep in reversed(list(itertools.pairwise(channels)))
        )
        self.out = nn.Conv1d(channels[0], config.action_dim, 1)

    def encode(self, observation: Tensor) -> Tensor:
        """The observation's part of the condition: (B, obs_dim) to (B, cond_dim)."""
        encoded: Tensor = self.observation(observation)
        return encoded

    def step(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """Noise (B, T, D) in the chunk ``x`` (B, T, D) at time ``t`` (B,) for the encoded observation.

        Raises:
            ConfigError: T is not a multiple of ``config.length_divisor``.
        """
        self.config.validate_horizon(x.shape[1])
        condition = self.time(t) + context
        h = x.transpose(1, 2)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            h = block(h, condition)
            if level < len(self.downsample):
                skips.append(h)
                h = self.downsample[level](h)
        h = self.middle(h, condition)
        for upsample, block, skip in zip(self.upsample, self.up, reversed(skips), strict=True):
            h = block(torch.cat([upsample(h), skip], dim=1), condition)
        noise: Tensor = self.out(h).transpose(1, 2)
        return noise

    def forward(self, x: Tensor, t: Tensor, observation: Tensor) -> Tensor:
        """``step`` for an observation (B, obs_dim) that is not encoded yet."""
        return self.step(x, t, self.encode(observation))
