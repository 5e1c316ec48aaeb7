"""Behaviour cloning: observation to action by regression."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vla_rt.errors import require
from vla_rt.policies.action_decoder import FeaturePolicyConfig
from vla_rt.policies.direct_policy import RegressionPolicy
from vla_rt.policies.feature_normalizer import NormalizationMode
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.networks.resnet import PooledResNet
from vla_rt.policies.observation_encoder import joined
from vla_rt.policies.policy_config import PolicyConfig


@dataclass(frozen=True)
class BCConfig(FeaturePolicyConfig):
    """Sizes of a ``BCPolicy``."""

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("observation.state", (7,)),)
    observation_normalization: NormalizationMode = "mean_std"
    hidden: tuple[int, ...] = (256, 256, 256)


class BCPolicy(RegressionPolicy):
    """Observation through three layers of 256 with ReLU to the action; mean squared error.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: BCConfig

    def __init__(self, config: BCConfig | None = None) -> None:
        config = config if config is not None else BCConfig()
        super().__init__(config)
        self.layers = mlp([config.feature_size, *config.hidden, config.horizon * config.action_dim])

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D) in normalised units."""
        actions: Tensor = self.layers(joined(observation))
        return self._rows(actions)


@dataclass(frozen=True)
class VisionBCConfig(PolicyConfig):
    """Sizes of a ``VisionBCPolicy``; with several images each has a network of its own.

    Attributes:
        image_width: Channels of the first of the network's four stages; 64 gives 512 features.
        state_hidden: Width of the two layers over the proprioception.
        hidden: Widths of the hidden layers of the head.
    """

    observation: tuple[FeatureSpec, ...] = (
        FeatureSpec("observation.image", (3, 96, 96)),
        FeatureSpec("observation.state", (14,)),
    )
    horizon: int = 1
    execution_horizon: int = 1
    image_width: int = 64
    state_hidden: int = 64
    hidden: tuple[int, ...] = (256, 256)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", tuple(self.hidden))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("image_width", "state_hidden", "hidden")
        self._require_numbers()
        for what, count in (
            ("images (C, H, W)", sum(s.is_image for s in self.observation)),
            ("numbers", sum(not s.is_image for s in self.observation)),
        ):
            require(count > 0, "observation", f"no {what}", "needs images and numbers")


class VisionBCPolicy(RegressionPolicy):
    """ResNet-18 features 512 beside proprioception 14 -> 64 -> 64; the head 576 -> 256 -> 256 -> D.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: VisionBCConfig

    def __init__(self, config: VisionBCConfig | None = None) -> None:
        config = config if config is not None else VisionBCConfig()
        super().__init__(config)
        images = [spec for spec in config.observation if spec.is_image]
        state_size = sum(spec.size for spec in config.observation if not spec.is_image)
        self.images = nn.ModuleList(
            PooledResNet(config.image_width, channels=spec.shape[0]) for spec in images
        )
        self.state = mlp([state_size, config.state_hidden, config.state_hidden], activate_last=True)
        features = len(images) * 8 * config.image_width + config.state_hidden
        self.layers = mlp([features, *config.hidden, config.horizon * config.action_dim])

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D) in normalised units."""
        specs = self.config.observation
        images = [o for o, spec in zip(observation, specs, strict=True) if spec.is_image]
        numbers = tuple(o for o, spec in zip(observation, specs, strict=True) if not spec.is_image)
        seen = [network(image) for network, image in zip(self.images, images, strict=True)]
        actions: Tensor = self.layers(torch.cat([*seen, self.state(joined(numbers))], dim=1))
        return self._rows(actions)
