"""A task on its arm: what is seen, when it is done, what comes next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import ConfigError, error
from vla_rt.sim.arm import ArmSimulation
from vla_rt.sim.inverse_kinematics import InverseKinematics
from vla_rt.tasks.reach import TaskStatistics

if TYPE_CHECKING:
    from vla_rt._core import JointLimits
    from vla_rt.sim.camera import Camera
    from vla_rt.tasks.scripted_expert import ScriptedExpert

__all__ = ["Scene"]


class Scene(ABC):
    """One trial after the other on a simulated arm, which goes on from where it is.

    What a trial looks like depends on the seed and its number alone.

    Attributes:
        name: Of the task.
        has_camera: Whether a policy sees pictures.
        arm: It belongs to the scene; whoever runs the scene commands and steps it.
        statistics: Trials attempted and done.
        shown: When each trial so far began [s], and where its goal is (3,) [m].
        straight_m: Shortest way that the tool had to go in each, from where it was [m].
        instruction: What the robot is told in this trial.
    """

    name: ClassVar[str]
    has_camera: ClassVar[bool] = False
    arm: ArmSimulation
    statistics: TaskStatistics
    shown: list[tuple[float, NDArray[Any]]]
    straight_m: list[float]
    instruction: str

    @property
    @abstractmethod
    def limits(self) -> JointLimits | None:
        """Of the arm's joints; None for an arm of which nobody knows them."""

    @property
    @abstractmethod
    def timeout_s(self) -> float:
        """After which a trial has failed [s]."""

    #: Corners of the box in which the tool is where recordings begin [m].
    start_box: tuple[tuple[float, ...], tuple[float, ...]] = ((0.38, -0.22, 0.15), (0.58, 0.22, 0.45))

    @abstractmethod
    def reset(self, position: NDArray[Any] | None = None, seed: int | None = None) -> None:
        """Puts the arm at rest at ``position`` (N,), at home when None, and begins with the first trial.

        Args:
            position: (N,) [rad] or [m].
            seed: Of what appears; as before when None.
        """

    def random_start(self, random: np.random.Generator, noise: float) -> NDArray[np.float64]:
        """A posture (N,) in which nothing of the arm touches anything, with the tool about in ``start_box``.

        Args:
            random: Where it is drawn from.
            noise: Standard deviation of the joints from a rest posture [rad].
        """
        low, high = self.arm.min_position, self.arm.max_position
        margin = 0.05 * (high - low)
        kinematics = self.kinematics
        for _ in range(100):
            rest = kinematics.solve(random.uniform(*self.start_box))
            start = rest + noise * random.standard_normal(len(rest))
            count = len(low) - len(start)
            fingers = random.uniform(low[len(start) :], high[len(start) :], count)
            start = np.clip(np.append(start, fingers), low + margin, high - margin)
            if kinematics.is_free(start[: len(rest)]):
                return start
        return np.append(rest, fingers)

    @property
    @abstractmethod
    def kinematics(self) -> InverseKinematics:
        """Of the arm's joints, without a gripper."""

    @abstractmethod
    def numbers(self) -> dict[str, NDArray[Any]]:
        """What a policy sees but for pictures, by feature name."""

    def observe(self) -> dict[str, NDArray[Any]]:
        """What a policy sees, by feature name."""
        return self.numbers()

    def camera(self) -> Camera:
        """What makes the picture ``observation.image``, for the thread that asks for it."""
        raise error(ConfigError, "task", self.name, "has no camera")

    def show(self) -> dict[str, NDArray[Any]]:
        """What the scripted expert sees, which may know more."""
        return self.observe()

    @abstractmethod
    def look(self) -> bool:
        """Judges the trial, and begins the next one where it is decided; True then. Call it every 5 ms."""

    @abstractmethod
    def expert(self) -> ScriptedExpert:
        """A scripted expert for this task."""
