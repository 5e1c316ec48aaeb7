"""A decoder whose actions keep joint limits and velocities that are given with every observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from vla_rt.errors import ConfigError, error, require
from vla_rt.policies.action_decoder import FeaturePolicyConfig
from vla_rt.policies.chunk_policy import batch_entry, mean_over_rows
from vla_rt.policies.direct_policy import DirectPolicy
from vla_rt.policies.feature_normalizer import NormalizationMode
from vla_rt.policies.features import FeatureSpec, batch_feature
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.observation_encoder import joined
from vla_rt.rtc import Guidance

POSITION, LIMITS, VELOCITY = "observation.state", "joint_limits", "max_velocity"


@dataclass(frozen=True)
class ConstrainedActionDecoderConfig(FeaturePolicyConfig):
    """Sizes of a ``ConstrainedActionDecoder``.

    ``observation`` holds, besides any features, ``observation.state`` (D,), the joint positions now [rad],
    ``joint_limits`` (2, D), lower and upper [rad], and ``max_velocity`` (D,) [rad/s].
    """

    observation: tuple[FeatureSpec, ...] = (
        FeatureSpec("features", (768,)),
        FeatureSpec(POSITION, (7,)),
        FeatureSpec(LIMITS, (2, 7)),
        FeatureSpec(VELOCITY, (7,)),
    )
    action_normalization: NormalizationMode = "identity"

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        for name in ("observation_normalization", "action_normalization"):
            value = getattr(self, name)
            require(value == "identity", name, value, "must be identity: limits are raw")
        shapes = {spec.name: spec.shape for spec in self.observation}
        d = self.action_dim
        for name, shape in ((POSITION, (d,)), (LIMITS, (2, d)), (VELOCITY, (d,))):
            require(name in shapes, "observation", sorted(shapes), f"must have {name}")
            require(shapes[name] == shape, f"observation.{name}", shapes[name], f"must have shape {shape}")


class ConstrainedActionDecoder(DirectPolicy):
    """Joint positions within the limits, each within ``max_velocity * period_s`` of the one before.

    The network sees the features, where in its range each joint is and what part of it a row may cover; tanh
    maps into the joint limits; then every row is brought within reach of the one before, the first of
    the joint positions now. Where the robot starts outside its limits it moves back as fast as it may: the
    velocity holds always. Both hold to the rounding of float32.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: ConstrainedActionDecoderConfig

    def __init__(self, config: ConstrainedActionDecoderConfig | None = None) -> None:
        config = config if config is not None else ConstrainedActionDecoderConfig()
        super().__init__(config)
        self.layers = mlp(
            [config.feature_size - 2 * config.action_dim, *config.hidden, config.horizon * config.action_dim]
        )

    def answer(self, *observation: Tensor) -> Tensor:
        """Joint positions (B, T, D) [rad]."""
        named = self._named(observation)
        reach = named[VELOCITY] * self.config.period_s
        last, rows = named[POSITION], []
        for wish in self._wishes(observation).unbind(dim=1):
            last = last + torch.minimum(torch.maximum(wish - last, -reach), reach)
            rows.append(last)
        return torch.stack(rows, dim=1)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Squared error before the velocity is limited, relative to the joints' range.

        Arguments and errors as ``ChunkPolicy.loss``; also limits that are none.
        """
        specs = self.config.observation
        raw = {spec.name: batch_feature(batch_entry(batch, spec.name), spec) for spec in specs}
        _require_limits(raw[LIMITS], raw[VELOCITY])
        observation = tuple(self._normalized(list(raw.values())))
        lower, upper = self._named(observation)[LIMITS].unbind(dim=1)
        errors = (self._wishes(observation) - self._raw_action(batch).float()) / (upper - lower)[:, None]
        return mean_over_rows(errors.square().mean(dim=2), batch)

    def _sample(
        self,
        features: list[Tensor],
        noise: ArrayLike | None,
        step_noise: ArrayLike | None,
        seed: int,
        guidance: Guidance | None,
    ) -> Tensor:
        named = self._named(tuple(features))
        _require_limits(named[LIMITS], named[VELOCITY])
        return super()._sample(features, noise, step_noise, seed, guidance)

    def _named(self, observation: tuple[Tensor, ...]) -> dict[str, Tensor]:
        names = [spec.name for spec in self.config.observation]
        return dict(zip(names, observation, strict=True))

    def _wishes(self, observation: tuple[Tensor, ...]) -> Tensor:
        """Positions (B, T, D) within the joint limits."""
        named = self._named(observation)
        lower, upper = named[LIMITS].unbind(dim=1)
        span = upper - lower
        place = 2.0 * (named[POSITION] - lower) / span - 1.0
        reach = (named[VELOCITY] * self.config.period_s / span).clamp(max=1.0)
        features = [named[name] for name in named if name not in (POSITION, LIMITS, VELOCITY)]
        part = 0.5 * (torch.tanh(self._rows(self.layers(joined((*features, place, reach))))) + 1.0)
        return lower[:, None] + span[:, None] * part


def _require_limits(limits: Tensor, velocity: Tensor) -> None:
    for name, bad, bound in (
        (LIMITS, ~(limits[:, 0] < limits[:, 1]), "lower must be below upper"),
        (VELOCITY, ~(velocity >= 0), "must be >= 0"),
    ):
        found = torch.nonzero(bad)
        if found.numel():
            raise error(ConfigError, f"{name}[{int(found[0, 1])}]", "", bound)
