"""klimits (Kiemel and Kroeger, ICRA 2021; package from PyPI): accelerations that stay feasible."""

from __future__ import annotations

import klimits
import numpy as np

from peers import Array, Limits


class ValidAcceleration:
    """A critically damped law, its acceleration at the tick's end clipped to the package's range."""

    def __init__(self, limits: Limits, period_s: float, start: Array, stiffness: float = 2500.0) -> None:
        self.limits, self.dt, self.stiffness = limits, period_s, stiffness
        self.q, self.v, self.a = start.copy(), np.zeros_like(start), np.zeros_like(start)

        def both(bound: float) -> list[list[float]]:
            return [[-bound, bound]] * len(start)

        self.range = klimits.PosVelJerkLimitation(
            time_step=period_s,
            pos_limits=both(limits.position),
            vel_limits=both(limits.velocity),
            acc_limits=both(limits.acceleration),
            jerk_limits=both(limits.jerk),
            acceleration_after_max_vel_limit_factor=1e-4,
            normalize_acc_range=False,
            num_threads=1,
        )
        self.tick = 0

    def step(self, target: Array) -> Array:
        """The next command (M,)."""
        goal = np.clip(target, -self.limits.position, self.limits.position)
        wish = self.stiffness * (goal - self.q) - 2 * np.sqrt(self.stiffness) * self.v
        allowed, _ = self.range.calculate_valid_acceleration_range(
            self.q, self.v, self.a, time_step_counter=self.tick
        )
        self.tick += 1
        a = np.clip(wish, allowed[:, 0], allowed[:, 1])
        self.q = self.q + self.v * self.dt + (self.a / 3 + a / 6) * self.dt**2
        self.v = self.v + 0.5 * (self.a + a) * self.dt
        self.a = a
        return self.q
