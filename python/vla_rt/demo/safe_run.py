"""A policy package on the simulated arm: C++ inference, a 1 kHz control thread, goals never seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import ModelError, error, require

if TYPE_CHECKING:
    from vla_rt import JointLimits, RunReport
    from vla_rt._core import Policy
    from vla_rt.robots.mujoco_robot import DriverStatistics
    from vla_rt.tasks import TaskStatistics

#: Distance below which a goal counts as one that was shown in training [m].
SAME_GOAL_M = 1e-4
#: Longest run: its whole trace is kept in memory for the picture.
MAX_DURATION_S = 3600.0


@dataclass(frozen=True)
class SafeRunConfig:
    """How the package is run.

    Attributes:
        duration_s: Length of the run [s].
        seed: Of the goals.
        realtime: ``best_effort`` or ``enforce``.
        inference_rate_hz: Chunks per second.
        blend_s: How long the change from one chunk to the next takes [s]: long enough for a network that is a
            few milliradians off to make no noise, short enough for the tool to settle.
        period_s: Time between control ticks [s].
    """

    duration_s: float = 10.0
    seed: int = 0
    realtime: str = "best_effort"
    inference_rate_hz: float = 18.0
    blend_s: float = 0.25
    period_s: float = 0.001

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        for name in ("duration_s", "inference_rate_hz", "blend_s", "period_s"):
            value = getattr(self, name)
            require(np.isfinite(value) and value > 0, name, value, "must be finite and > 0")
        longest = f"must be at most {MAX_DURATION_S:g} s"
        require(self.duration_s <= MAX_DURATION_S, "duration_s", self.duration_s, longest)
        require(self.seed >= 0, "seed", self.seed, "must be >= 0")
        require(
            self.realtime in ("best_effort", "enforce"),
            "realtime",
            self.realtime,
            "must be best_effort or enforce",
        )


@dataclass(frozen=True)
class DemoResult:
    """What a run came to.

    Attributes:
        report: Of the control loop, with its trace.
        task: Goals attempted and reached.
        driver: How the simulator kept up with the clock.
        shown: Time [s] and place (3,) [m] of every goal that was shown.
        nearest_training_goal_m: Least distance of a goal to one shown in training [m]; NaN without any.
        limits: Of the joints.
        tolerance_m: Distance within which a goal is reached [m].
    """

    report: RunReport
    task: TaskStatistics
    driver: DriverStatistics
    shown: list[tuple[float, NDArray[np.float64]]]
    nearest_training_goal_m: float
    limits: JointLimits
    tolerance_m: float

    @property
    def sound(self) -> bool:
        """Whether the run was what it should be: no fault, no limit broken, nine goals of ten reached."""
        report = self.report
        succeeded = self.task.attempted == 0 or self.task.success_rate >= 0.9
        return report.fault is None and report.limit_violations == 0 and succeeded

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        task = self.task.to_dict()
        return {
            "success_rate": task.pop("success_rate"),
            "goals": {
                **task,
                "shown": len(self.shown),
                "nearest_training_goal_m": self.nearest_training_goal_m,
                "tolerance_m": self.tolerance_m,
            },
            **self.report.to_dict(),
            "simulator": vars(self.driver),
        }


def run_policy(
    policy: Policy, training_goals: NDArray[np.float64] | None = None, config: SafeRunConfig | None = None
) -> DemoResult:
    """Runs a package on the simulated arm until the time is up, a fault or Ctrl-C, and to the certified stop.

    Args:
        policy: The package, loaded.
        training_goals: (G, 3) [m]: no goal of the run may be one of them.
        config: How to run.

    Raises:
        ConfigError: The configuration is out of its bounds, or the simulator is not installed.
        ModelError: A goal of the run was shown in training.
        RealtimeError: A privilege that is enforced was refused.
    """
    config = config if config is not None else SafeRunConfig()
    config.validate()
    from vla_rt import ControlConfig, ControlLoop
    from vla_rt.robots import MujocoRobot, panda_limits
    from vla_rt.tasks import ReachConfig

    limits = panda_limits()
    task = ReachConfig()
    robot = MujocoRobot(task="reach", seed=config.seed, config=task)
    control = ControlConfig(
        period_s=config.period_s,
        mode="async",
        execution_horizon=policy.spec.execution_horizon,
        limits=limits,
        realtime=config.realtime,
        inference_rate_hz=config.inference_rate_hz,
        blend_s=config.blend_s,
        trace_s=config.duration_s + 5.0,
    )
    with robot:
        report = ControlLoop(robot, policy, control).run(config.duration_s)
    shown = robot.shown_goals
    return DemoResult(
        report,
        robot.task_statistics,
        robot.driver_statistics,
        shown,
        _nearest(np.array([goal for _, goal in shown]), training_goals),
        limits,
        task.tolerance,
    )


def _nearest(shown: NDArray[np.float64], training: NDArray[np.float64] | None) -> float:
    """Least distance between the two sets of goals; an error when there is none between them."""
    if training is None or not len(training) or not len(shown):
        return float("nan")
    nearest = float(np.linalg.norm(shown[:, None] - training[None], axis=2).min())
    if nearest < SAME_GOAL_M:
        raise error(ModelError, "goals", f"{nearest:.2g} m", "a goal of the run was shown in training")
    return nearest
