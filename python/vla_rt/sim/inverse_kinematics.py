"""Inverse kinematics of the tool's position: damped least squares with a posture in the null space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt.errors import ConfigError, error, require
from vla_rt.sim.arm import ArmSimulation

__all__ = ["InverseKinematics"]

_Array = NDArray[np.float64]


class InverseKinematics:
    """Joint velocities that bring the tool to a goal, and the posture in which it rests there.

    ``dq = J# v + (I - J# J) p``: J# is the damped inverse of the tool's Jacobian (Nakamura and Hanafusa
    1986), v points from the tool to the goal, p to a rest posture: home, with the first joint turned
    towards the goal. The rest posture makes the solution unique: seen as a differential equation it comes to
    rest in the same place from everywhere, which is what lets a policy learn it from examples.

    It computes on a robot of its own and leaves the simulation alone. Not thread safe.

    Args:
        model_path: As of `ArmSimulation`.
        damping: Added to J Jᵀ as its square [m]: bounds the joint velocity near singular postures.
    """

    def __init__(self, model_path: str | Path | None = None, damping: float = 0.01) -> None:
        require(bool(np.isfinite(damping)) and damping > 0, "damping", damping, "must be finite and > 0")
        self._arm = ArmSimulation(model_path)
        self._regular = damping**2 * np.eye(3)
        mujoco: Any = self._arm._mujoco
        self._kinematics, self._com, self._jac = mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_jacSite
        self._tool = self._arm.model.site("tool").id
        self._jacobian = np.zeros((3, self._arm.num_joints))
        self._turning = np.zeros((3, self._arm.num_joints))
        self._low, self._high = self._arm.min_position, self._arm.max_position

    @property
    def num_joints(self) -> int:
        """N."""
        return self._arm.num_joints

    @property
    def home(self) -> _Array:
        """The arm's rest posture (N,) [rad]."""
        return self._arm.home.copy()

    def forward(self, position: ArrayLike) -> _Array:
        """Tool position (3,) [m] at joint positions (N,) [rad]."""
        self._arm.data.qpos[:] = position
        self._kinematics(self._arm.model, self._arm.data)
        return self._arm.tool.copy()

    def jacobian(self, position: ArrayLike) -> _Array:
        """Derivative of the tool's position by the joints (3, N) [m/rad]."""
        model, data = self._arm.model, self._arm.data
        data.qpos[:] = position
        self._kinematics(model, data)
        self._com(model, data)
        self._jac(model, data, self._jacobian, None, self._tool)
        return self._jacobian.copy()

    def rest_posture(self, goal: ArrayLike) -> _Array:
        """Posture (N,) [rad] that the null space is drawn to: home, turned towards the goal."""
        x, y = float(np.asarray(goal)[0]), float(np.asarray(goal)[1])
        posture = self._arm.home.copy()
        posture[0] = np.arctan2(y, x)
        return np.asarray(np.clip(posture, self._low, self._high))

    def velocity(
        self,
        position: _Array,
        goal: _Array,
        posture: _Array,
        gain: float = 5.0,
        max_speed: float = 0.5,
        posture_gain: float = 2.0,
    ) -> _Array:
        """Joint velocities (N,) [rad/s] at `position` (N,) for a goal (3,) [m] and its `rest_posture`.

        Args:
            position: (N,) [rad].
            goal: (3,) [m].
            posture: What the null space is drawn to (N,) [rad].
            gain: Tool velocity per distance to the goal [1/s].
            max_speed: Bound of the tool's speed [m/s].
            posture_gain: Joint velocity per distance to the posture [1/s].
        """
        jacobian = self.jacobian(position)
        offset = goal - self._arm.tool
        speed = gain * float(np.sqrt(offset @ offset))
        wish = offset * (gain * (max_speed / speed if speed > max_speed else 1.0))
        null = posture_gain * (posture - position)
        inner = np.linalg.solve(jacobian @ jacobian.T + self._regular, wish - jacobian @ null)
        return np.asarray(null + jacobian.T @ inner)

    def pose_velocity(
        self, position: _Array, linear: _Array, angular: _Array, posture: _Array, posture_gain: float = 2.0
    ) -> _Array:
        """Joint velocities (N,) [rad/s] at `position` (N,) that move and turn the tool as wished.

        Args:
            position: (N,) [rad].
            linear: Velocity of the tool (3,) [m/s].
            angular: Of its turning, in the base frame (3,) [rad/s].
            posture: What the null space is drawn to (N,) [rad].
            posture_gain: Joint velocity per distance to the posture [1/s].
        """
        model, data = self._arm.model, self._arm.data
        data.qpos[:] = position
        self._kinematics(model, data)
        self._com(model, data)
        self._jac(model, data, self._jacobian, self._turning, self._tool)
        jacobian = np.vstack([self._jacobian, self._turning])
        null = posture_gain * (posture - position)
        wish = np.concatenate([linear, angular]) - jacobian @ null
        inner = np.linalg.solve(jacobian @ jacobian.T + self._regular[0, 0] * np.eye(6), wish)
        return np.asarray(null + jacobian.T @ inner)

    def pose(self, position: ArrayLike) -> tuple[_Array, _Array]:
        """Position (3,) [m] and rotation (3, 3) of the tool at joint positions (N,) [rad]."""
        tool = self.forward(position)
        return tool, self._arm.data.site_xmat[self._tool].reshape(3, 3).copy()

    def is_free(self, position: ArrayLike) -> bool:
        """Whether the arm touches neither itself nor the floor at joint positions (N,) [rad]."""
        self._arm.reset(position)
        return self._arm.num_contacts == 0

    def solve(self, goal: ArrayLike, start: ArrayLike | None = None, tolerance: float = 1e-3) -> _Array:
        """Joint positions (N,) [rad] at rest with the tool at the goal (3,) [m].

        Raises:
            ConfigError: The goal cannot be reached within the joints' ranges and free of contact.
        """
        target = np.asarray(goal, dtype=np.float64)
        q = self._arm.home.copy() if start is None else np.array(start, dtype=np.float64)
        posture = self.rest_posture(target)
        for _ in range(400):
            step = 0.1 * self.velocity(q, target, posture)
            q = np.clip(q + step, self._low, self._high)
            if np.abs(step).max() < 1e-7:
                break
        distance = float(np.linalg.norm(self.forward(q) - target))
        if distance > tolerance:
            raise error(ConfigError, "goal", target, f"out of reach: the tool stays {distance:.3g} m away")
        if not self.is_free(q):
            raise error(ConfigError, "goal", target, "cannot be reached without a collision")
        return q
