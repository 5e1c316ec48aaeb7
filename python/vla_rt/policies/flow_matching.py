"""Flow matching over action chunks: a straight line from noise to action, learned as a velocity field.

Lipman et al. 2023, "Flow Matching for Generative Modeling"; the use on action chunks follows pi0 (Black et
al. 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vla_rt.policies.chunk_policy import ChunkPolicy, mean_over_rows
from vla_rt.policies.flow_matching_config import FlowMatchingConfig
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.observation_encoder import observation_encoder

_LEAST_REMAINING = 0.1  # bounds the weight of the loss


class FlowMatchingPolicy(ChunkPolicy):
    """MLP velocity field on cat(chunk T*D, t, observation), three hidden layers with Mish, solved from noise.

    With ``prediction="action"`` the network's output is the clean chunk that the noisy one comes from, and
    the velocity follows from it (Li and He 2025, "Back to Basics: Let Denoising Generative Models Denoise"):
    a small network need not carry T*D values of noise through its hidden layers, and learns far quicker.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: FlowMatchingConfig

    def __init__(self, config: FlowMatchingConfig | None = None) -> None:
        config = config if config is not None else FlowMatchingConfig()
        super().__init__(config)
        self._chunk_size = config.horizon * config.action_dim
        self.encoder = observation_encoder(config)
        width = config.hidden
        self.input_layer = nn.Linear(self._chunk_size + 1 + config.obs_dim, width)
        self.trunk = nn.Sequential(nn.Mish(), *mlp([width, width, width, self._chunk_size], nn.Mish))

    def sampler_spec(self) -> dict[str, Any]:
        """Sampler that turns this network into actions, as a package stores it."""
        return {
            "type": "flow_matching",
            "num_steps": self.config.num_steps,
            "solver": self.config.solver,
            "noise_at": self.config.noise_at,
        }

    def encode(self, *observation: Tensor) -> Tensor:
        """Encoded observation (B, obs_dim) of the normalised features, each (B, *shape)."""
        features: Tensor = self.encoder(*observation)
        return features

    def step(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """Velocity (B, T, D) of the noisy chunk ``x`` (B, T, D) at time ``t`` (B,) or scalar."""
        return self._to_velocity(self._output(x, t, context), x, t)

    def _output(self, x: Tensor, t: Tensor, observation_features: Tensor) -> Tensor:
        time = t.reshape(-1, 1).expand(x.shape[0], 1)
        joined = torch.cat([x.flatten(1), time, observation_features], dim=1)
        output: Tensor = self.trunk(self.input_layer(joined))
        return output.reshape(-1, self.config.horizon, self.config.action_dim)

    def _to_velocity(self, output: Tensor, x: Tensor, t: Tensor) -> Tensor:
        if self.config.prediction == "velocity":
            return output
        # the line from x reaches the action after the remaining time; midpoint needs no less than the bound
        towards = (output - x) / self._remaining(t, 0.5 / self.config.num_steps)
        return towards if self.config.noise_at == 0 else -towards

    def _remaining(self, t: Tensor, least: float) -> Tensor:
        """Time from t (B,) to the action, at least ``least``; (B, 1, 1)."""
        remaining = 1.0 - t if self.config.noise_at == 0 else t
        return remaining.reshape(-1, 1, 1).clamp(min=least)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean squared error of the velocity on the line between noise and action, t uniform in [0, 1).

        With ``prediction="action"``: of the clean chunk, over the time that remains to it, at least 0.1.

        Args:
            batch: Raw features (B, *shape) by name, ``action`` (B, T, D) raw, and optionally
                ``action_is_pad`` (B, T) bool: rows that do not count.

        Returns:
            Scalar; draws from torch's global generator.

        Raises:
            ConfigError: A key is missing or a shape is wrong.
        """
        observation = self._normalized_observation(batch)
        action = self._normalized_action(batch)
        noise = torch.randn_like(action)
        t = torch.rand(action.shape[0], device=action.device)
        start, end = (noise, action) if self.config.noise_at == 0 else (action, noise)
        x = torch.lerp(start, end, t.reshape(-1, 1, 1))
        output = self._output(x, t, self.encode(*observation))
        if self.config.prediction == "velocity":
            squared = (output - (end - start)).square()
        else:
            squared = (output - action).square() / self._remaining(t, _LEAST_REMAINING)
        return mean_over_rows(squared.mean(dim=2), batch)
