"""MoveIt 2's AccelerationLimitedPlugin (2024): the quadratic programme in closed form for one joint."""

from __future__ import annotations

import numpy as np

from peers import Array, Limits


class AccelerationFilter:
    """Nearest point to the target on the way there within q + v dt +- A dt^2; else full braking."""

    def __init__(self, limits: Limits, period_s: float, start: Array) -> None:
        self.limits, self.dt = limits, period_s
        self.q, self.v = start.copy(), np.zeros_like(start)

    def step(self, target: Array) -> Array:
        """The next command (M,)."""
        bound, dt = self.limits, self.dt
        goal = np.clip(target, -bound.position, bound.position)
        reach = bound.acceleration * dt**2
        low = np.maximum(np.minimum(self.q, goal), self.q + self.v * dt - reach)
        high = np.minimum(np.maximum(self.q, goal), self.q + self.v * dt + reach)
        brake = np.clip(-self.v / dt, -bound.acceleration, bound.acceleration)
        q = np.where(low <= high, np.clip(goal, low, high), self.q + (self.v + brake * dt) * dt)
        self.v = (q - self.q) / dt
        self.q = q
        return q
