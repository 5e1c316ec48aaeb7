"""The scripted expert of `pick`: down a funnel to the cube, close, up, down one to the goal, open, up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vla_rt.robots.panda import PANDA_MAX_ACCELERATION, PANDA_MAX_VELOCITY
from vla_rt.sim.inverse_kinematics import InverseKinematics
from vla_rt.sim.scenes import CUBE_HALF_SIZE, GRIPPER_RANGE
from vla_rt.tasks.funnel import funnel_velocity
from vla_rt.tasks.scripted_expert import ScriptedExpert

__all__ = ["PickExpert"]

_Array = NDArray[np.float64]
_OPEN, _CLOSED = GRIPPER_RANGE - 0.002, CUBE_HALF_SIZE - 0.008  # of each finger from the middle [m]
_ARM = 7
_HAND_TURN = -np.pi / 4  # of the hand about the flange's axis


class PickExpert(ScriptedExpert):
    """Its phases follow from what is seen: no phase is remembered.

    The cube is *held* when it is between the fingers and they have stopped at its width, *placed* when it
    lies on the goal. Not held: down to the cube, fingers open, closing when it is between them. Held: to the
    goal. Placed: open, then up. Down and up follow a funnel: the nearer to the axis, the lower.

    Args:
        kinematics: Of the arm; the expert has it to itself.
    """

    def __init__(self, kinematics: InverseKinematics) -> None:
        self._kinematics = kinematics
        super().__init__(
            np.append(kinematics.home, _OPEN),
            0.1,
            np.append(0.8 * PANDA_MAX_VELOCITY, 0.16),
            np.append(0.6 * PANDA_MAX_ACCELERATION, 3.0),
        )
        self._cube = self._goal = np.zeros(3)
        self._yaw, self._opening = 0.0, _OPEN
        self._tool: _Array | None = None  # where it was, while a plan is imagined

    def see(self, observation: Mapping[str, _Array]) -> None:
        """Takes what `PickScene` shows."""
        tool, to_cube, to_goal = observation["observation.environment_state"][:9].reshape(3, 3)
        self._cube = tool + to_cube
        self._goal = self._cube + to_goal
        self._yaw = float(observation["observation.environment_state"][9])
        self._opening = float(observation["observation.state"][_ARM])

    def _held(self, tool: _Array) -> bool:
        offset = np.abs(self._cube - tool)
        between = float(np.hypot(offset[0], offset[1])) < 0.014 and offset[2] < 0.014
        return between and self._opening < CUBE_HALF_SIZE + 0.0015

    def _wished_velocity(self) -> _Array:
        joints = self.position[:_ARM]
        tool, rotation = self._kinematics.pose(joints)
        to_cube = self._cube - tool
        lateral = float(np.hypot(to_cube[0], to_cube[1]))
        to_goal = self._goal[:2] - self._cube[:2]
        placed = np.hypot(*to_goal) < 0.012 and self._cube[2] < CUBE_HALF_SIZE + 0.004
        yaw, fingers = self._yaw, _OPEN
        if placed:
            free = self._opening > CUBE_HALF_SIZE + 0.006
            linear = np.array([0.0, 0.0, 0.2 if free and to_cube[2] > -0.1 else 0.0])
        elif self._held(tool):
            yaw, fingers = 0.0, _CLOSED
            linear = funnel_velocity(to_goal, self._cube[2] - CUBE_HALF_SIZE)
        else:
            linear = funnel_velocity(to_cube[:2], -to_cube[2])
            if lateral < 0.008 and abs(to_cube[2]) < 0.008:
                fingers = _CLOSED
        posture = self._kinematics.rest_posture(tool)
        arm = self._kinematics.pose_velocity(joints, linear, self._turn(rotation, yaw), posture)
        finger = 6.0 * (fingers - self.position[_ARM])
        return np.append(arm, np.clip(finger, -0.16, 0.16))

    @staticmethod
    def _turn(rotation: _Array, yaw: float) -> _Array:
        """Wished turning (3,) [rad/s] of the flange that points the fingers down, closing across ``yaw``."""
        turned = yaw - _HAND_TURN
        c, s = np.cos(turned), np.sin(turned)
        wanted = np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])
        return np.asarray(3.0 * 0.5 * np.cross(rotation, wanted, axis=0).sum(axis=1))

    def _imagine(self) -> None:
        """A held cube comes along, and stops the fingers."""
        tool, _ = self._kinematics.pose(self.position[:_ARM])
        between = bool(np.abs(self._cube - tool).max() < 0.014)
        if between and self._opening < CUBE_HALF_SIZE + 0.0015:
            self._cube = self._cube + (tool - self._tool if self._tool is not None else 0.0)
        self._tool = tool
        self._opening = max(float(self.position[_ARM]), CUBE_HALF_SIZE if between else 0.0)

    def plan(
        self, observation: Mapping[str, _Array], horizon: int, period_s: float, substeps: int = 5
    ) -> _Array:
        """As of `ScriptedExpert`; the fingers' rows go on from where they are measured."""
        self._tool = None
        return super().plan(observation, horizon, period_s, substeps)
