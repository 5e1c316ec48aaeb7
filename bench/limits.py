"""Joint limiters under attack, on smooth targets and on steps, and what a tick costs; peers in the same run.

    python bench/limits.py --json out.json [--quick]

Rows: worst overshoot and re-differentiated velocity, acceleration and jerk over five adversarial target
streams (one joint of +-2.7 rad, 2.62 rad/s, 10 rad/s^2, 5000 rad/s^3 at 1 kHz); rms error on a smooth target
(a clamp passes a feasible target through, so its error is zero; what it does to an infeasible one is above);
time to settle a step against ruckig's own optimum; what smoothing does to noise and costs in lag;
microseconds per tick of seven joints, also with workspace and collision. Peers are written from their
published formulas (bench/peers), except ruckig and klimits, which are the packages. Every peer gets its
targets clipped to the range; vla_rt does not.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import harness
import panda_room
import vla_rt as vr
from peers import Array, Limiter, Limits
from peers.course import ClampAndAverage
from peers.del_prete import ViableAcceleration
from peers.libfranka import LimitRate
from peers.moveit import AccelerationFilter
from peers.ros2_control import RangeLimiter, SoftLimiter, TrajectoryPointSaturation

PERIOD = 1e-3
LIMITS = Limits()
NAMES = ("velocity", "acceleration", "jerk")
ATTACKS = ("white noise", "jumps out of range", "bang on the limits", "random goals", "resonant sweep")


def joint_limits(n: int, limits: Limits = LIMITS) -> vr.JointLimits:
    """The same limits for n joints."""
    one = np.ones(n)
    return vr.JointLimits(
        -limits.position * one,
        limits.position * one,
        limits.velocity * one,
        limits.acceleration * one,
        limits.jerk * one,
    )


def certified(limits: Limits, start: Array, **options: Any) -> vr.ConstraintEnforcer:
    """Our enforcer, at rest at start (N,)."""
    enforcer = vr.ConstraintEnforcer(joint_limits(len(start), limits), PERIOD, **options)
    enforcer.reset(start)
    return enforcer


def peers() -> Iterator[tuple[str, Callable[[Array], Limiter]]]:
    """Name and factory of every peer that is here."""
    yield "course clamp", lambda start: ClampAndAverage(LIMITS, PERIOD, start)
    yield "course clamp + EMA 0.5", lambda start: ClampAndAverage(LIMITS, PERIOD, start, alpha=0.5)
    yield "ros2_control range", lambda start: RangeLimiter(LIMITS, PERIOD, start)
    yield "ros2_control soft limits", lambda start: SoftLimiter(LIMITS, PERIOD, start)
    yield "ros2_control trajectory point", lambda start: TrajectoryPointSaturation(LIMITS, PERIOD, start)
    yield "libfranka limitRate", lambda start: LimitRate(LIMITS, PERIOD, start)
    yield "libfranka FR3 taper", lambda start: LimitRate(LIMITS, PERIOD, start, taper=True)
    yield "MoveIt acceleration filter", lambda start: AccelerationFilter(LIMITS, PERIOD, start)
    yield "Del Prete bounds + PD", lambda start: ViableAcceleration(LIMITS, PERIOD, start)
    if importlib.util.find_spec("klimits"):
        from peers.klimits_range import ValidAcceleration

        yield "klimits + PD", lambda start: ValidAcceleration(LIMITS, PERIOD, start)
    if importlib.util.find_spec("ruckig"):
        from peers.ruckig_online import OnlineRuckig

        yield "ruckig, targets at rest", lambda start: OnlineRuckig(LIMITS, PERIOD, start)
        yield "ruckig, moving targets", lambda start: OnlineRuckig(LIMITS, PERIOD, start, moving=True)


def run(limiter: Limiter, targets: Array) -> Array:
    """All commands (n, M) of a peer."""
    return np.array([limiter.step(target) for target in targets])


def attack(kind: str, ticks: int, lanes: int, rng: np.random.Generator) -> Array:
    """Adversarial targets (ticks, lanes) [rad]."""
    t = np.arange(ticks)[:, None] * PERIOD
    reach = LIMITS.position

    def held(values: Array, every: int) -> Array:
        return np.repeat(values, every, axis=0)[:ticks]

    if kind == "white noise":
        return rng.uniform(-reach - 1, reach + 1, (ticks, lanes))
    if kind == "jumps out of range":
        return held(rng.choice([-reach - 3, reach + 3], (ticks // 137 + 1, lanes)), 137)
    if kind == "bang on the limits":
        return held(rng.choice([-reach, reach], (ticks // 20 + 1, lanes)), 20)
    if kind == "random goals":
        return held(rng.uniform(-reach, reach, (ticks // 300 + 1, lanes)), 300)
    rate = np.sqrt(LIMITS.acceleration / (2 * reach)) * rng.uniform(0.5, 2, lanes)
    return 3 * reach * np.sin(rate * t * (1 + t))


def worst_of(commands: Array, start: Array) -> Array:
    """Overshoot of the range [rad] and the largest re-differentiated rates over their limits, (4,)."""
    history = np.vstack([start, start, start, commands])
    worst = [max(0.0, float(np.max(np.abs(commands)) - LIMITS.position))]
    worst += [
        float(np.max(np.abs(np.diff(history, n=k, axis=0)))) / PERIOD**k / getattr(LIMITS, name)
        for k, name in enumerate(NAMES, start=1)
    ]
    return np.array(worst)


def measure_attacks(report: harness.Report, quick: bool) -> None:
    """Worst over all attacks of every limiter."""
    ticks, lanes = (500, 16) if quick else (6250, 64)
    rng = np.random.default_rng(0)
    start = np.zeros(lanes)
    streams = {kind: attack(kind, ticks, lanes, rng) for kind in ATTACKS}
    worst = {"vla_rt": np.zeros(4)} | {name: np.zeros(4) for name, _ in peers()}
    found = 0
    for targets in streams.values():
        commands = certified(LIMITS, start).run(targets)["position"]
        worst["vla_rt"] = np.maximum(worst["vla_rt"], worst_of(commands, start))
        judge = vr.ViolationCounter(joint_limits(lanes), PERIOD)
        judge.reset(start)
        found += judge.add(commands)
        for name, make in peers():
            inside = np.clip(targets, -LIMITS.position, LIMITS.position)
            worst[name] = np.maximum(worst[name], worst_of(run(make(start), inside), start))
    if found:
        raise SystemExit(f"vla_rt broke a limit {found} times")
    cases = ("attack: rad out of range", *(f"attack: {name} / limit" for name in NAMES))
    for k, case in enumerate(cases):
        for name, values in worst.items():
            report.add(harness.Row(case, name, error=float(values[k])))
    report.ratios["violations of vla_rt"] = float(found)
    report.ratios["joint-ticks per limiter"] = float(ticks * lanes * len(ATTACKS))


def smooth_target(seconds: float) -> tuple[Array, Array]:
    """A sine of 0.7 rad and 0.4 Hz, ramped in over 2 s: position and velocity (n, 1)."""
    t = np.arange(1, int(seconds / PERIOD) + 1)[:, None] * PERIOD
    w = 2 * np.pi * 0.4
    s = np.minimum(t / 2, 1)
    ramp, rate = s**3 * (10 - 15 * s + 6 * s**2), 15 * s**2 * (1 - s) ** 2
    return 0.7 * ramp * np.sin(w * t), 0.7 * (rate * np.sin(w * t) + ramp * w * np.cos(w * t))


def measure_tracking(report: harness.Report, quick: bool) -> None:
    """Rms error on a smooth target given every millisecond, and on its raw 50 Hz rows."""
    target, velocity = smooth_target(4 if quick else 10)
    rows = np.repeat(target[19::20], 20, axis=0)

    def rms(commands: Array) -> float:
        return float(np.sqrt(np.mean((commands - target) ** 2)))

    start = np.zeros(1)
    for case, given in (("tracking, rms rad", target), ("tracking raw 50 Hz rows, rms rad", rows)):
        report.add(harness.Row(case, "vla_rt", error=rms(certified(LIMITS, start).run(given)["position"])))
        if given is target:
            fed = certified(LIMITS, start).run(target, velocity)["position"]
            report.add(harness.Row(case, "vla_rt + feed-forward", error=rms(fed)))
        for name, make in peers():
            if not (name == "ruckig, moving targets" and given is rows):  # a step has no velocity
                report.add(harness.Row(case, name, error=rms(run(make(start), given))))


def measure_steps(report: harness.Report, quick: bool) -> None:
    """Time to settle within 1e-4 rad over ruckig's optimum, from rest and with the goal changed in motion."""
    try:
        import ruckig
    except ImportError:
        report.add(harness.missing("steps", "ruckig", "not installed: pip install ruckig"))
        return

    def optimum(enforcer: vr.ConstraintEnforcer, goal: float, limits: Limits) -> float:
        parameter = ruckig.InputParameter(1)
        parameter.current_position = enforcer.position.tolist()
        parameter.current_velocity = enforcer.velocity.tolist()
        parameter.current_acceleration = enforcer.acceleration.tolist()
        parameter.target_position = [goal]
        parameter.max_velocity, parameter.max_acceleration = [limits.velocity], [limits.acceleration]
        parameter.max_jerk = [limits.jerk]
        trajectory = ruckig.Trajectory(1)
        ruckig.Ruckig(1).calculate(parameter, trajectory)
        return float(trajectory.duration)

    for jerk in (1000.0, 5000.0):
        limits = Limits(jerk=jerk)
        for moving in (False, True):
            rng = np.random.default_rng(1)
            ratios, overshoot = [], 0.0
            for _ in range(40 if quick else 200):
                enforcer = certified(limits, rng.uniform(-2.6, 2.6, 1))
                if moving:
                    enforcer.run(np.full((rng.integers(20, 500), 1), rng.uniform(-2.6, 2.6)))
                begin, goal = enforcer.position[0], float(rng.uniform(-2.6, 2.6))
                best = optimum(enforcer, goal, limits)
                path = enforcer.run(np.full((int(1.5 * best / PERIOD) + 100, 1), goal))["position"][:, 0]
                outside = np.flatnonzero(np.abs(path - goal) > 1e-4)
                ratios.append((outside[-1] + 2) * PERIOD / best if len(outside) else 0.0)
                overshoot = max(overshoot, float(np.max(np.sign(goal - begin) * (path - goal))))
            case = f"steps {'in motion' if moving else 'from rest'}, J={jerk:.0f}"
            report.add(
                harness.Row(f"{case}: time / optimum, median", "vla_rt", error=float(np.median(ratios)))
            )
            report.add(harness.Row(f"{case}: time / optimum, max", "vla_rt", error=float(np.max(ratios))))
            if not moving:
                report.add(harness.Row(f"{case}: overshoot rad", "vla_rt", error=overshoot))


