"""Sizes and conventions of a flow matching policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

import vla_rt
from vla_rt.errors import require
from vla_rt.policies.feature_normalizer import NORMALIZATION_MODES, NormalizationMode
from vla_rt.policies.features import FeatureSpec, feature_specs

PREDICTIONS = ("velocity", "action")
SOLVERS = ("euler", "midpoint", "heun", "rk4")


@dataclass(frozen=True)
class FlowMatchingConfig:
    """Sizes and conventions of a ``FlowMatchingPolicy``.

    Attributes:
        observation: What it sees, as ``(name, shape, dtype)``; shapes without batch dimension.
        horizon: T, rows of a chunk.
        action_dim: D, values of a row.
        period_s: Time between two rows [s].
        execution_horizon: Rows to execute before the next chunk is due.
        obs_dim: Width of the encoded observation.
        encoder_hidden: Hidden widths of the observation encoder; None feeds the concatenated features
            directly, which then must have ``obs_dim`` values.
        hidden: Width of the three hidden layers of the velocity network.
        num_steps: Steps of the solver from noise to action.
        solver: ``euler``, ``midpoint``, ``heun`` or ``rk4``.
        prediction: What the network's output means: the ``velocity``, as published, or the clean ``action``.
        noise_at: Time at which the chunk is pure noise: 0 (the action is at 1) or 1 (pi0's convention).
        observation_normalization: Statistics used for the features.
        action_normalization: Statistics used for the actions.
    """

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("observation.state", (7,)),)
    horizon: int = 16
    action_dim: int = 7
    period_s: float = 0.1
    execution_horizon: int = 8
    obs_dim: int = 512
    encoder_hidden: tuple[int, ...] | None = (256,)
    hidden: int = 256
    num_steps: int = 10
    solver: Literal["euler", "midpoint", "heun", "rk4"] = "euler"
    noise_at: Literal[0, 1] = 0
    prediction: Literal["velocity", "action"] = "velocity"
    observation_normalization: NormalizationMode = "mean_std"
    action_normalization: NormalizationMode = "min_max"

    def __post_init__(self) -> None:
        object.__setattr__(self, "observation", feature_specs(self.observation))
        if self.encoder_hidden is not None:
            object.__setattr__(self, "encoder_hidden", tuple(self.encoder_hidden))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        require(
            1 <= self.horizon <= vla_rt.MAX_HORIZON,
            "horizon",
            self.horizon,
            f"must be 1..{vla_rt.MAX_HORIZON}",
        )
        require(
            1 <= self.action_dim <= vla_rt.MAX_ACTION_DIM,
            "action_dim",
            self.action_dim,
            f"must be 1..{vla_rt.MAX_ACTION_DIM}",
        )
        require(
            bool(np.isfinite(self.period_s)) and self.period_s > 0.0,
            "period_s",
            self.period_s,
            "must be finite and > 0",
        )
        require(
            1 <= self.execution_horizon <= self.horizon,
            "execution_horizon",
            self.execution_horizon,
            f"must be 1..horizon = {self.horizon}",
        )
        for name in ("obs_dim", "hidden", "num_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be >= 1")
        for i, width in enumerate(self.encoder_hidden or ()):
            require(width >= 1, f"encoder_hidden[{i}]", width, "must be >= 1")
        if self.encoder_hidden is None:
            size = sum(spec.size for spec in self.observation)
            require(
                size == self.obs_dim,
                "obs_dim",
                self.obs_dim,
                f"without an encoder must be the features' {size} values",
            )
        require(self.solver in SOLVERS, "solver", self.solver, f"must be one of {', '.join(SOLVERS)}")
        require(
            self.prediction in PREDICTIONS,
            "prediction",
            self.prediction,
            f"must be one of {', '.join(PREDICTIONS)}",
        )
        require(
            self.prediction == "velocity" or self.solver in ("euler", "midpoint"),
            "solver",
            self.solver,
            "must be euler or midpoint with prediction = action: the others ask at the action itself",
        )
        require(self.noise_at in (0, 1), "noise_at", self.noise_at, "must be 0 or 1")
        for name in ("observation_normalization", "action_normalization"):
            mode = getattr(self, name)
            require(
                mode in NORMALIZATION_MODES, name, mode, f"must be one of {', '.join(NORMALIZATION_MODES)}"
            )
