"""The scripted expert of `blocks`: over the block, and down a funnel onto it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vla_rt.robots.panda import PANDA_MAX_ACCELERATION, PANDA_MAX_VELOCITY
from vla_rt.sim.inverse_kinematics import InverseKinematics
from vla_rt.sim.scenes import BLOCK_HALF_SIZE
from vla_rt.tasks.funnel import funnel_velocity
from vla_rt.tasks.scripted_expert import ScriptedExpert

__all__ = ["BlocksExpert"]

_Array = NDArray[np.float64]
_INTO_M = 0.010  # of the point aimed at below the top
_THROAT_M, _SLOPE = 0.02, 2.5  # of a funnel as wide as the block: nobody sees it to the millimetre


class BlocksExpert(ScriptedExpert):
    """Brings the stylus onto the block from above, pointing down.

    Args:
        kinematics: Of the arm; the expert has it to itself.
    """

    def __init__(self, kinematics: InverseKinematics) -> None:
        self._kinematics = kinematics
        super().__init__(kinematics.home, 0.1, 0.8 * PANDA_MAX_VELOCITY, 0.6 * PANDA_MAX_ACCELERATION)
        self._top = np.zeros(3)

    def see(self, observation: Mapping[str, _Array]) -> None:
        """Takes what `BlocksScene.show` shows."""
        block = observation["observation.environment_state"][:3]
        self._top = block + np.array([0.0, 0.0, BLOCK_HALF_SIZE - _INTO_M])

    def _wished_velocity(self) -> _Array:
        tool, rotation = self._kinematics.pose(self.position)
        offset = self._top - tool
        linear = funnel_velocity(offset[:2], -offset[2], throat=_THROAT_M, slope=_SLOPE)
        down = np.cross(rotation[:, 2], [0.0, 0.0, -1.0])
        posture = self._kinematics.rest_posture(tool)
        return self._kinematics.pose_velocity(self.position, linear, 3.0 * down, posture)
