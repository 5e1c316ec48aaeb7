"""The arm's reach task with an inference that takes time: what late chunks do to success and smoothness.

Simulated time, repeatable: the chunk for the observation at t is handed over at t + latency, one inference at
a time, each asked for as an InferenceWorker would (before `execution_horizon` rows are done, by the 95 %
quantile of the latencies so far). Executor and enforcer are those of the control loop; every way of executing
chunks is followed by the same enforcer: all of them are safe, and what differs is how well they move.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vla_rt as vr
from peers.chunk_players import Aggregating
from vla_rt import _core
from vla_rt.robots.panda import panda_limits
from vla_rt.sim.arm import ArmSimulation
from vla_rt.tasks.reach import ReachConfig, ReachTask, reach_observation

Array = NDArray[np.float64]
Sample = Callable[[dict[str, Array], int, Any], Array]

TICK_S, DELAYS_S, EXECUTED, MARGIN_S, JITTER = 0.001, (0.0, 0.05, 0.1, 0.2, 0.3), 6, 0.005, 0.3
TIMEOUT_S = 2.5  # twice what the policy needs without delay
PLANNED: dict[str, dict[str, Any]] = {
    "vla_rt async": {"mode": "async"},
    "vla_rt rtc": {"mode": "rtc"},
    "vla_rt ensemble": {"mode": "ensemble"},
    "vla_rt receding": {"mode": "receding"},
}
SYNCHRONOUS = "synchronous (stop, infer, move)"
AGGREGATING = "LeRobot async, weighted_average"
WAYS = ("vla_rt async", "vla_rt rtc", "vla_rt ensemble", "vla_rt receding", AGGREGATING, SYNCHRONOUS)
FIGURES = {
    "success": "success",
    "time_s": "time to a goal [s]",
    "acceleration": "acceleration rms [rad/s^2]",
    "jerk": "jerk rms [rad/s^3]",
    "seam": "seam p99 [rad]",
    "wishes": "share of ticks with a violation wish",
}
#: Those that must hardly notice 200 ms.
STEADY = ("vla_rt async", "vla_rt rtc")


@dataclass(frozen=True)
class Outcome:
    """What came of one way at one delay.

    Attributes:
        success: Share of the goals reached in time.
        goals: Goals attempted.
        time_s: Mean time to a goal that was reached.
        acceleration: rms of the commanded acceleration [rad/s^2]: smoothness.
        jerk: rms of the commanded jerk [rad/s^3].
        seam: p99 over the seams of the largest joint's jump of position [rad]; NaN where there are none.
        wishes: Share of the ticks whose wish broke a limit and was not granted.
        violations: Limits broken by what was emitted.
    """

    success: float
    goals: int
    time_s: float
    acceleration: float
    jerk: float
    seam: float
    wishes: float
    violations: int


class Planned:
    """A ChunkExecutor, asked ahead of need."""

    def __init__(self, dims: int, period_s: float, horizon: int, options: dict[str, Any]) -> None:
        self.executor = vr.ChunkExecutor(dims, period_s, execution_horizon=EXECUTED, **options)
        self.guided = options["mode"] == "rtc"
        self.period_s, self.horizon = period_s, horizon
        self.delay = _core.DelayEstimator(period_s)

    def reset(self, position: Array) -> None:
        """Starts at rest."""
        self.executor.reset(position)

    def guidance(self, now: float) -> vr.rtc.Guidance | None:
        """What a chunk for `now` shall continue."""
        if not self.guided or self.executor.due_time_s is None:
            return None
        rows, within = self.executor.previous_rows(now, self.horizon)
        if within == 0:
            return None
        delay = min(self.delay.delay_rows, self.horizon)
        return vr.rtc.Guidance(rows[:within], delay, self.horizon - EXECUTED)

    def push(self, now: float, start_s: float, rows: Array) -> float:
        """A chunk arrives; returns when to take the next observation."""
        self.delay.add(now - start_s)
        self.executor.push(rows, start_s)
        due = self.executor.due_time_s or now
        return due - self.delay.delay_s - MARGIN_S if self.delay.count else now

    def at(self, now: float) -> tuple[Array, Array | None]:
        """Position and velocity to wish for."""
        position, velocity, _ = self.executor.at(now)
        return np.asarray(position), np.asarray(velocity)

    def seam(self) -> float:
        """p99 of the position jumps."""
        jumps = [float(np.max(seam["position"])) for seam in self.executor.seams]
        return float(np.percentile(jumps, 99, method="inverted_cdf")) if jumps else math.nan


class Synchronous(Planned):
    """Executes EXECUTED rows from the moment the chunk arrives, then stops and infers."""

    def push(self, now: float, start_s: float, rows: Array) -> float:
        """The robot stood meanwhile, so the chunk is still for now."""
        self.executor.push(rows[: EXECUTED + 1], now)
        return now + EXECUTED * self.period_s


class Queue:
    """LeRobot's asynchronous client: a position per row, held until the next."""

    def __init__(self, period_s: float) -> None:
        self.player = Aggregating(period_s, lambda old, new: 0.3 * old + 0.7 * new)
        self.period_s = period_s
        self.held = np.zeros(0)

    def reset(self, position: Array) -> None:
        """Starts at rest."""
        self.held = position.copy()

    def guidance(self, now: float) -> None:
        """It knows none; the observation is numbered."""
        self.player.ask(now)

    def push(self, now: float, start_s: float, rows: Array) -> float:
        """A chunk arrives; the next observation follows when half of the queue is left, as is its default."""
        self.player.push(now, start_s, rows)
        return now + max(0.0, (len(self.player.queue) - len(rows) / 2) * self.period_s)

    def at(self, now: float) -> tuple[Array, Array | None]:
        """Position to wish for."""
        position = self.player.at(now)
        return (self.held if position is None else np.asarray(position)), None

    def seam(self) -> float:
        """It makes none that it knows of."""
        return math.nan


