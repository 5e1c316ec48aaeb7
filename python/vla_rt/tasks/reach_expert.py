"""The scripted expert of `reach`: damped least squares with a smooth, limited reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt.errors import require
from vla_rt.robots.panda import PANDA_MAX_ACCELERATION, PANDA_MAX_VELOCITY
from vla_rt.sim.inverse_kinematics import InverseKinematics

__all__ = ["ReachExpert", "ReachExpertConfig"]

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class ReachExpertConfig:
    """How fast the expert moves.

    Attributes:
        max_speed: Of the tool [m/s].
        gain: Tool velocity per distance to the goal, where that is less than `max_speed` [1/s].
        posture_gain: Joint velocity per distance to the rest posture, in the null space [1/s].
        time_constant_s: With which the reference's velocity follows the inverse kinematics [s].
        velocity_fraction: Share of the joints' velocity limits it uses.
        acceleration_fraction: Share of the joints' acceleration limits it uses.
        max_velocity: Joint velocity limits (N) [rad/s].
        max_acceleration: Joint acceleration limits (N) [rad/s^2].
    """

    max_speed: float = 0.45
    gain: float = 5.0
    posture_gain: float = 2.0
    time_constant_s: float = 0.1
    velocity_fraction: float = 0.8
    acceleration_fraction: float = 0.6
    max_velocity: tuple[float, ...] = tuple(PANDA_MAX_VELOCITY.tolist())
    max_acceleration: tuple[float, ...] = tuple(PANDA_MAX_ACCELERATION.tolist())

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        for name in ("max_speed", "gain", "posture_gain", "time_constant_s"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, name, value, "must be finite and > 0")
        for name in ("velocity_fraction", "acceleration_fraction"):
            require(0 < getattr(self, name) <= 1, name, getattr(self, name), "must be in (0, 1]")
        for name in ("max_velocity", "max_acceleration"):
            for i, value in enumerate(getattr(self, name)):
                require(value > 0, f"{name}[{i}]", value, "must be > 0")


class ReachExpert:
    """Turns a goal into a moving reference that brings the tool there in a straight line.

    The wish is the inverse kinematics' joint velocity at the reference, scaled to the velocity limits; the
    reference's own velocity follows it with a time constant and within the acceleration limits.

    Args:
        kinematics: Of the arm; the expert has it to itself.
        config: Rates.

    Raises:
        ConfigError: The configuration is out of its bounds or has another number of joints.
    """

    def __init__(self, kinematics: InverseKinematics, config: ReachExpertConfig | None = None) -> None:
        config = config if config is not None else ReachExpertConfig()
        config.validate()
        for name in ("max_velocity", "max_acceleration"):
            size = len(getattr(config, name))
            require(
                size == kinematics.num_joints,
                name,
                f"{size} values",
                f"the arm has {kinematics.num_joints} joints",
            )
        self._kinematics = kinematics
        self._gains = (config.gain, config.max_speed, config.posture_gain)
        self._time_constant = config.time_constant_s
        self._max_velocity = config.velocity_fraction * np.array(config.max_velocity)
        self._max_acceleration = config.acceleration_fraction * np.array(config.max_acceleration)
        self.position: _Array = kinematics.home  #: reference (N,) [rad]
        self.velocity: _Array = np.zeros(kinematics.num_joints)  #: reference (N,) [rad/s]
        self._posture = kinematics.home
        self._goal = np.zeros(3)

    def reset(self, position: ArrayLike) -> None:
        """Puts the reference at rest at `position` (N,) [rad]."""
        self.position = np.array(position, dtype=np.float64)
        self.velocity = np.zeros_like(self.position)

    def set_goal(self, goal: ArrayLike) -> None:
        """Takes the goal (3,) [m]."""
        self._goal = np.array(goal, dtype=np.float64)
        self._posture = self._kinematics.rest_posture(self._goal)

    def advance(self, dt: float) -> None:
        """Moves `position` and `velocity` on by `dt` [s]."""
        wish = self._wish()
        change = (wish - self.velocity) * (1.0 - np.exp(-dt / self._time_constant))
        change /= max(1.0, float((np.abs(change) / (self._max_acceleration * dt)).max()))
        old = self.velocity
        self.velocity = old + change
        self.position = self.position + 0.5 * dt * (old + self.velocity)

    def _wish(self) -> _Array:
        wish = self._kinematics.velocity(self.position, self._goal, self._posture, *self._gains)
        return wish / max(1.0, float((np.abs(wish) / self._max_velocity).max()))

    def plan(
        self, observation: Mapping[str, _Array], horizon: int, period_s: float, substeps: int = 5
    ) -> _Array:
        """What a policy would say that sees no velocities: a chunk (horizon, N) [rad].

        The reference from the observed joints on, as if it were under way already.

        Args:
            observation: As `reach_observation` makes it.
            horizon: T, number of rows.
            period_s: Time between rows [s].
            substeps: Updates per row.
        """
        self.reset(observation["observation.state"])
        self.set_goal(observation["observation.environment_state"][:3])
        self.velocity = self._wish()
        rows = [self.position]
        for _ in range(horizon - 1):
            for _ in range(substeps):
                self.advance(period_s / substeps)
            rows.append(self.position)
        return np.array(rows)
