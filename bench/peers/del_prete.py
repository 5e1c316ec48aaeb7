"""The viability bounds that TSID uses, around a proportional-derivative law.

Del Prete, "Joint Position and Velocity Bounds in Discrete-Time Acceleration/Torque Control of Robot Arms",
IEEE Robotics and Automation Letters 3(1), 2018.
"""

from __future__ import annotations

import numpy as np

from peers import Array, Limits


class ViableAcceleration:
    """Position, viability and rate bounds of the paper around a critically damped law."""

    def __init__(self, limits: Limits, period_s: float, start: Array, stiffness: float = 2500.0) -> None:
        self.limits, self.dt, self.stiffness = limits, period_s, stiffness
        self.q, self.v = start.copy(), np.zeros_like(start)

    def _upper(self, room: Array, v: Array) -> Array:
        """Largest acceleration towards a limit `room` away, moving at v towards it."""
        dt, A = self.dt, self.limits.acceleration
        stop_now = -v / dt
        reach = 2 * (room - dt * v) / dt**2
        with np.errstate(divide="ignore", invalid="ignore"):
            constant = np.where(room > 0, -(v**2) / (2 * room), -np.inf)
        position = np.where(v >= 0, np.where(reach > stop_now, reach, np.minimum(stop_now, constant)), reach)
        b = dt * (2 * v + A * dt)
        c = v**2 - 2 * A * (room - dt * v)
        delta = b**2 - 4 * dt**2 * c
        viable = np.where(
            delta >= 0, np.maximum(stop_now, (-b + np.sqrt(np.maximum(delta, 0))) / (2 * dt**2)), stop_now
        )
        return np.minimum(position, viable)

    def step(self, target: Array) -> Array:
        """The next command (M,)."""
        bound, dt = self.limits, self.dt
        goal = np.clip(target, -bound.position, bound.position)
        wish = self.stiffness * (goal - self.q) - 2 * np.sqrt(self.stiffness) * self.v
        upper = np.minimum(self._upper(bound.position - self.q, self.v), (bound.velocity - self.v) / dt)
        lower = np.maximum(-self._upper(self.q + bound.position, -self.v), (-bound.velocity - self.v) / dt)
        upper, lower = np.minimum(upper, bound.acceleration), np.maximum(lower, -bound.acceleration)
        a = np.maximum(np.minimum(wish, upper), np.minimum(lower, upper))
        self.q = self.q + self.v * dt + 0.5 * a * dt**2
        self.v = self.v + a * dt
        return self.q
