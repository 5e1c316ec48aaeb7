"""Features of a backbone to a normal distribution of the action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.distributions import Normal

from vla_rt.policies.action_decoder import FeaturePolicyConfig
from vla_rt.policies.direct_policy import GaussianPolicy, normal, positive_std
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.observation_encoder import joined

MODES = ("mean", "sample")


@dataclass(frozen=True)
class ContinuousActionDecoderConfig(FeaturePolicyConfig):
    """Sizes of a ``ContinuousActionDecoder``; ``hidden`` may hold layers before the two heads.

    Attributes:
        mode: Whether it acts by a ``sample`` or by the ``mean``.
    """

    hidden: tuple[int, ...] = ()
    mode: Literal["mean", "sample"] = "sample"

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_one_of("mode", MODES)


class ContinuousActionDecoder(GaussianPolicy):
    """Linear mean and softplus standard deviation (at least 1e-5) of every value.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: ContinuousActionDecoderConfig

    def __init__(self, config: ContinuousActionDecoderConfig | None = None) -> None:
        config = config if config is not None else ContinuousActionDecoderConfig()
        super().__init__(config)
        self.mode = config.mode
        size = config.horizon * config.action_dim
        self.mean = mlp([config.feature_size, *config.hidden, size])
        self.std = mlp([config.feature_size, *config.hidden, size])

    def action_distribution(self, *observation: Tensor) -> Normal:
        """Distribution (B, T, D) of the actions in normalised units."""
        features = joined(observation)
        mean, std = self.mean(features), positive_std(self.std(features))
        return normal(self._rows(mean), self._rows(std))
