"""Sizes and conventions that every acting policy has."""

from __future__ import annotations

from dataclasses import dataclass

import vla_rt
from vla_rt.errors import require
from vla_rt.policies.checked_config import CheckedConfig
from vla_rt.policies.feature_normalizer import NORMALIZATION_MODES, NormalizationMode
from vla_rt.policies.features import FeatureSpec, feature_specs


@dataclass(frozen=True)
class PolicyConfig(CheckedConfig):
    """What a policy sees and answers.

    Attributes:
        observation: What it sees, as ``(name, shape, dtype)``; shapes without batch dimension.
        horizon: T, rows of a chunk.
        action_dim: D, values of a row.
        period_s: Time between two rows [s].
        execution_horizon: Rows to execute before the next chunk is due.
        observation_normalization: Statistics used for the float32 features that are no images.
        image_normalization: Statistics used per channel of the images, whose raw values are in [0, 1].
        action_normalization: Statistics used for the actions.
        unnormalized: Names of features that are passed on as they are, such as embeddings.
    """

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("observation.state", (7,)),)
    horizon: int = 16
    action_dim: int = 7
    period_s: float = 0.1
    execution_horizon: int = 8
    observation_normalization: NormalizationMode = "mean_std"
    image_normalization: NormalizationMode = "identity"
    action_normalization: NormalizationMode = "min_max"
    unnormalized: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "observation", feature_specs(self.observation))
        object.__setattr__(self, "unnormalized", tuple(self.unnormalized))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        self._require_range("horizon", 1, vla_rt.MAX_HORIZON)
        self._require_range("action_dim", 1, vla_rt.MAX_ACTION_DIM)
        self._require_above_zero("period_s")
        require(
            1 <= self.execution_horizon <= self.horizon,
            "execution_horizon",
            self.execution_horizon,
            f"must be 1..horizon = {self.horizon}",
        )
        for name in ("observation_normalization", "image_normalization", "action_normalization"):
            self._require_one_of(name, NORMALIZATION_MODES)

    def normalization_of(self, spec: FeatureSpec) -> NormalizationMode:
        """Statistics that a feature is normalised by."""
        if spec.is_tokens or spec.name in self.unnormalized:
            return "identity"
        return self.image_normalization if spec.is_image else self.observation_normalization

    def vocabulary_of(self, spec: FeatureSpec) -> int | None:
        """Number of ids that a feature of whole numbers may hold; None where that is not known."""
        return None

    def _require_numbers(self) -> None:
        """Only float32 features."""
        for i, spec in enumerate(self.observation):
            require(not spec.is_tokens, f"observation[{i}].dtype", spec.dtype, "must be float32")

    def _require_tokens_of_context(self) -> None:
        """Only float32 features that are rows of numbers (N, C), or one row (C,)."""
        self._require_numbers()
        for i, spec in enumerate(self.observation):
            bound = "must be (N, C) or (C,)"
            require(len(spec.shape) <= 2, f"observation[{i}].shape", spec.shape, bound)

    def _require_axes(self, *axes: int) -> None:
        """As many float32 features as given, with these numbers of axes."""
        count = len(self.observation)
        require(count == len(axes), "observation", f"{count} features", f"must be {len(axes)}")
        self._require_numbers()
        for i, (spec, wanted) in enumerate(zip(self.observation, axes, strict=True)):
            bound = f"must have {wanted} axes"
            require(len(spec.shape) == wanted, f"observation[{i}].shape", spec.shape, bound)