def measure_cost(report: harness.Report, quick: bool) -> None:
    """Microseconds per tick of seven joints: blocks of 100 ticks, interleaved with ruckig's update."""
    rounds, blocks, block = (3, 20, 100) if quick else (5, 100, 100)
    phase = np.arange(7)
    t = np.arange(1, blocks * block + 1)[:, None] * PERIOD
    smooth = 0.7 * np.minimum(t / 2, 1) ** 3 * np.sin(2 * np.pi * 0.4 * t + phase)
    bang = np.where((np.arange(blocks * block)[:, None] // 300 + phase) % 2 == 0, 2.6, -2.6)
    start = np.zeros(7)

    def ours(targets: Array) -> list[float]:
        enforcer = certified(LIMITS, start)
        samples = []
        for k in range(blocks):
            chunk = targets[k * block : (k + 1) * block]
            begin = time.perf_counter_ns()
            enforcer.run(chunk)
            samples.append((time.perf_counter_ns() - begin) / block / 1e3)
        return samples

    def theirs(limiter: Limiter, targets: Array) -> list[float]:
        samples = []
        for k in range(blocks):
            begin = time.perf_counter_ns()
            for target in targets[k * block : (k + 1) * block]:
                limiter.step(target)
            samples.append((time.perf_counter_ns() - begin) / block / 1e3)
        return samples

    for name, package in (("klimits + PD", "klimits"), ("ruckig, targets at rest", "ruckig")):
        if name not in dict(peers()):
            report.add(harness.missing("attack", name, f"not installed: pip install {package}"))
    factories = dict(peers())
    for case, targets in (("tick of 7 joints, smooth", smooth), ("tick of 7 joints, bang", bang)):
        times: dict[str, list[list[float]]] = {}
        for _ in range(rounds):
            times.setdefault("vla_rt, C++ loop", []).append(ours(targets))
            name = "ruckig, targets at rest"
            if name in factories:
                times.setdefault("ruckig, from Python", []).append(theirs(factories[name](start), targets))
        for name, samples in times.items():
            report.add(harness.from_rounds(case, name, samples))
        if "ruckig, from Python" not in times:
            report.add(harness.missing(case, "ruckig, from Python", "not installed: pip install ruckig"))
        report.ratio(
            f"{case}: ruckig from Python / vla_rt",
            report.p50(case, "ruckig, from Python"),
            report.p50(case, "vla_rt, C++ loop"),
        )


def measure_noise(report: harness.Report, quick: bool) -> None:
    """`smoothing_s` against Gaussian targets of 1e-4 rad rms per tick, and what it costs in lag."""
    rng = np.random.default_rng(3)
    noisy = 0.5 + 1e-4 * rng.standard_normal((5000 if quick else 50_000, 1))
    target, _ = smooth_target(4 if quick else 10)
    start = np.array([0.5])

    def settled(jerk: float, smoothing_s: float) -> float:
        enforcer = certified(Limits(jerk=jerk), np.array([-1.0]), smoothing_s=smoothing_s)
        path = enforcer.run(np.full((3000, 1), 1.0))["position"][:, 0]
        return float((np.flatnonzero(np.abs(path - 1.0) > 1e-4)[-1] + 2) * PERIOD)

    for smoothing_s in (0.0, 0.01, 0.015, 0.02, 0.05):
        engine = f"vla_rt, smoothing_s = {smoothing_s:g}"
        sine = certified(LIMITS, np.zeros(1), smoothing_s=smoothing_s).run(target)["position"] - target
        report.add(harness.Row("smoothing: sine, rms rad", engine, error=float(np.sqrt(np.mean(sine**2)))))
        for jerk in (1000.0, 5000.0):
            out = certified(Limits(jerk=jerk), start, smoothing_s=smoothing_s).run(noisy)
            share = float(np.sqrt(np.mean(out["jerk"][1000:] ** 2))) / jerk
            spread = float(np.sqrt(np.mean((out["position"][1000:] - 0.5) ** 2)))
            later = settled(jerk, smoothing_s) - settled(jerk, 0.0)
            report.add(harness.Row(f"smoothing: noise, jerk rms / J, J={jerk:.0f}", engine, error=share))
            report.add(harness.Row(f"smoothing: noise, position rms rad, J={jerk:.0f}", engine, error=spread))
            report.add(
                harness.Row(f"smoothing: 2 rad step settles later, s, J={jerk:.0f}", engine, error=later)
            )


def main() -> None:
    """Measure everything, print the table, write the file."""
    options = harness.parse(__doc__)
    report = harness.Report("limits")
    measure_attacks(report, options.quick)
    measure_tracking(report, options.quick)
    measure_steps(report, options.quick)
    measure_noise(report, options.quick)
    measure_cost(report, options.quick)
    panda_room.measure(report, options.quick)
    report.finish(options)


if __name__ == "__main__":
    main()
