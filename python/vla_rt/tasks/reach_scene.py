"""The task `reach` on its arm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.robots.panda import panda_limits
from vla_rt.sim.arm import ArmSimulation
from vla_rt.sim.inverse_kinematics import InverseKinematics
from vla_rt.tasks.reach import ReachConfig, ReachTask, TaskStatistics, reach_observation
from vla_rt.tasks.reach_expert import ReachExpert, ReachExpertConfig
from vla_rt.tasks.scene import Scene

if TYPE_CHECKING:
    from vla_rt._core import JointLimits

__all__ = ["ReachScene"]


class ReachScene(Scene):
    """Random goals, one after the other; see `ReachTask`.

    Args:
        config: Goals, tolerance, times.
        seed: Of the goals.
        model_path: As of `ArmSimulation`.
        expert: Rates of the expert.
    """

    name = "reach"

    def __init__(
        self,
        config: ReachConfig | None = None,
        seed: int = 0,
        model_path: str | Path | None = None,
        expert: ReachExpertConfig | None = None,
    ) -> None:
        self.arm = ArmSimulation(model_path)
        self._kinematics = InverseKinematics(model_path)
        config = config if config is not None else ReachConfig()
        self.start_box = (config.lower, config.upper)
        self.instruction = "bring the tool to the goal"
        self._config, self._seed, self._model_path, self._expert = config, seed, model_path, expert
        self._begin()

    def _begin(self) -> None:
        self._task = ReachTask(self._config, self._seed)
        self.straight_m: list[float] = []
        self._show_goal()

    def _show_goal(self) -> None:
        self.arm.goal = self._task.goal
        self.straight_m.append(float(np.linalg.norm(self._task.goal - self.arm.tool)))

    @property
    def statistics(self) -> TaskStatistics:  # type: ignore[override]
        """Goals attempted and reached."""
        return self._task.statistics

    @property
    def shown(self) -> list[tuple[float, NDArray[Any]]]:  # type: ignore[override]
        """Time [s] and place (3,) [m] of every goal so far."""
        return self._task.shown

    @property
    def limits(self) -> JointLimits | None:
        """The Panda's published ones; None for another arm."""
        return panda_limits() if self._model_path is None else None

    @property
    def timeout_s(self) -> float:
        """After which a goal has failed [s]."""
        return self._task.config.timeout_s

    @property
    def kinematics(self) -> InverseKinematics:
        """Of the arm."""
        return self._kinematics

    def reset(self, position: NDArray[Any] | None = None, seed: int | None = None) -> None:
        """As of `Scene`."""
        self._seed = self._seed if seed is None else seed
        self.arm.reset(position)
        self._begin()

    def numbers(self) -> dict[str, NDArray[np.float64]]:
        """As of `reach_observation`."""
        return reach_observation(self.arm.position, self._task.goal, self.arm.tool)

    def look(self) -> bool:
        """Takes the tool's position; True when a new goal appeared."""
        changed = self._task.update(self.arm.time_s, self.arm.tool)
        if changed:
            self._show_goal()
        return changed

    def expert(self) -> ReachExpert:
        """Damped least squares."""
        return ReachExpert(InverseKinematics(self._model_path), self._expert)
