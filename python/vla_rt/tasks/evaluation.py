"""Evaluation of a policy on a task in simulated time: executor and filter of the control loop, no clock."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._core import ChunkExecutor, ConstraintEnforcer, JointLimits, ViolationCounter
from vla_rt.errors import require
from vla_rt.metrics import (
    integrated_squared_jerk,
    latency_summary,
    path_length,
    rising_edges,
    spectral_arc_length,
    wilson_interval,
)
from vla_rt.robots.panda import panda_limits
from vla_rt.tasks.reach import ReachConfig, TaskStatistics
from vla_rt.tasks.scene import Scene
from vla_rt.tasks.scenes import TaskConfig, make_scene

__all__ = ["EvaluationConfig", "EvaluationResult", "EvaluationTrace", "evaluate"]

_Array = NDArray[np.float64]
#: A chunk (T, D) for an observation and a seed.
Predict = Callable[[Mapping[str, Any], int], _Array]
#: Told of the scene and the time [s].
Watcher = Callable[[Scene, float], None]

_TICK_S = 0.001
_LOOK_TICKS = 5  # ticks between two looks at the task


@dataclass(frozen=True)
class EvaluationConfig:
    """How the policy is run.

    Attributes:
        duration_s: Simulated time [s], at most.
        goals: End as soon as so many goals have been decided; None goes on to the end of the time.
        period_s: Time between the rows of a chunk [s].
        replan_s: Time between two observations [s].
        delay_s: From an observation to its chunk: what inference takes [s].
        blend_s: As of `ChunkExecutor`.
        seed: Of the goals and the policy's noise.
        relative_to: Feature that the policy's actions are differences to; None is absolute actions.
        task: Which task, and its settings.
        model_path: As of `make_scene`.
    """

    duration_s: float = 60.0
    goals: int | None = None
    period_s: float = 0.05
    replan_s: float = 0.1
    delay_s: float = 0.05
    blend_s: float = 0.1
    seed: int = 1
    relative_to: str | None = None
    task: TaskConfig = field(default_factory=ReachConfig)
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
        require(self.goals is None or self.goals >= 1, "goals", self.goals, "must be >= 1")
        require(self.seed >= 0, "seed", self.seed, "must be >= 0")
        self.task.validate()


@dataclass(frozen=True)
class EvaluationTrace:
    """What happened, for pictures.

    Attributes:
        command: Emitted joint positions (n, N) [rad], one per millisecond.
        tool: Positions of the tool (m, 3) [m], one per ``look_s``.
        goals: Time [s] and place (3,) [m] of every goal.
        straight_m: Shortest way of the tool to each goal [m].
        latency_s: Of every inference [s].
        look_s: Time between two rows of ``tool`` [s].
    """

    command: _Array
    tool: _Array
    goals: list[tuple[float, _Array]]
    straight_m: list[float]
    latency_s: list[float]
    look_s: float = _LOOK_TICKS * _TICK_S


@dataclass(frozen=True)
class EvaluationResult:
    """What came of it.

    Attributes:
        task: Goals attempted and reached.
        duration_s: Simulated time [s].
        success_interval: Wilson's 95 % interval of the success rate.
        path_length_m: Mean way of the tool per decided goal [m].
        path_ratio: Mean of that way over the shortest, of the goals reached.
        squared_jerk: Of the emitted commands, integrated, per second [rad^2/s^6].
        spectral_arc_length: Mean over the decided goals, of the tool's speed; see ``vla_rt.metrics``.
        violation_wishes_per_min: How many times a minute the policy's wish began to need a change.
        tracking_rms: Of the measured joints behind the command [rad].
        limited: Share of the ticks in which a wish was changed.
        starved: Share of the ticks without a plan, those before the first chunk included.
        limit_violations: Of the emitted commands; 0 unless the filter is broken.
        seam: Largest jump of position [rad], velocity [rad/s] and acceleration [rad/s^2] between two chunks.
        inference_ms: Of the policy's calls, measured: ``p50``, ``p95``, ``p99``, ``max``, ``first``. All else
            repeats with the seed.
        trace: Not part of ``to_dict``.
    """

    task: TaskStatistics
    duration_s: float
    success_interval: tuple[float, float]
    path_length_m: float
    path_ratio: float
    squared_jerk: float
    spectral_arc_length: float
    violation_wishes_per_min: float
    tracking_rms: float
    limited: float
    starved: float
    limit_violations: int
    seam: dict[str, float]
    inference_ms: dict[str, float]
    trace: EvaluationTrace = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "trace"}
        return {**values, "task": self.task.to_dict(), "success_interval": list(self.success_interval)}


def evaluate(
    policy: Any,
    config: EvaluationConfig | None = None,
    limits: JointLimits | None = None,
    *,
    words: Callable[[str], NDArray[np.int64]] | None = None,
    watch: Watcher | None = None,
) -> EvaluationResult:
    """Runs a policy on a task about ten times faster than real time, repeatably.

    The chunk for the observation at t is handed over at t + delay_s; in between and afterwards ChunkExecutor
    and ConstraintEnforcer do at every millisecond what they do in a ControlLoop.

    Args:
        policy: What has `sample(observation, seed=...)` or `predict(observation, seed=...)`, or a callable of
        both.
        config: How to run it.
        limits: Of the joints; the task's when None, the Panda's for another arm.
        words: Turns the task's instruction into the feature `instruction` of the observation; the
        `encode` of a `vla_rt.policies.InstructionVocabulary`. None leaves it out.
        watch: Called with scene and time [s] every 5 ms, for a video.

    Raises:
        ConfigError: The configuration is out of its bounds, the policy's chunk does not fit, or MuJoCo is
        missing.
    """
    config = config if config is not None else EvaluationConfig()
    config.validate()
    predict = _predictor(policy)
    scene = make_scene(config.task, config.seed, config.model_path)
    arm = scene.arm
    limits = limits if limits is not None else scene.limits or panda_limits()
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
    tools: list[_Array] = []
    latency: list[float] = []
    limited = np.zeros(ticks, dtype=bool)
    squares, starved, done = 0.0, 0, 0
    for tick in range(ticks):
        if tick % replan == 0:
            observation: dict[str, Any] = scene.observe()
            if words is not None:
                observation["instruction"] = words(scene.instruction)
            begin = time.perf_counter()
            chunk = np.asarray(predict(observation, config.seed + tick // replan), dtype=np.float64)
            latency.append(time.perf_counter() - begin)
            if config.relative_to is not None:
                chunk = chunk + _anchor(observation, config.relative_to, arm.num_joints)
            coming.append((tick + delay, tick * _TICK_S, chunk))
        while coming and coming[0][0] <= tick:
            _, seen, chunk = coming.popleft()
            executor.push(chunk, seen)
        wish, velocity, status = executor.at(tick * _TICK_S)
        starved += status.name == "Starved"
        command, report = enforcer.apply(wish, velocity)
        limited[tick] = bool(report.limited)
        emitted[tick] = command
        arm.command(command, enforcer.velocity)
        arm.step(steps)
        behind = arm.position - command
        squares += float(behind @ behind)
        done = tick + 1
        if tick % _LOOK_TICKS == 0:
            tools.append(arm.tool.copy())
            scene.look()
            if watch is not None:
                watch(scene, done * _TICK_S)
            if scene.statistics.attempted == config.goals:
                break
    emitted = emitted[:done]
    violations.add(emitted)
    trace = EvaluationTrace(emitted, np.array(tools), scene.shown, scene.straight_m, latency)
    length, ratio, smoothness = _of_goals(trace, scene.statistics.outcomes)
    duration = done * _TICK_S
    return EvaluationResult(
        task=scene.statistics,
        duration_s=duration,
        success_interval=wilson_interval(scene.statistics.reached, scene.statistics.attempted),
        path_length_m=length,
        path_ratio=ratio,
        squared_jerk=integrated_squared_jerk(emitted, _TICK_S) / duration,
        spectral_arc_length=smoothness,
        violation_wishes_per_min=rising_edges(limited[:done]) * 60.0 / duration,
        tracking_rms=float(np.sqrt(squares / emitted.size)),
        limited=float(limited[:done].mean()),
        starved=starved / done,
        limit_violations=int(violations.total),
        seam={
            name: max((float(np.max(seam[name])) for seam in executor.seams), default=0.0)
            for name in ("position", "velocity", "acceleration")
        },
        inference_ms=latency_summary(latency),
        trace=trace,
    )


def _anchor(observation: Mapping[str, Any], name: str, size: int) -> _Array:
    require(name in observation, "relative_to", name, f"the task has {', '.join(sorted(observation))}")
    anchor: _Array = np.asarray(observation[name], dtype=np.float64)
    require(anchor.shape == (size,), f"{name}.shape", anchor.shape, f"must be ({size},), as an action")
    return anchor


def _of_goals(trace: EvaluationTrace, outcomes: list[bool]) -> tuple[float, float, float]:
    """Means: way per decided goal, its ratio to the straight line where reached, smoothness; NaN without."""
    lengths, ratios, smoothness = [], [], []
    begins = [time_s for time_s, _ in trace.goals]
    for k, reached in enumerate(outcomes):
        begin, end = (round((at - begins[0]) / trace.look_s) for at in (begins[k], begins[k + 1]))
        way = trace.tool[begin : end + 1]
        lengths.append(path_length(way))
        speed = np.linalg.norm(np.diff(way, axis=0), axis=1) / trace.look_s
        smoothness.append(spectral_arc_length(speed, trace.look_s) if len(speed) else math.nan)
        if reached:
            ratios.append(lengths[-1] / max(1e-9, trace.straight_m[k]))
    found = [[v for v in values if math.isfinite(v)] for values in (lengths, ratios, smoothness)]
    mean = [float(np.mean(values)) if values else math.nan for values in found]
    return mean[0], mean[1], mean[2]


def _predictor(policy: Any) -> Predict:
    for name in ("sample", "predict"):
        method = getattr(policy, name, None)
        if callable(method):
            return lambda observation, seed: method(observation, seed=seed)
    require(callable(policy), "policy", type(policy).__name__, "needs sample, predict or a call")
    return lambda observation, seed: policy(observation, seed)
