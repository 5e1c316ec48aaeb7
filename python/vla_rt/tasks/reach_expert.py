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
from vla_rt.tasks.scripted_expert import ScriptedExpert

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


class ReachExpert(ScriptedExpert):
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
        super().__init__(
            kinematics.home,
            config.time_constant_s,
            config.velocity_fraction * np.array(config.max_velocity),
            config.acceleration_fraction * np.array(config.max_acceleration),
        )
        self._posture = kinematics.home
        self._goal = np.zeros(3)

    def see(self, observation: Mapping[str, _Array]) -> None:
        """Takes what `reach_observation` shows."""
        self.set_goal(observation["observation.environment_state"][:3])

    def set_goal(self, goal: ArrayLike) -> None:
        """Takes the goal (3,) [m]."""
        self._goal = np.array(goal, dtype=np.float64)
        self._posture = self._kinematics.rest_posture(self._goal)

    def _wished_velocity(self) -> _Array:
        return self._kinematics.velocity(self.position, self._goal, self._posture, *self._gains)
