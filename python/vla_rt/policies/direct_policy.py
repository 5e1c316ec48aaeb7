"""Policies that answer in one evaluation: the actions themselves, or a normal distribution of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal

from vla_rt.policies.chunk_policy import mean_over_rows
from vla_rt.policies.denoising_policy import DenoisingPolicy

_ZERO_AND_ONE = (torch.zeros_like, torch.ones_like)


class DirectPolicy(DenoisingPolicy):
    """A policy whose ``answer`` to an observation is what the ``DirectSampler`` reads.

    Attributes:
        head_kind: What the answer means.
        mode: What is taken of a distribution.
        clip_sample: Whether actions are clamped to ``clip_range`` in normalised units.
        clip_range: Bound of the clamp.
    """

    head_kind: ClassVar[Literal["value", "normal"]] = "value"
    mode: Literal["mean", "sample"] = "mean"
    clip_sample: bool = False
    clip_range: float = 1.0

    @abstractmethod
    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D), or means and standard deviations (B, 2, T, D), in normalised units.

        Args:
            observation: Normalised features in the order of ``config.observation``, each (B, *shape).
        """

    def encode(self, *observation: Tensor) -> Tensor:
        """The answer: nothing is left for the sampler's loop."""
        return self.answer(*observation)

    def step(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """The answer that ``encode`` gave, whatever the noise and the time."""
        return context

    def sampler_spec(self) -> dict[str, Any]:
        """Sampler that turns this network into actions, as a package stores it."""
        return {
            "type": "direct",
            "head": self.head_kind,
            "mode": self.mode,
            "num_components": 1,
            "clip_sample": self.clip_sample,
            "clip_range": self.clip_range,
        }


class RegressionPolicy(DirectPolicy):
    """A direct policy that is trained by the mean squared error of its actions in normalised units."""

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean squared error of the actions; arguments and errors as ``ChunkPolicy.loss``."""
        answer = self.answer(*self._normalized_observation(batch))
        return mean_over_rows((answer - self._normalized_action(batch)).square().mean(dim=2), batch)


class GaussianPolicy(DirectPolicy):
    """A direct policy over a normal distribution of every value, trained by its likelihood."""

    head_kind: ClassVar[Literal["value", "normal"]] = "normal"

    @abstractmethod
    def action_distribution(self, *observation: Tensor) -> Normal:
        """Distribution (B, T, D) of the actions in normalised units; arguments as ``answer``."""

    def distribution(self, batch: Mapping[str, Tensor]) -> Normal:
        """Distribution of raw actions for raw features (B, *shape) by name: (B, D), or (B, T, D) with T > 1.

        This is what ``vr.training.reinforce`` and ``actor_critic`` act and learn by.

        Raises:
            ConfigError: A feature is missing or has another shape.
        """
        found = self.action_distribution(*self._normalized_observation(batch))
        zero, one = (self._action_normalizer.inverse(f(found.mean[:1, :1])) for f in _ZERO_AND_ONE)
        scale = (one - zero).abs().float()
        mean, std = self._action_normalizer.inverse(found.mean).float(), found.stddev * scale
        if self.config.horizon == 1:
            mean, std = mean[:, 0], std[:, 0]
        return normal(mean, std)

    def answer(self, *observation: Tensor) -> Tensor:
        """Means and standard deviations (B, 2, T, D)."""
        found = self.action_distribution(*observation)
        return torch.stack([found.mean, found.stddev], dim=1)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Negative log likelihood per value; arguments and errors as ``ChunkPolicy.loss``."""
        found = self.action_distribution(*self._normalized_observation(batch))
        likelihood: Tensor = found.log_prob(self._normalized_action(batch))  # type: ignore[no-untyped-call]
        return mean_over_rows(-likelihood.mean(dim=2), batch)


def positive_std(logits: Tensor) -> Tensor:
    """Softplus + 1e-5: a standard deviation that is never 0."""
    return F.softplus(logits) + 1e-5


def normal(mean: Tensor, std: Tensor) -> Normal:
    """The distribution, without checks of its values, which an export cannot follow."""
    return Normal(mean, std, validate_args=False)
