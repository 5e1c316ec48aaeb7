"""Discrete actions: logits of a linear layer or of a network over vision and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from vla_rt.policies.feature_normalizer import NormalizationMode
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.observation_encoder import joined
from vla_rt.policies.token_policy import ParallelTokenPolicy, TokenPolicyConfig


@dataclass(frozen=True)
class DiscreteActionDecoderConfig(TokenPolicyConfig):
    """Sizes of a ``DiscreteActionDecoder``: ``vocabulary_size`` actions, one per row unless said otherwise.

    Attributes:
        hidden: Widths of hidden layers before the logits.
        dropout: Probability after each of them.
    """

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("features", (768,)),)
    horizon: int = 1
    execution_horizon: int = 1
    action_dim: int = 1
    observation_normalization: NormalizationMode = "identity"
    action_normalization: NormalizationMode = "identity"
    vocabulary: Literal["bins", "index", "motion"] = "index"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", tuple(self.hidden))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("hidden")
        self._require_fraction("dropout")
        self._require_numbers()


class DiscreteActionDecoder(ParallelTokenPolicy):
    """Features 768 through one linear layer to the logits of 256 actions; the largest wins.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: DiscreteActionDecoderConfig

    def __init__(self, config: DiscreteActionDecoderConfig | None = None) -> None:
        config = config if config is not None else DiscreteActionDecoderConfig()
        super().__init__(config)
        size = sum(spec.size for spec in config.observation)
        outputs = config.num_tokens * config.vocabulary_size
        self.layers = mlp([size, *config.hidden, outputs], dropout=config.dropout)

    def encode(self, *observation: Tensor) -> Tensor:
        """Logits (B, N, V)."""
        logits: Tensor = self.layers(joined(observation))
        return logits.reshape(-1, self.config.num_tokens, self.config.vocabulary_size)


@dataclass(frozen=True)
class DiscreteActionGeneratorConfig(DiscreteActionDecoderConfig):
    """Sizes of a ``DiscreteActionGenerator``."""

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("vision", (512,)), FeatureSpec("text", (512,)))
    vocabulary_size: int = 20
    mode: Literal["greedy", "sample"] = "sample"
    hidden: tuple[int, ...] = (512, 256, 128)


class DiscreteActionGenerator(DiscreteActionDecoder):
    """cat(vision 512, text 512) -> 512 -> 256 -> 128 with ReLU -> 20 logits; drawn from their softmax.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: DiscreteActionGeneratorConfig

    def __init__(self, config: DiscreteActionGeneratorConfig | None = None) -> None:
        super().__init__(config if config is not None else DiscreteActionGeneratorConfig())
