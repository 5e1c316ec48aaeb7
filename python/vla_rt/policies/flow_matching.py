"""Flow matching over action chunks: a straight line from noise to action, learned as a velocity field.

Lipman et al. 2023, "Flow Matching for Generative Modeling"; the use on action chunks follows pi0 (Black et
al. 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vla_rt.errors import require
from vla_rt.policies.chunk_policy import mean_over_rows
from vla_rt.policies.denoising_policy import DenoisingPolicy
from vla_rt.policies.flow_matching_config import FlowMatchingConfig
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.observation_encoder import observation_encoder

_LEAST_REMAINING = 0.1  # bounds the weight of the loss


class FlowMatchingPolicy(DenoisingPolicy):
    """MLP velocity field on cat(chunk T*D, t, observation), three hidden layers with Mish, solved from noise.

    With ``prediction="action"`` the network's output is the clean chunk that the noisy one comes from, and
    the velocity follows from it (Li and He 2025, "Back to Basics: Let Denoising Generative Models Denoise"):
    a small network need not carry T*D values of noise through its hidden layers, and learns far quicker.

    With ``max_delay`` it is trained for real-time chunking (Black et al. 2025, "Training-Time Action
    Conditioning for Efficient Real-Time Chunking"): rows at the front may be given clean, each row has its
    own time, and the sampler takes the first ``delay`` rows of a ``guidance`` as they are.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: FlowMatchingConfig
    _given_above: Tensor

    def __init__(self, config: FlowMatchingConfig | None = None) -> None:
        config = config if config is not None else FlowMatchingConfig()
        super().__init__(config)
        self._chunk_size = config.horizon * config.action_dim
        self.encoder = observation_encoder(config)
        width = config.hidden
        self._times = config.horizon if config.max_delay else 1
        self.input_layer = nn.Linear(self._chunk_size + self._times + config.obs_dim, width)
        # times lie in [0, 1], so that row i is clean from 2 (i + 1) on
        above = 2.0 * torch.arange(config.horizon) + 1.5
        self.register_buffer("_given_above", above, persistent=False)
        self.trunk = nn.Sequential(nn.Mish(), *mlp([width, width, width, self._chunk_size], nn.Mish))

    def sampler_spec(self) -> dict[str, Any]:
        """Sampler that turns this network into actions, as a package stores it."""
        spec = {
            "type": "flow_matching",
            "num_steps": self.config.num_steps,
            "solver": self.config.solver,
            "noise_at": self.config.noise_at,
        }
        return {**spec, "max_delay": self.config.max_delay} if self.config.max_delay else spec

    def encode(self, *observation: Tensor) -> Tensor:
        """Encoded observation (B, obs_dim) of the normalised features, each (B, *shape)."""
        features: Tensor = self.encoder(*observation)
        return features

    def step(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """Velocity (B, T, D) of the noisy chunk ``x`` (B, T, D) at time ``t``: scalar or (B,).

        With ``max_delay`` it may be (B, T), a time per row, or t + 2 d: the first d rows are clean.
        """
        t = self._row_times(t)
        return self._to_velocity(self._output(x, t, context), x, t)

    def _row_times(self, t: Tensor) -> Tensor:
        if not self.config.max_delay or t.dim() == 2:
            return t
        given = (t.reshape(-1, 1) > self._given_above).to(t.dtype)  # row i where d > i
        time = t.reshape(-1, 1) - 2 * given.sum(dim=1, keepdim=True)
        return time + given * (self._clean_time - time)

    def _output(self, x: Tensor, t: Tensor, observation_features: Tensor) -> Tensor:
        time = (t if t.dim() == 2 else t.reshape(-1, 1)).expand(x.shape[0], self._times)
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
        """Time from t (B,) or (B, T) to the action, at least ``least``; (B, 1 or T, 1)."""
        remaining = 1.0 - t if self.config.noise_at == 0 else t
        rows = remaining if t.dim() == 2 else remaining.reshape(-1, 1)
        return rows.unsqueeze(2).clamp(min=least)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean squared error of the velocity on the line between noise and action, t uniform in [0, 1).

        With ``prediction="action"``: of the clean chunk, over the time that remains to it, at least 0.1. With
        ``max_delay``: of the rows after the clean ones, whose number is uniform in 0..max_delay.

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
        if self.config.max_delay:
            delay = torch.randint(0, self.config.max_delay + 1, (action.shape[0], 1), device=action.device)
            prefix = torch.arange(self.config.horizon, device=action.device) < delay
            t = torch.where(prefix, self._clean_time, t.reshape(-1, 1))
            batch = {**batch, "action_is_pad": self._pad(batch, prefix)}
        x = torch.lerp(start, end, t.reshape(action.shape[0], -1, 1))
        output = self._output(x, t, self.encode(*observation))
        if self.config.prediction == "velocity":
            squared = (output - (end - start)).square()
        else:
            squared = (output - action).square() / self._remaining(t, _LEAST_REMAINING)
        return mean_over_rows(squared.mean(dim=2), batch)

    @property
    def _clean_time(self) -> float:
        return 1.0 if self.config.noise_at == 0 else 0.0

    def _pad(self, batch: Mapping[str, Tensor], prefix: Tensor) -> Tensor:
        pad = batch.get("action_is_pad")
        if pad is None:
            return prefix
        require(
            pad.shape == prefix.shape, "action_is_pad", tuple(pad.shape), f"must be {tuple(prefix.shape)}"
        )
        return pad.bool() | prefix
