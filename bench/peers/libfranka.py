"""libfranka's limitRate for joint positions, with constant and with the FR3's tapering velocity limits."""

from __future__ import annotations

import numpy as np

from peers import Array, Limits


class LimitRate:
    """Jerk, then acceleration within J/A times the distance to the velocity limit, then velocity, integrated.

    `taper`: velocity limit min(V, -0.3 + sqrt(12 room)) as published for the first joint of the FR3, moved so
    that it vanishes at the end of this range.
    """

    def __init__(self, limits: Limits, period_s: float, start: Array, taper: bool = False) -> None:
        self.limits, self.dt, self.taper = limits, period_s, taper
        self.q, self.v, self.a = start.copy(), np.zeros_like(start), np.zeros_like(start)

    def _velocity_limit(self, room: Array) -> Array:
        if not self.taper:
            return np.full_like(room, self.limits.velocity)
        tapered = -0.3 + np.sqrt(np.maximum(0, 12 * (room + 0.0075)))
        return np.clip(tapered, 0, self.limits.velocity)

    def step(self, target: Array) -> Array:
        """The next command (M,)."""
        bound, dt = self.limits, self.dt
        upper = self._velocity_limit(bound.position - self.q)
        lower = -self._velocity_limit(self.q + bound.position)
        jerk = ((np.clip(target, -bound.position, bound.position) - self.q) / dt - self.v) / dt
        jerk = np.clip((jerk - self.a) / dt, -bound.jerk, bound.jerk)
        a = self.a + jerk * dt
        slope = bound.jerk / bound.acceleration
        a = np.minimum(a, np.minimum(slope * (upper - self.v), bound.acceleration))
        self.a = np.maximum(a, np.maximum(slope * (lower - self.v), -bound.acceleration))
        self.v = self.v + self.a * dt
        self.q = self.q + self.v * dt
        return self.q
