"""Evaluation of a policy on `reach` in simulated time: executor and filter of the control loop, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._core import ChunkExecutor, ConstraintEnforcer, JointLimits, ViolationCounter
from vla_rt.errors import require
from vla_rt.robots.panda import panda_limits
from vla_rt.sim.arm import ArmSimulation
from vla_rt.tasks.reach import ReachConfig, ReachTask, TaskStatistics, reach_observation

__all__ = ["EvaluationConfig", "EvaluationResult", "evaluate"]

_Array = NDArray[np.float64]
#: A chunk (T, D) for an observation and a seed.
Predict = Callable[[Mapping[str, _Array], int], _Array]

_TICK_S = 0.001
_LOOK_TICKS = 5  # ticks between two looks at the task


@dataclass(frozen=True)
class EvaluationConfig:
    """How the policy is run.

    Attributes:
        duration_s: Simulated time [s].
        period_s: Time between the rows of a chunk [s].
        replan_s: Time between two observations [s].
        delay_s: From an observation to its chunk: what inference takes [s].
        blend_s: As of `ChunkExecutor`.
        seed: Of the goals and the policy's noise.
        task: Goals.
        model_path: As of `ArmSimulation`.
    """

    duration_s: float = 60.0
    period_s: float = 0.05
    replan_s: float = 0.1
    delay_s: float = 0.05
    blend_s: float = 0.1
    seed: int = 1
    task: ReachConfig = field(default_factory=ReachConfig)
    model_path: str | Path | None = None

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        for name in ("duration_s", "period_s", "replan_s"):
            require(
                np.isfinite(getattr(self, name)) and getattr(self, name) >= _TICK_S,
                name,
                getattr(self, name),
                "must be >= 0.001",
            )
        for name in ("delay_s", "blend_s"):
            require(
                np.isfinite(getattr(self, name)) and getattr(self, name) >= 0,
                name,
                getattr(self, name),
                "must be >= 0",
            )
        require(self.seed >= 0, "seed", self.seed, "must be >= 0")
        self.task.validate()


@dataclass(frozen=True)
class EvaluationResult:
    """What came of it.

    Attributes:
        task: Goals attempted and reached.
        tracking_rms: Of the measured joints behind the command [rad].
        limited: Share of the ticks in which a wish was changed.
        starved: Share of the ticks without a plan, those before the first chunk included.
        limit_violations: Of the emitted commands; 0 unless the filter is broken.
        seam: Largest jump of position [rad], velocity [rad/s] and acceleration [rad/s^2] between two chunks.
    """

    task: TaskStatistics
    tracking_rms: float
    limited: float
    starved: float
    limit_violations: int
    seam: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "task": self.task.to_dict()}


def evaluate(
    policy: Any, config: EvaluationConfig | None = None, limits: JointLimits | None = None
) -> EvaluationResult:
    """Runs a policy on `reach` about ten times faster than real time, repeatably.

    The chunk for the observation at t is handed over at t + delay_s; in between and afterwards ChunkExecutor
    and ConstraintEnforcer do at every millisecond what they do in a ControlLoop.

    Args:
        policy: What has `sample(observation, seed=...)` or `predict(observation, seed=...)`, or a callable of
        both.
        config: How to run it.
        limits: Of the joints; the Panda's when None.

    Raises:
        ConfigError: The configuration is out of its bounds, the policy's chunk does not fit, or MuJoCo is
        missing.
    """
    config = config if config is not None else EvaluationConfig()
    config.validate()
    limits = limits if limits is not None else panda_limits()
    predict = _predictor(policy)
    arm, task = ArmSimulation(config.model_path), ReachTask(config.task, config.seed)
    require(
        limits.num_joints == arm.num_joints,
        "limits",
        limits.num_joints,
        f"the arm has {arm.num_joints} joints",
    )
    executor = ChunkExecutor(arm.num_joints, config.period_s, mode="async", blend_s=config.blend_s)
    executor.reset(arm.position)
    enforcer = ConstraintEnforcer(limits, _TICK_S)
    enforcer.reset(arm.position)
    violations = ViolationCounter(limits, _TICK_S)
    violations.reset(arm.position)

    ticks, replan = round(config.duration_s / _TICK_S), round(config.replan_s / _TICK_S)
    delay, steps = round(config.delay_s / _TICK_S), round(_TICK_S / arm.timestep_s)
    coming: deque[tuple[int, float, _Array]] = (
        deque()
    )  # tick of the hand-over, time of the observation, chunk
    emitted: _Array = np.empty((ticks, arm.num_joints))
    squares, limited, starved = 0.0, 0, 0
    for tick in range(ticks):
        if tick % replan == 0:
            observation = reach_observation(arm.position, task.goal, arm.tool)
            chunk = np.asarray(predict(observation, config.seed + tick // replan), dtype=np.float64)
            coming.append((tick + delay, tick * _TICK_S, chunk))
        while coming and coming[0][0] <= tick:
            _, seen, chunk = coming.popleft()
            executor.push(chunk, seen)
        wish, velocity, status = executor.at(tick * _TICK_S)
        starved += status.name == "Starved"
        command, report = enforcer.apply(wish, velocity)
        limited += bool(report.limited)
        emitted[tick] = command
        arm.command(command, enforcer.velocity)
        arm.step(steps)
        behind = arm.position - command
        squares += float(behind @ behind)
        if tick % _LOOK_TICKS == 0:
            task.update(arm.time_s, arm.tool)
    violations.add(emitted)
    return EvaluationResult(
        task.statistics,
        float(np.sqrt(squares / emitted.size)),
        limited / ticks,
        starved / ticks,
        int(violations.total),
        {
            name: max((float(np.max(seam[name])) for seam in executor.seams), default=0.0)
            for name in ("position", "velocity", "acceleration")
        },
    )


def _predictor(policy: Any) -> Predict:
    for name in ("sample", "predict"):
        method = getattr(policy, name, None)
        if callable(method):
            return lambda observation, seed: method(observation, seed=seed)
    require(callable(policy), "policy", type(policy).__name__, "needs sample, predict or a call")
    return lambda observation, seed: policy(observation, seed)
