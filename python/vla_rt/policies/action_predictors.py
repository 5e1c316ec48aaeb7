"""Image and instruction to actions: straight, or by way of a plan where the chunk shall end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vla_rt.policies.chunk_policy import mean_over_rows
from vla_rt.policies.direct_policy import DirectPolicy, RegressionPolicy
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.multimodal_encoder import MultimodalConfig
from vla_rt.policies.networks.action_head import ActionHead
from vla_rt.policies.observation_encoder import EncodedPolicyConfig, observation_encoder

_IMAGE_AND_INSTRUCTION = (
    FeatureSpec("observation.image", (3, 96, 96)),
    FeatureSpec("instruction", (16,), "int64"),
)


@dataclass(frozen=True)
class DirectActionPredictorConfig(EncodedPolicyConfig):
    """Sizes of a ``DirectActionPredictor``.

    Attributes:
        hidden: Widths of the hidden layers of the decoder.
    """

    observation: tuple[FeatureSpec, ...] = _IMAGE_AND_INSTRUCTION
    horizon: int = 1
    execution_horizon: int = 1
    multimodal: MultimodalConfig | None = field(default_factory=MultimodalConfig)
    hidden: tuple[int, ...] = (256, 128)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", tuple(self.hidden))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("hidden")


class DirectActionPredictor(RegressionPolicy):
    """Image and instruction through a ``MultimodalEncoder`` straight to the actions.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: DirectActionPredictorConfig

    def __init__(self, config: DirectActionPredictorConfig | None = None) -> None:
        config = config if config is not None else DirectActionPredictorConfig()
        super().__init__(config)
        self.encoder = observation_encoder(config)
        self.decoder = ActionHead(config.obs_dim, config.hidden, config.horizon * config.action_dim)

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D) in normalised units."""
        return self._rows(self.decoder(self.encoder(*observation)))


@dataclass(frozen=True)
class HierarchicalActionPredictorConfig(DirectActionPredictorConfig):
    """Sizes of a ``HierarchicalActionPredictor``.

    Attributes:
        plan_hidden: Hidden width of the planner.
        plan_weight: Weight of the planner's error in the loss.
    """

    horizon: int = 8
    execution_horizon: int = 8
    plan_hidden: int = 256
    plan_weight: float = 1.0

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("plan_hidden")
        self._require_not_negative("plan_weight")


class HierarchicalActionPredictor(DirectPolicy):
    """A planner says where the chunk shall end, a controller how to get there.

    The plan is the last row of the chunk, so it is learned from demonstrations without further labels.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: HierarchicalActionPredictorConfig

    def __init__(self, config: HierarchicalActionPredictorConfig | None = None) -> None:
        config = config if config is not None else HierarchicalActionPredictorConfig()
        super().__init__(config)
        width = config.obs_dim
        self.encoder = observation_encoder(config)
        self.planner = ActionHead(width, (config.plan_hidden,), config.action_dim)
        self.controller = ActionHead(
            width + config.action_dim, config.hidden, config.horizon * config.action_dim
        )

    def plan(self, *observation: Tensor) -> Tensor:
        """Where the chunk shall end: (B, D) in normalised units."""
        goal: Tensor = self.planner(self.encoder(*observation))
        return goal

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D) in normalised units."""
        return self._plan_and_act(*observation)[1]

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean squared error of the actions and, weighted, of the plan; else as ``ChunkPolicy.loss``."""
        goal, answer = self._plan_and_act(*self._normalized_observation(batch))
        action = self._normalized_action(batch)
        errors = mean_over_rows((answer - action).square().mean(dim=2), batch)
        missed = (goal - action[:, -1]).square().mean(dim=1, keepdim=True)
        pad = batch.get("action_is_pad")
        last = {} if pad is None else {"action_is_pad": pad[:, -1:]}
        return errors + self.config.plan_weight * mean_over_rows(missed, last)

    def _plan_and_act(self, *observation: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(*observation)
        goal = self.planner(features)
        return goal, self._rows(self.controller(torch.cat([features, goal], dim=1)))
