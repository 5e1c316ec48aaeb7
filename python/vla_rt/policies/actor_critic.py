"""Actor and critic over shared features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from vla_rt.errors import require
from vla_rt.policies.action_decoder import FeaturePolicyConfig
from vla_rt.policies.chunk_policy import mean_over_rows, per_sample
from vla_rt.policies.continuous_action_decoder import MODES
from vla_rt.policies.direct_policy import GaussianPolicy, normal
from vla_rt.policies.feature_normalizer import NormalizationMode
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.observation_encoder import joined


@dataclass(frozen=True)
class ActorCriticConfig(FeaturePolicyConfig):
    """Sizes of an ``ActorCritic``; ``hidden`` are those of the shared features.

    Attributes:
        mode: Whether it acts by a ``sample`` or by the ``mean``.
        initial_std: Standard deviation at first, in normalised units.
        value_weight: Of the critic's error in the loss.
        entropy_weight: Of the distribution's entropy, which the loss keeps up.
    """

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("observation.state", (7,)),)
    observation_normalization: NormalizationMode = "mean_std"
    hidden: tuple[int, ...] = (256, 256)
    mode: Literal["mean", "sample"] = "sample"
    initial_std: float = 0.5
    value_weight: float = 0.5
    entropy_weight: float = 0.0

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        require(bool(self.hidden), "hidden", "()", "needs at least one layer")
        self._require_one_of("mode", MODES)
        self._require_above_zero("initial_std")
        self._require_not_negative("value_weight", "entropy_weight")


class ActorCritic(GaussianPolicy):
    """Shared features to a normal distribution of the actions (its spread a parameter) and a value.

    A batch with ``return`` (B,) is trained on by advantage actor-critic: the log likelihood weighted by how
    much better the return was than the value, the value by its squared error. Without it the actor clones
    the actions.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: ActorCriticConfig
    optional_targets: ClassVar[tuple[str, ...]] = ("action_is_pad", "return")

    def __init__(self, config: ActorCriticConfig | None = None) -> None:
        config = config if config is not None else ActorCriticConfig()
        super().__init__(config)
        self.mode = config.mode
        size = config.horizon * config.action_dim
        self.features = mlp([config.feature_size, *config.hidden], nn.Tanh, activate_last=True)
        self.actor = nn.Linear(config.hidden[-1], size)
        self.critic = nn.Linear(config.hidden[-1], 1)
        self.log_std = nn.Parameter(torch.full((config.action_dim,), config.initial_std).log())

    def action_distribution(self, *observation: Tensor) -> Normal:
        """Distribution (B, T, D) of the actions in normalised units."""
        return self.evaluate(*observation)[0]

    def value(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Expected return (B,) for raw features (B, *shape) by name; errors as ``distribution``."""
        return self.evaluate(*self._normalized_observation(batch))[1]

    def evaluate(self, *observation: Tensor) -> tuple[Normal, Tensor]:
        """Distribution (B, T, D) of the actions and value (B,), from one pass.

        Args:
            observation: Normalised features in the order of ``config.observation``, each (B, *shape).
        """
        features = self.features(joined(observation))
        mean = self._rows(self.actor(features))
        return normal(mean, self.log_std.exp().expand_as(mean)), self.critic(features)[:, 0]

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Actor-critic where the batch has ``return`` (B,), else cloning; else as ``ChunkPolicy.loss``."""
        found, value = self.evaluate(*self._normalized_observation(batch))
        likelihood: Tensor = found.log_prob(self._normalized_action(batch))  # type: ignore[no-untyped-call]
        rows = likelihood.mean(dim=2)
        if "return" not in batch:
            return mean_over_rows(-rows, batch)
        returns = per_sample(batch, "return", len(value)).to(value)
        advantage = (returns - value).detach()
        actor = mean_over_rows(-rows * advantage[:, None], batch)
        entropy: Tensor = found.entropy()  # type: ignore[no-untyped-call]
        c = self.config
        return actor + c.value_weight * (returns - value).square().mean() - c.entropy_weight * entropy.mean()
