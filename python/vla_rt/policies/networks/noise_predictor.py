"""MLP over a whole chunk, conditioned on the observation and the step time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vla_rt.errors import require
from vla_rt.policies.checked_config import CheckedConfig
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.networks.time_embedding import TimeEmbedding


@dataclass(frozen=True)
class NoisePredictorConfig(CheckedConfig):
    """Sizes of a ``NoisePredictor``.

    Attributes:
        horizon: T.
        action_dim: D.
        obs_dim: Width of the encoded observation.
        hidden: Width of the three hidden layers and of the condition.
        time_dim: Width of the time embedding, even.
    """

    horizon: int = 16
    action_dim: int = 7
    obs_dim: int = 512
    hidden: int = 256
    time_dim: int = 256

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        self._require_positive("horizon", "action_dim", "obs_dim", "hidden")
        require(
            self.time_dim >= 4 and self.time_dim % 2 == 0, "time_dim", self.time_dim, "must be even and >= 4"
        )


class NoisePredictor(nn.Module):
    """cat(chunk T*D, condition, time embedding) through three hidden layers with ReLU to T*D.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    def __init__(self, config: NoisePredictorConfig | None = None) -> None:
        super().__init__()
        config = config if config is not None else NoisePredictorConfig()
        config.validate()
        self.config = config
        size, hidden = config.horizon * config.action_dim, config.hidden
        self.observation = mlp([config.obs_dim, hidden, hidden])
        self.time = TimeEmbedding(config.time_dim)
        self.layers = mlp([size + hidden + config.time_dim, hidden, hidden, hidden, size])

    def encode(self, observation: Tensor) -> Tensor:
        """Condition (B, hidden) of the encoded observation (B, obs_dim)."""
        encoded: Tensor = self.observation(observation)
        return encoded

    def step(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """Noise (B, T, D) in the chunk ``x`` (B, T, D) at time ``t`` (B,) for the condition."""
        time = self.time(t).expand(x.shape[0], -1)
        noise: Tensor = self.layers(torch.cat([x.flatten(1), context, time], dim=1))
        return noise.reshape(-1, self.config.horizon, self.config.action_dim)

    def forward(self, x: Tensor, t: Tensor, observation: Tensor) -> Tensor:
        """``step`` for an observation (B, obs_dim) that is not encoded yet."""
        return self.step(x, t, self.encode(observation))
