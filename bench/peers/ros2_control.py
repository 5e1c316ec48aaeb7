"""ros2_control's joint_limits (2025): range limiter, soft limits and the saturation of trajectory points.

Formulas of `compute_position_limits`, `SoftJointLimiter` and `JointSaturationLimiter<JointTrajectoryPoint>`,
position commands.
"""

from __future__ import annotations

import numpy as np

from peers import Array, Limits


class RangeLimiter:
    """Position within [previous - d, previous + d], d = min(V, |v| + A dt) dt, and within the range."""

    def __init__(self, limits: Limits, period_s: float, start: Array) -> None:
        self.limits, self.dt = limits, period_s
        self.q, self.v = start.copy(), np.zeros_like(start)

    def step(self, target: Array) -> Array:
        """The next command (M,)."""
        reach = (
            np.minimum(self.limits.velocity, np.abs(self.v) + self.limits.acceleration * self.dt) * self.dt
        )
        q = np.clip(
            np.clip(target, self.q - reach, self.q + reach), -self.limits.position, self.limits.position
        )
        self.v = (q - self.q) / self.dt
        self.q = q
        return q


class SoftLimiter:
    """Velocity within [-k (q - q_min), -k (q - q_max)] and +-V; position within that reach of the last."""

    def __init__(self, limits: Limits, period_s: float, start: Array, gain: float = 20.0) -> None:
        self.limits, self.dt, self.gain = limits, period_s, gain
        self.q = start.copy()

    def step(self, target: Array) -> Array:
        """The next command (M,)."""
        bound = self.limits
        slowest = np.clip(-self.gain * (self.q + bound.position), -bound.velocity, bound.velocity)
        fastest = np.clip(-self.gain * (self.q - bound.position), -bound.velocity, bound.velocity)
        low = np.maximum(self.q + slowest * self.dt, -bound.position)
        high = np.minimum(self.q + fastest * self.dt, bound.position)
        self.q = np.clip(target, low, high)
        return self.q


class TrajectoryPointSaturation:
    """Velocity, then acceleration clamped; brakes when v^2/2A, or v^2/A unbraked, leaves the range."""

    def __init__(self, limits: Limits, period_s: float, start: Array) -> None:
        self.limits, self.dt = limits, period_s
        self.q, self.v = start.copy(), np.zeros_like(start)

    def step(self, target: Array) -> Array:
        """The next command (M,)."""
        bound, dt = self.limits, self.dt
        wish = np.clip(target, -bound.position, bound.position)
        v = np.clip((wish - self.q) / dt, -bound.velocity, bound.velocity)
        a = np.clip((v - self.v) / dt, -bound.acceleration, bound.acceleration)
        v = self.v + a * dt
        room = np.where(v > 0, bound.position - self.q, self.q + bound.position)
        brake = (v != 0) & (room < v**2 / bound.acceleration)  # implies the test with v^2/2A
        a = np.where(brake, np.clip(-self.v / dt, -bound.acceleration, bound.acceleration), a)
        self.q = self.q + self.v * dt + 0.5 * a * dt**2
        self.v = self.v + a * dt
        return self.q
