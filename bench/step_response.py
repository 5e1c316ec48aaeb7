"""How the enforcer follows steps and noisy targets, in `limits.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

import harness
import vla_rt as vr
from peers import Array, Limits

PERIOD = 1e-3
LIMITS = Limits()


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


def smooth_target(seconds: float) -> tuple[Array, Array]:
    """A sine of 0.7 rad and 0.4 Hz, ramped in over 2 s: position and velocity (n, 1)."""
    t = np.arange(1, int(seconds / PERIOD) + 1)[:, None] * PERIOD
    w = 2 * np.pi * 0.4
    s = np.minimum(t / 2, 1)
    ramp, rate = s**3 * (10 - 15 * s + 6 * s**2), 15 * s**2 * (1 - s) ** 2
    return 0.7 * ramp * np.sin(w * t), 0.7 * (rate * np.sin(w * t) + ramp * w * np.cos(w * t))


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


def measure_noise(report: harness.Report, quick: bool) -> None:
    """`smoothing_s` against Gaussian targets of 1e-4 rad rms per tick, and what it costs in lag."""
    rng = np.random.default_rng(3)
    noisy = 0.5 + 1e-4 * rng.standard_normal((5000 if quick else 50_000, 1))
    target, _ = smooth_target(4 if quick else 10)
    start = np.array([0.5])

    def settled(jerk: float, smoothing_s: float, noise: Array) -> float:
        enforcer = certified(Limits(jerk=jerk), np.array([-1.0]), smoothing_s=smoothing_s)
        enforcer.run(noise[:300] - 1)
        path = enforcer.run(noise[300:] + 1)["position"][:, 0]
        return float((np.flatnonzero(np.abs(path - 1.0) > 1e-3)[-1] + 2) * PERIOD)

    clean = np.zeros((3000, 1))
    noises = 1e-4 * rng.standard_normal((5, 3000, 1))

    for smoothing_s in (0.0, 0.01, 0.015, 0.02, 0.05):
        engine = f"vla_rt, smoothing_s = {smoothing_s:g}"
        sine = certified(LIMITS, np.zeros(1), smoothing_s=smoothing_s).run(target)["position"] - target
        report.add(harness.Row("smoothing: sine, rms rad", engine, error=float(np.sqrt(np.mean(sine**2)))))
        for jerk in (1000.0, 5000.0):
            out = certified(Limits(jerk=jerk), start, smoothing_s=smoothing_s).run(noisy)
            share = float(np.sqrt(np.mean(out["jerk"][1000:] ** 2))) / jerk
            spread = float(np.sqrt(np.mean((out["position"][1000:] - 0.5) ** 2)))
            later = max(settled(jerk, smoothing_s, n) for n in noises) - settled(jerk, 0.0, clean)
            report.add(harness.Row(f"smoothing: noise, jerk rms / J, J={jerk:.0f}", engine, error=share))
            report.add(harness.Row(f"smoothing: noise, position rms rad, J={jerk:.0f}", engine, error=spread))
            case = f"smoothing: noisy 2 rad step settles to 1e-3 later, s, J={jerk:.0f}"
            report.add(harness.Row(case, engine, error=later))
