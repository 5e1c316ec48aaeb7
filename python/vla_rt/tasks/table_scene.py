"""What tasks share in which things lie on the floor in front of the Panda."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import require
from vla_rt.sim.arm import ArmSimulation
from vla_rt.sim.inverse_kinematics import InverseKinematics
from vla_rt.tasks.reach import TaskStatistics
from vla_rt.tasks.scene import Scene

_Array = NDArray[np.float64]


class TableScene(Scene):
    """A scene of things that lie on the floor.

    Args:
        model: mujoco.MjModel of the arm and the things.
        seed: Of what appears.
        timeout_s: After which a trial has failed [s].
    """

    def __init__(self, model: Any, seed: int, timeout_s: float) -> None:
        require(seed >= 0, "seed", seed, "must be >= 0")
        self._seed, self._timeout_s = seed, timeout_s
        self._kinematics = InverseKinematics()
        self.arm = ArmSimulation(model=model)
        self._floor = self.arm.model.geom("floor").id
        self._since = 0.0  # begin of the trial [s]

    @property
    def timeout_s(self) -> float:
        """After which a trial has failed [s]."""
        return self._timeout_s

    @property
    def kinematics(self) -> InverseKinematics:
        """Of the seven joints of the arm."""
        return self._kinematics

    def reset(self, position: _Array | None = None, seed: int | None = None) -> None:
        """As of `Scene`."""
        self._seed = self._seed if seed is None else seed
        self._put(position)
        self.statistics, self.shown, self.straight_m = TaskStatistics(), [], []
        self._begin()
        self.arm._mujoco.mj_forward(self.arm.model, self.arm.data)

    def _put(self, position: _Array | None) -> None:
        """The arm at rest at a position, at home when None."""
        self.arm.reset(position)

    @abstractmethod
    def _begin(self) -> None:
        """The next trial, from where the arm is."""

    def _random(self) -> np.random.Generator:
        """Of this trial: it depends on the seed and the trial's number alone."""
        self._since = self.arm.time_s
        return np.random.default_rng([self._seed, self.statistics.attempted])

    def _lay(self, joint: Any, place: Iterable[float], height: float, yaw: float) -> None:
        """Puts what hangs on a free joint to rest at a place (x, y) [m], turned about the vertical [rad]."""
        at, speed = int(joint.qposadr[0]), int(joint.dofadr[0])
        data = self.arm.data
        data.qpos[at : at + 7] = [*place, height, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]
        data.qvel[speed : speed + 6] = 0.0

    def _middle(self, joint: Any) -> _Array:
        """Of what hangs on a free joint (3,) [m], a copy."""
        at = int(joint.qposadr[0])
        return np.array(self.arm.data.qpos[at : at + 3])

    def _contacts(self) -> Any:
        """Pairs of geoms that touch (n, 2)."""
        contacts = self.arm.data.contact
        return contacts.geom[contacts.exclude == 0]
