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

import numpy as np

import harness
import panda_room
import step_response
import vla_rt as vr
from peers import Array, Limiter
from peers.course import ClampAndAverage
from peers.del_prete import ViableAcceleration
from peers.libfranka import LimitRate
from peers.moveit import AccelerationFilter
from peers.ros2_control import RangeLimiter, SoftLimiter, TrajectoryPointSaturation
from step_response import LIMITS, PERIOD, certified, joint_limits, smooth_target

NAMES = ("velocity", "acceleration", "jerk")
ATTACKS = ("white noise", "jumps out of range", "bang on the limits", "random goals", "resonant sweep")


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


def main() -> None:
    """Measure everything, print the table, write the file."""
    options = harness.parse(__doc__)
    report = harness.Report("limits")
    measure_attacks(report, options.quick)
    measure_tracking(report, options.quick)
    step_response.measure_steps(report, options.quick)
    step_response.measure_noise(report, options.quick)
    measure_cost(report, options.quick)
    panda_room.measure(report, options.quick)
    report.finish(options)


if __name__ == "__main__":
    main()
