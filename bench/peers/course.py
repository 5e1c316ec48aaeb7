"""The action constraint enforcer of the vision-language-action course: clamps and a moving average."""

from __future__ import annotations

import numpy as np

from peers import Array, Limits


class ClampAndAverage:
    """Position clamp, change limited to velocity times dt, then s' = alpha s + (1 - alpha) x."""

    def __init__(self, limits: Limits, period_s: float, start: Array, alpha: float = 0.0) -> None:
        self.limits, self.dt, self.alpha = limits, period_s, alpha
        self.q = start.copy()

    def step(self, target: Array) -> Array:
        """The next command (M,)."""
        inside = np.clip(target, -self.limits.position, self.limits.position)
        change = self.limits.velocity * self.dt
        limited = np.clip(inside, self.q - change, self.q + change)
        self.q = self.alpha * self.q + (1 - self.alpha) * limited
        return self.q
