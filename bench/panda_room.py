"""What a tick of a Panda costs among walls and obstacles, in `limits.py`."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import allocations
import harness
import vla_rt as vr
from vla_rt import _core

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from panda_scene import LIMITS, LOWER, READY, UPPER, model  # as in the tests

PERIOD = 1e-3
Array = NDArray[np.float64]


def panda() -> vr.Kinematics | None:
    """The chain of example-robot-data's Panda, None where that is not installed."""
    try:
        files = distribution("example-robot-data").files or []
    except PackageNotFoundError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fingers are not on the chain
        file = next(str(f.locate()) for f in files if f.name == "panda.urdf")
        return vr.Kinematics.from_urdf(file, "panda_hand_tcp")


def room_targets(ticks: int, rng: np.random.Generator) -> dict[str, Array]:
    """Targets (ticks, 7): clear of everything, anywhere, and such that every tick is blocked."""
    t = np.arange(1, ticks + 1)[:, None] * PERIOD
    low, high = LIMITS.min_position, LIMITS.max_position
    ramp = np.minimum(t / 2, 1) ** 3
    anywhere = np.repeat(rng.uniform(low, high, (ticks // 500 + 1, 7)), 500, axis=0)[:ticks]
    # The tool pressed down and out while the arm swings about: it slides along its walls all the time.
    pressed = np.tile([0, 1.2, 0, -1.2, 0, 1.571, 0.785], (ticks, 1))
    pressed[:, [0, 2, 4]] += 0.2 * np.sin(np.array([7.0, 11.0, 13.0]) * t)
    return {
        "smooth": READY + 0.25 * ramp * np.sin(2 * np.pi * 0.4 * t + np.arange(7)),
        "random goals": anywhere,
        "every tick blocked": pressed,
    }


def measure(report: harness.Report, quick: bool) -> None:
    """Microseconds per tick with workspace and collision over the swept stop."""
    case = "tick with workspace and collision"
    chain = panda()
    if chain is None:
        report.add(harness.missing(case, "vla_rt", "not installed: pip install example-robot-data"))
        return
    shapes = model(chain)
    counter = allocations.counter()
    rounds, ticks = (3, 2000) if quick else (7, 10_000)
    names = {_: f"{case}, {_}" for _ in room_targets(2, np.random.default_rng(0))}
    samples: dict[str, list[Array]] = {name: [] for name in names}
    own: dict[str, list[Array]] = {name: [] for name in names}
    blocked: dict[str, float] = {}
    allocated: float | None = None
    for k in range(rounds):
        for name, targets in room_targets(ticks, np.random.default_rng(k)).items():
            enforcer = vr.ConstraintEnforcer(LIMITS, PERIOD, chain, vr.Workspace(LOWER, UPPER), shapes)
            enforcer.reset(READY)
            out = _core.benchmark_enforcer_tick(enforcer, targets, counter.address if counter else 0)
            is_blocked = (out["causes"] & (16 | 32)) != 0
            counts = np.ones(ticks, bool)
            if name == "every tick blocked":  # from the first touch on
                counts = is_blocked
                if np.mean(is_blocked[1000:]) < 0.99:
                    raise SystemExit("not every tick is blocked")
            samples[name].append(out["duration_ns"][counts] * 1e-3)
            own[name].append(out["cpu_ns"][counts] * 1e-3)
            blocked[name] = float(np.mean(is_blocked))
            judge = vr.ViolationCounter(LIMITS, PERIOD)
            judge.reset(READY)
            tool = np.array([chain.forward(q)[:3, 3] for q in out["position"][::10]])
            clear = min(shapes.distance(q) for q in out["position"][::10])
            if judge.add(out["position"]) or np.any(tool < LOWER) or np.any(tool > UPPER) or clear < 0:
                raise SystemExit(f"{name}: a limit, a wall or an obstacle was not kept")
            if out["allocations"]:
                raise SystemExit(f"{name}: {out['allocations']} allocations in the ticks")
            allocated = None if out["allocations"] is None else 0.0
    for name, spent in samples.items():
        report.add(harness.from_rounds(names[name], "vla_rt", spent, allocated))
        report.add(harness.from_rounds(names[name], "vla_rt, CPU time", own[name], allocated))
        report.ratios[f"share of blocked ticks, {name}"] = blocked[name]
    report.notes.append(f"Workspace and collision: {shapes.num_pairs} pairs of shapes and 6 walls.")
    report.notes.append("CPU time leaves out what other programs took, and includes reading its clock.")
