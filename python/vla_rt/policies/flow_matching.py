"""Flow matching over action chunks: a straight line from noise to action, learned as a velocity field.

Lipman et al. 2023, "Flow Matching for Generative Modeling"; the use on action chunks follows pi0 (Black et
al. 2024).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

import vla_rt
from vla_rt.errors import require
from vla_rt.policies.feature_normalizer import FeatureNormalizer
from vla_rt.policies.features import observation_arrays
from vla_rt.policies.flow_matching_config import FlowMatchingConfig

_LEAST_REMAINING = 0.1  # bounds the weight of the loss


class FlowMatchingPolicy(nn.Module):
    """MLP velocity field on cat(chunk T*D, t, observation), three hidden layers with Mish, solved from noise.

    With ``prediction="action"`` the network's output is the clean chunk that the noisy one comes from, and
    the velocity follows from it (Li and He 2025, "Back to Basics: Let Denoising Generative Models Denoise"):
    a small network need not carry T*D values of noise through its hidden layers, and learns far quicker.

    ``denoise`` is what an exported package runs; the exporter moves what the observation or the time alone
    decides out of the solver's loop.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    def __init__(self, config: FlowMatchingConfig | None = None) -> None:
        super().__init__()
        config = config if config is not None else FlowMatchingConfig()
        config.validate()
        self.config = config
        self._chunk_size = config.horizon * config.action_dim
        self._observation_normalizers = nn.ModuleList(
            FeatureNormalizer(spec.size, config.observation_normalization) for spec in config.observation
        )
        self._action_normalizer = FeatureNormalizer(config.action_dim, config.action_normalization)
        self.encoder = _encoder(config)
        width = config.hidden
        self.input_layer = nn.Linear(self._chunk_size + 1 + config.obs_dim, width)
        self.trunk = nn.Sequential(
            nn.Mish(),
            nn.Linear(width, width),
            nn.Mish(),
            nn.Linear(width, width),
            nn.Mish(),
            nn.Linear(width, self._chunk_size),
        )

    @property
    def normalizers(self) -> dict[str, vla_rt.Normalizer]:
        """C++ normalisers by feature name, and the one of ``"action"``."""
        found = {
            spec.name: normalizer.normalizer
            for spec, normalizer in zip(self.config.observation, self._feature_normalizers(), strict=True)
        }
        return {**found, "action": self._action_normalizer.normalizer}

    @property
    def has_statistics(self) -> bool:
        """Whether every normaliser knows its statistics; until then raw values pass unchanged."""
        return all(n.is_fitted for n in (*self._feature_normalizers(), self._action_normalizer))

    def set_statistics(self, stats: Mapping[str, Mapping[str, Any]]) -> None:
        """Fits the normalisers.

        Args:
            stats: For each observation feature and for ``"action"`` its ``mean``, ``std``, ``min``,
                ``max``, ...

        Raises:
            ConfigError: A feature or statistic is missing or malformed.
        """
        names = [spec.name for spec in self.config.observation]
        for name, normalizer in zip(
            [*names, "action"], [*self._feature_normalizers(), self._action_normalizer], strict=True
        ):
            normalizer.fit(stats.get(name, {}), name)

    def sampler_spec(self) -> dict[str, Any]:
        """Sampler that turns this network into actions, as a package stores it."""
        return {
            "type": "flow_matching",
            "num_steps": self.config.num_steps,
            "solver": self.config.solver,
            "noise_at": self.config.noise_at,
        }

    def denoise(self, x: Tensor, t: Tensor, *observation: Tensor) -> Tensor:
        """Velocity (B, T, D) of the noisy chunk ``x`` (B, T, D) at time ``t`` (B,) or scalar.

        Args:
            x: Noisy chunk in normalised units.
            t: Time between noise and action.
            observation: Normalised features in the order of ``config.observation``, each (B, *shape).
        """
        return self.velocity(x, t, self.observation_features(*observation))

    def velocity(self, x: Tensor, t: Tensor, observation_features: Tensor) -> Tensor:
        """``denoise`` for encoded observations: (B, T, D), (B,) or scalar, (B, obs_dim) to (B, T, D)."""
        return self._to_velocity(self._output(x, t, observation_features), x, t)

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

    def observation_features(self, *observation: Tensor) -> Tensor:
        """Encoded observation (B, obs_dim) of the normalised features, each (B, *shape)."""
        features: Tensor = self.encoder(torch.cat([o.flatten(1) for o in observation], dim=1))
        return features

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Same as ``loss``, so that wrappers such as DistributedDataParallel can be used."""
        return self.loss(batch)

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
        output = self._output(x, t, self.observation_features(*observation))
        if self.config.prediction == "velocity":
            squared = (output - (end - start)).square()
        else:
            squared = (output - action).square() / self._remaining(t, _LEAST_REMAINING)
        pad = batch.get("action_is_pad")
        if pad is None:
            return squared.mean()
        require(
            pad.shape == action.shape[:2],
            "action_is_pad",
            tuple(pad.shape),
            f"must be {tuple(action.shape[:2])}",
        )
        counts = (~pad.bool()).to(squared.dtype)
        return (squared.mean(dim=2) * counts).sum() / counts.sum().clamp(min=1.0)

    @torch.inference_mode()
    def predict(
        self,
        observation: Mapping[str, ArrayLike],
        noise: ArrayLike | None = None,
        step_noise: ArrayLike | None = None,
        seed: int = 0,
    ) -> NDArray[np.float64]:
        """Samples one chunk for one raw, unbatched observation.

        Args:
            observation: Raw features by name, each of its ``config.observation`` shape; finite.
            noise: Initial noise (T, D) in normalised units; drawn from ``seed`` by the core's Philox when
                None.
            step_noise: Accepted for the common signature; flow matching draws no noise after the first.
            seed: Seed of the noise.

        Returns:
            Raw actions (T, D); row 0 is the action for now.

        Raises:
            ConfigError: A feature is missing, has another shape or is not finite; the noise has another
                shape.
        """
        device = self.input_layer.weight.device
        shape = (self.config.horizon, self.config.action_dim)
        arrays = observation_arrays(observation, self.config.observation)
        tensors = [
            normalizer(torch.from_numpy(array).reshape(1, -1).to(device)).reshape(1, *spec.shape)
            for array, spec, normalizer in zip(
                arrays, self.config.observation, self._feature_normalizers(), strict=True
            )
        ]
        features = self.observation_features(*tensors)

        def denoiser(x: NDArray[np.float32], t: float) -> NDArray[np.float32]:
            time = torch.full((1,), t, device=device)
            return self.velocity(torch.from_numpy(x).to(device), time, features).cpu().numpy()

        if noise is None:
            start = np.asarray(vla_rt.samplers.noise(seed, 0, 0, shape), dtype=np.float32)
        else:
            start = np.asarray(noise, dtype=np.float32)
        require(start.shape == shape, "noise", f"shape {start.shape}", f"must have shape {shape}")
        sampler = vla_rt.samplers.FlowMatchingSampler(
            num_steps=self.config.num_steps, solver=self.config.solver, noise_at=self.config.noise_at
        )
        sample = sampler.sample(denoiser, start[None], seed=seed, step_noise=step_noise)
        return self._action_normalizer.inverse(torch.from_numpy(sample[0]).to(device)).cpu().numpy()

    def _feature_normalizers(self) -> list[FeatureNormalizer]:
        return [n for n in self._observation_normalizers if isinstance(n, FeatureNormalizer)]

    def _normalized_observation(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        tensors = []
        for spec, normalizer in zip(self.config.observation, self._feature_normalizers(), strict=True):
            raw = _entry(batch, spec.name)
            require(
                raw.dim() == 1 + len(spec.shape) and tuple(raw.shape[1:]) == spec.shape,
                spec.name,
                f"shape {tuple(raw.shape)}",
                f"must be (B, {', '.join(map(str, spec.shape))})",
            )
            tensors.append(normalizer(raw.flatten(1)).reshape(raw.shape))
        return tensors

    def _normalized_action(self, batch: Mapping[str, Tensor]) -> Tensor:
        raw = _entry(batch, "action")
        shape = (self.config.horizon, self.config.action_dim)
        require(
            raw.dim() == 3 and tuple(raw.shape[1:]) == shape,
            "action",
            f"shape {tuple(raw.shape)}",
            f"must be (B, {shape[0]}, {shape[1]})",
        )
        normalized: Tensor = self._action_normalizer(raw)
        return normalized


def _entry(batch: Mapping[str, Tensor], name: str) -> Tensor:
    require(name in batch, name, "missing", f"the batch has {sorted(batch)}")
    return batch[name]


def _encoder(config: FlowMatchingConfig) -> nn.Module:
    if config.encoder_hidden is None:
        return nn.Identity()
    widths = [sum(spec.size for spec in config.observation), *config.encoder_hidden, config.obs_dim]
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.Mish()]
    return nn.Sequential(*layers)
