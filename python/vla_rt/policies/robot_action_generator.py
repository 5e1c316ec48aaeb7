"""Vision and text features to a bounded, normally distributed action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor
from torch.distributions import Normal

from vla_rt.policies.action_decoder import FeaturePolicyConfig
from vla_rt.policies.continuous_action_decoder import MODES
from vla_rt.policies.direct_policy import GaussianPolicy, normal, positive_std
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.observation_encoder import joined


@dataclass(frozen=True)
class RobotActionGeneratorConfig(FeaturePolicyConfig):
    """Sizes of a ``RobotActionGenerator``.

    Attributes:
        dropout: Probability after each hidden layer.
        mode: Whether it acts by a ``sample`` or by the ``mean``.
        clip_range: Bound of the actions in normalised units: with ``min_max`` statistics 1 is the range of
            the data.
    """

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("vision", (512,)), FeatureSpec("text", (512,)))
    hidden: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.1
    mode: Literal["mean", "sample"] = "sample"
    clip_range: float = 1.0

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_fraction("dropout")
        self._require_one_of("mode", MODES)
        self._require_above_zero("clip_range")


class GeneratedAction(NamedTuple):
    """What ``RobotActionGenerator.generate`` answers, in normalised units."""

    action: Tensor
    mean: Tensor
    std: Tensor
    features: Tensor


class RobotActionGenerator(GaussianPolicy):
    """cat(vision 512, text 512) -> 1024 -> 512 -> 256 with ReLU and dropout, then mean and std.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: RobotActionGeneratorConfig
    clip_sample = True

    def __init__(self, config: RobotActionGeneratorConfig | None = None) -> None:
        config = config if config is not None else RobotActionGeneratorConfig()
        super().__init__(config)
        self.mode, self.clip_range = config.mode, config.clip_range
        size = config.horizon * config.action_dim
        widths = [config.feature_size, *config.hidden]
        self.fusion = mlp(widths, dropout=config.dropout, activate_last=True)
        self.mean, self.std = mlp([widths[-1], size]), mlp([widths[-1], size])

    def action_distribution(self, *observation: Tensor) -> Normal:
        """Distribution (B, T, D) of the actions in normalised units, before the bound."""
        return self._distribution(self.fusion(joined(observation)))

    def generate(self, *observation: Tensor) -> GeneratedAction:
        """Draws a bounded action from torch's generator.

        Args:
            observation: Normalised features in the order of ``config.observation``, each (B, *shape).

        Returns:
            Action, mean and standard deviation (B, T, D), features (B, 256).
        """
        features = self.fusion(joined(observation))
        found = self._distribution(features)
        action: Tensor = found.sample()  # type: ignore[no-untyped-call]
        bounded = action.clamp(-self.clip_range, self.clip_range)
        return GeneratedAction(bounded, found.mean, found.stddev, features)

    def _distribution(self, features: Tensor) -> Normal:
        mean, std = self.mean(features), positive_std(self.std(features))
        return normal(self._rows(mean), self._rows(std))
