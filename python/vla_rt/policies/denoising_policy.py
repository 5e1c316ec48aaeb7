"""Policies whose network answers about a noisy chunk, or about none."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

import vla_rt
from vla_rt.errors import require
from vla_rt.policies.chunk_policy import ChunkPolicy


class DenoisingPolicy(ChunkPolicy):
    """A policy that a sampler of chunks asks at every stage: ``step(x, t, encode(*observation))``."""

    @abstractmethod
    def step(self, x: Tensor, t: Tensor, context: Any) -> Tensor:
        """The network's answer at the noisy chunk ``x`` (B, T, D) in normalised units and time ``t`` (B,)."""

    def denoise(self, x: Tensor, t: Tensor, *observation: Tensor) -> Tensor:
        """``step`` for an observation that is not encoded yet: what an exported package runs."""
        return self.step(x, t, self.encode(*observation))

    def _sample(
        self,
        features: list[Tensor],
        noise: ArrayLike | None,
        step_noise: ArrayLike | None,
        seed: int,
        guidance: vla_rt.rtc.Guidance | None,
    ) -> Tensor:
        context = self.encode(*features)

        def denoiser(x: NDArray[np.float32], t: float) -> NDArray[np.float32]:
            time = torch.full((1,), float(t), device=self.device)
            return self.step(torch.from_numpy(x).to(self.device), time, context).cpu().numpy()

        start, added = self._noises(noise, step_noise, seed)
        sampler = vla_rt.samplers.from_spec(self.sampler_spec())
        sample = sampler.sample(denoiser, start[None], seed=seed, guidance=guidance, step_noise=added)
        return torch.from_numpy(sample[0])

    def _noises(
        self, noise: ArrayLike | None, step_noise: ArrayLike | None, seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Initial noise (T, D), and what a stochastic sampler adds (K, 1, T, D) where it was given."""
        shape = (self.config.horizon, self.config.action_dim)
        if noise is None:
            start = np.array(vla_rt.samplers.noise(seed, 0, 0, shape), dtype=np.float32)
        else:
            start = np.array(noise, dtype=np.float32)
        require(start.shape == shape, "noise", f"shape {start.shape}", f"must have shape {shape}")
        added = None if step_noise is None else np.asarray(step_noise, dtype=np.float32)
        if added is not None:
            require(
                added.ndim == 3, "step_noise", f"shape {added.shape}", f"must be (K, {shape[0]}, {shape[1]})"
            )
            added = added[:, None]
        return start, added
