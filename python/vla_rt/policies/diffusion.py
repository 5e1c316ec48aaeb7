"""Diffusion over action chunks.

Ho et al. 2020, "Denoising Diffusion Probabilistic Models"; the use on action chunks follows Chi et al. 2023,
"Diffusion Policy: Visuomotor Policy Learning via Action Diffusion".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from vla_rt.errors import require
from vla_rt.policies.chunk_policy import mean_over_rows
from vla_rt.policies.denoising_policy import DenoisingPolicy
from vla_rt.policies.networks.noise_predictor import NoisePredictor, NoisePredictorConfig
from vla_rt.policies.networks.unet import ConditionalUNet1D, UNetConfig
from vla_rt.policies.observation_encoder import EncodedPolicyConfig, observation_encoder

NETWORKS = ("unet", "mlp")
SAMPLERS = ("ddpm", "ddim", "dpm_solver")
PREDICTIONS = ("epsilon", "sample", "v_prediction")


@dataclass(frozen=True)
class DiffusionConfig(EncodedPolicyConfig):
    """Sizes and conventions of a ``DiffusionPolicy``, beside those of ``EncodedPolicyConfig``.

    Attributes:
        network: ``unet`` (``ConditionalUNet1D``) or ``mlp`` (``NoisePredictor``).
        channels: Of the U-Net's levels; the horizon must be a multiple of 2^(levels - 1).
        cond_dim: Width of the U-Net's condition.
        groups: Of the U-Net's group normalisation.
        hidden: Width of the MLP's hidden layers.
        time_dim: Width of the MLP's time embedding.
        num_train_steps: N, noise levels in training.
        beta_start: First beta of the linear schedule.
        beta_end: Last beta.
        prediction: What the network answers: ``epsilon`` (the noise), ``sample`` or ``v_prediction``.
        sampler: ``ddpm``, ``ddim`` or ``dpm_solver``.
        num_steps: Steps of the sampler, 1..num_train_steps.
        clip_sample: Clamp the predicted clean chunk to [-1, 1] (normalised units) in ``ddpm`` and ``ddim``.
    """

    network: Literal["unet", "mlp"] = "unet"
    channels: tuple[int, ...] = (256, 512, 1024)
    cond_dim: int = 256
    groups: int = 8
    hidden: int = 256
    time_dim: int = 256
    num_train_steps: int = 100
    beta_start: float = 1e-4
    beta_end: float = 0.02
    prediction: Literal["epsilon", "sample", "v_prediction"] = "epsilon"
    sampler: Literal["ddpm", "ddim", "dpm_solver"] = "ddpm"
    num_steps: int = 100
    clip_sample: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "channels", tuple(self.channels))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_one_of("network", NETWORKS)
        self._require_one_of("sampler", SAMPLERS)
        self._require_one_of("prediction", PREDICTIONS)
        self._require_range("num_train_steps", 2, 10_000)
        self._require_range("num_steps", 1, self.num_train_steps)
        require(
            0.0 < self.beta_start <= self.beta_end < 1.0,
            "beta_end",
            self.beta_end,
            f"must be in [beta_start, 1), and beta_start = {self.beta_start} above 0",
        )
        if self.network == "unet":
            self.unet().validate()
            self.unet().validate_horizon(self.horizon)
        else:
            self.noise_predictor().validate()

    def unet(self) -> UNetConfig:
        """Sizes of the U-Net."""
        return UNetConfig(self.action_dim, self.obs_dim, self.channels, self.cond_dim, self.groups)

    def noise_predictor(self) -> NoisePredictorConfig:
        """Sizes of the MLP."""
        return NoisePredictorConfig(self.horizon, self.action_dim, self.obs_dim, self.hidden, self.time_dim)


class DiffusionPolicy(DenoisingPolicy):
    """Learns to denoise chunks; a sampler walks from noise to a chunk.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds, among others a horizon that the U-Net cannot
            halve.
    """

    config: DiffusionConfig
    signal: Tensor

    def __init__(self, config: DiffusionConfig | None = None) -> None:
        config = config if config is not None else DiffusionConfig()
        super().__init__(config)
        self.encoder = observation_encoder(config)
        self.network: ConditionalUNet1D | NoisePredictor = (
            ConditionalUNet1D(config.unet())
            if config.network == "unet"
            else NoisePredictor(config.noise_predictor())
        )
        betas = torch.linspace(
            config.beta_start, config.beta_end, config.num_train_steps, dtype=torch.float64
        )
        self.register_buffer("signal", (1.0 - betas).cumprod(0).float(), persistent=False)

    def sampler_spec(self) -> dict[str, Any]:
        """Sampler that turns this network into actions, as a package stores it."""
        c = self.config
        common = {
            "num_train_steps": c.num_train_steps,
            "beta_schedule": "linear",
            "beta_start": c.beta_start,
            "beta_end": c.beta_end,
            "prediction": c.prediction,
            "clip_range": 1.0,
            "num_steps": c.num_steps,
            "steps_offset": 0,
        }
        if c.sampler == "dpm_solver":
            return {
                "type": "dpm_solver",
                **common,
                "clip_sample": False,
                "timestep_spacing": "linspace",
                "algorithm_type": "dpmsolver++",
                "solver_order": 2,
                "solver_type": "midpoint",
                "lower_order_final": True,
                "final_sigmas_type": "zero",
                "use_karras_sigmas": False,
            }
        spec = {"type": c.sampler, **common, "clip_sample": c.clip_sample, "timestep_spacing": "leading"}
        return spec if c.sampler == "ddpm" else {**spec, "eta": 0.0, "set_alpha_to_one": True}

    def encode(self, *observation: Tensor) -> Tensor:
        """The condition (B, n) that normalised features, each (B, *shape), put on the network."""
        return self.network.encode(self.encoder(*observation))

    def step(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """The network's answer (B, T, D) at the chunk ``x`` (B, T, D) and training step ``t`` (B,)."""
        return self.network.step(x, t, context)

    def noised(self, action: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The clean chunk with the noise of training step ``t`` (B,): sqrt(a) action + sqrt(1 - a) noise."""
        signal = self.signal[t].reshape(-1, 1, 1)
        return signal.sqrt() * action + (1.0 - signal).sqrt() * noise

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean squared error of what the network predicts, at a training step drawn uniformly.

        Args:
            batch: Raw features (B, *shape) by name, ``action`` (B, T, D) raw, and optionally
                ``action_is_pad`` (B, T) bool: rows that do not count.

        Returns:
            Scalar; draws from torch's global generator.

        Raises:
            ConfigError: A key is missing or a shape is wrong.
        """
        context = self.encode(*self._normalized_observation(batch))
        action = self._normalized_action(batch)
        noise = torch.randn_like(action)
        t = torch.randint(0, self.config.num_train_steps, (action.shape[0],), device=action.device)
        output = self.step(self.noised(action, noise, t), t, context)
        if self.config.prediction == "epsilon":
            target = noise
        elif self.config.prediction == "sample":
            target = action
        else:
            signal = self.signal[t].reshape(-1, 1, 1)
            target = signal.sqrt() * noise - (1.0 - signal).sqrt() * action
        return mean_over_rows((output - target).square().mean(dim=2), batch)
