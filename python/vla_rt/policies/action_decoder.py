"""Features of a backbone to one action."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vla_rt.policies.direct_policy import RegressionPolicy
from vla_rt.policies.feature_normalizer import NormalizationMode
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.networks.action_head import ActionHead
from vla_rt.policies.observation_encoder import joined
from vla_rt.policies.policy_config import PolicyConfig


@dataclass(frozen=True)
class FeaturePolicyConfig(PolicyConfig):
    """A policy over features that a backbone computed, which are left as they are.

    Attributes:
        hidden: Widths of the hidden layers.
    """

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("features", (768,)),)
    horizon: int = 1
    execution_horizon: int = 1
    observation_normalization: NormalizationMode = "identity"
    hidden: tuple[int, ...] = (256, 128)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", tuple(self.hidden))

    @property
    def feature_size(self) -> int:
        """Number of values of all features."""
        return sum(spec.size for spec in self.observation)

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("hidden")
        self._require_numbers()


@dataclass(frozen=True)
class ActionDecoderConfig(FeaturePolicyConfig):
    """Sizes of an ``ActionDecoder``."""


class ActionDecoder(RegressionPolicy):
    """Features 768 through 256 and 128 with ReLU to D values, tanh times a learned scale per dimension.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: ActionDecoderConfig

    def __init__(self, config: ActionDecoderConfig | None = None) -> None:
        config = config if config is not None else ActionDecoderConfig()
        super().__init__(config)
        self.head_layers = ActionHead(config.feature_size, config.hidden, config.horizon * config.action_dim)

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D) in normalised units."""
        actions: Tensor = self.head_layers(joined(observation))
        return self._rows(actions)
