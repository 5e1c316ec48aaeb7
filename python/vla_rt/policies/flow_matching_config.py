"""Sizes and conventions of a flow matching policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vla_rt.errors import require
from vla_rt.policies.observation_encoder import EncodedPolicyConfig

PREDICTIONS = ("velocity", "action")
SOLVERS = ("euler", "midpoint", "heun", "rk4")


@dataclass(frozen=True)
class FlowMatchingConfig(EncodedPolicyConfig):
    """Sizes and conventions of a ``FlowMatchingPolicy``, beside those of ``EncodedPolicyConfig``.

    Attributes:
        hidden: Width of the three hidden layers of the velocity network.
        num_steps: Steps of the solver from noise to action.
        solver: ``euler``, ``midpoint``, ``heun`` or ``rk4``.
        prediction: What the network's output means: the ``velocity``, as published, or the clean ``action``.
        noise_at: Time at which the chunk is pure noise: 0 (the action is at 1) or 1 (pi0's convention).
        max_delay: Trained real-time chunking: 0 to max_delay rows at the front, as many at random, are shown
            clean in training and do not count in the loss, so that a chunk continues rows that are on their
            way already. The network then sees a time per row. 0 trains without.
    """

    hidden: int = 256
    num_steps: int = 10
    solver: Literal["euler", "midpoint", "heun", "rk4"] = "euler"
    noise_at: Literal[0, 1] = 0
    prediction: Literal["velocity", "action"] = "velocity"
    max_delay: int = 0

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("hidden", "num_steps")
        self._require_one_of("solver", SOLVERS)
        self._require_one_of("prediction", PREDICTIONS)
        require(
            self.prediction == "velocity" or self.solver in ("euler", "midpoint"),
            "solver",
            self.solver,
            "must be euler or midpoint with prediction = action: the others ask at the action itself",
        )
        self._require_one_of("noise_at", (0, 1))
        require(
            0 <= self.max_delay < self.horizon,
            "max_delay",
            self.max_delay,
            f"must be 0..horizon - 1 = {self.horizon - 1}",
        )