def way_of(name: str, dims: int, period_s: float, horizon: int) -> Planned | Queue:
    """The player of that name."""
    if name == AGGREGATING:
        return Queue(period_s)
    if name == SYNCHRONOUS:
        return Synchronous(dims, period_s, horizon, {"mode": "receding"})
    return Planned(dims, period_s, horizon, PLANNED[name])


def run(name: str, sample: Sample, spec: Any, delay_s: float, duration_s: float, seed: int) -> Outcome:
    """One way at one delay, `duration_s` of simulated time."""
    arm, task = ArmSimulation(), ReachTask(ReachConfig(timeout_s=TIMEOUT_S), seed)
    limits, rng = panda_limits(), np.random.default_rng(seed)
    way = way_of(name, arm.num_joints, spec.period_s, spec.horizon)
    way.reset(arm.position)
    enforcer, violations = vr.ConstraintEnforcer(limits, TICK_S), _core.ViolationCounter(limits, TICK_S)
    enforcer.reset(arm.position)
    violations.reset(arm.position)
    ticks, steps = round(duration_s / TICK_S), round(TICK_S / arm.timestep_s)
    emitted: Array = np.empty((ticks, arm.num_joints))
    look, wishes, chunks = 0.0, 0, 0
    coming: tuple[float, float, Array] | None = None
    for tick in range(ticks):
        now = tick * TICK_S
        if coming is None and now >= look - 1e-9:
            guidance = way.guidance(now)
            rows = sample(
                reach_observation(arm.position, task.goal, arm.tool), seed * 100_000 + chunks, guidance
            )
            coming = (now + delay_s * (1 + JITTER * rng.uniform(-1, 1)), now, rows)
            chunks += 1
        if coming is not None and now >= coming[0] - 1e-9:
            look = max(now + TICK_S, way.push(now, coming[1], coming[2]))
            coming = None
        wish, velocity = way.at(now)
        command, report = enforcer.apply(wish, velocity)
        wishes += bool(report.limited)
        emitted[tick] = command
        arm.command(command, enforcer.velocity)
        arm.step(steps)
        if tick % 5 == 0:
            task.update(arm.time_s, arm.tool)
    violations.add(emitted)
    figures = task.statistics.to_dict()
    rms = [
        float(np.sqrt(np.mean((np.diff(emitted, order, axis=0) / TICK_S**order) ** 2))) for order in (2, 3)
    ]
    return Outcome(
        figures["success_rate"] or 0.0,
        figures["attempted"],
        figures["mean_time_s"] or math.nan,
        rms[0],
        rms[1],
        way.seam(),
        wishes / ticks,
        int(violations.total),
    )


def policy_sample(cache: Path) -> tuple[Sample, Any]:
    """The policy of `vla-rt demo`, trained once (under a minute) and kept in `cache`."""
    from vla_rt.demo.preparation import prepare

    policy = vr.load_policy(prepare(cache_dir=cache, announce=lambda text: print(f"- {text}")).package)

    def sample(observation: dict[str, Array], seed: int, guidance: Any) -> Array:
        return np.asarray(policy.sample(observation, seed=seed, guidance=guidance))

    return sample, policy.spec


def measure(sample: Sample, spec: Any, quick: bool) -> dict[tuple[str, float], Outcome]:
    """Every way at every delay; says which, as a line per cell."""
    duration, delays = (20.0, (0.0, 0.2)) if quick else (80.0, DELAYS_S)
    found = {}
    for delay, way in itertools.product(delays, WAYS):
        outcome = found[way, delay] = run(way, sample, spec, delay, duration, 1)
        cell = f"{len(found)}/{len(delays) * len(WAYS)}: {1e3 * delay:.0f} ms, {way}"
        print(f"- closed loop {cell}: {100 * outcome.success:.0f} % of {outcome.goals} goals", flush=True)
    return found


def draw(found: dict[tuple[str, float], Outcome], path: Path) -> None:
    """Success, time, smoothness and violation wishes over the delay."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained", facecolor="white")
    panels = (
        ("Goals reached in time [%]", lambda o: 100 * o.success, False),
        ("Mean time to a goal [s]", lambda o: o.time_s, False),
        ("Commanded jerk, rms [rad/s³]", lambda o: o.jerk, True),
        ("Ticks whose wish broke a limit [%]", lambda o: 100 * o.wishes, False),
    )
    colors = ("#0969da", "#1a7f37", "#8250df", "#0e7490", "#bc4c00", "#cf222e")
    delays = sorted({delay for _, delay in found})
    for axes, (title, value, log) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        for way, color in zip(WAYS, colors, strict=True):
            line = [value(found[way, delay]) for delay in delays]
            axes.plot(
                [1e3 * d for d in delays],
                line,
                color=color,
                marker="o",
                markersize=4,
                linewidth=2.0 if way.startswith("vla_rt") else 1.4,
                linestyle="-" if way.startswith("vla_rt") else "--",
                label=way,
            )
        axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
        axes.set_xlabel("inference delay [ms], ±30 %")
        axes.grid(color="#d0d7de", linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        if log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=9, frameon=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
