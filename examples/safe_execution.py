"""Intentionally unsafe actions, executed on the simulated arm: what became of each.

python examples/safe_execution.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vla_rt as vr
from vla_rt.robots.panda import panda_limits, panda_urdf
from vla_rt.safe_execution import ActionFeedback, SafeExecution
from vla_rt.sim import ArmSimulation

PERIOD_S = 0.001
MARGIN_M = 0.005  # for what the arm is behind its command
#: Around the links of the simulated arm: link, ends of the axis [m], radius [m].
CAPSULES = [
    ("panda_link0", [0, 0, 0.07], [0, 0, 0.15], 0.07 + MARGIN_M),
    ("panda_link1", [0, 0, -0.17], [0, 0, 0], 0.06 + MARGIN_M),
    ("panda_link2", [0, 0, 0], [0, -0.18, 0], 0.06 + MARGIN_M),
    ("panda_link3", [0, 0, -0.12], [0, 0, 0], 0.055 + MARGIN_M),
    ("panda_link4", [0, 0, 0], [-0.0825, 0, 0], 0.05 + MARGIN_M),
    ("panda_link5", [0, 0, -0.25], [0, 0, -0.02], 0.045 + MARGIN_M),
    ("panda_link6", [0, 0, 0], [0.088, 0, 0], 0.042 + MARGIN_M),
    ("panda_link7", [0, 0, 0.01], [0, 0, 0.075], 0.038 + MARGIN_M),
    ("panda_link7", [0, 0, 0.107], [0, 0, 0.2044], 0.006 + MARGIN_M),
]
#: Neighbours whose joints' housings overlap, and the base, which stands on the table.
MAY_TOUCH = [
    ("panda_link3", "panda_link5"),
    ("panda_link5", "panda_link7"),
    ("panda_link0", "world"),
    ("panda_link1", "world"),
]


@dataclass(frozen=True)
class Exercise:
    """An action and what is wrong with it."""

    name: str
    action: NDArray[np.float64]
    duration_s: float = 1.0


def exercises(home: NDArray[np.float64]) -> Iterator[Exercise]:
    """One safe action, then unsafe ones, back home in between."""
    back = Exercise("back home", home, 4.0)
    yield Exercise("a small motion", home + np.array([0.2, 0, 0, 0, 0, 0, 0.3]))
    yield Exercise("far outside the limits", home + 10.0)
    yield back
    yield Exercise("too fast", home + np.array([2.0, 0, 0, 0, 0, 0, 0]), duration_s=0.3)
    yield back
    yield Exercise("into the table", np.array([0.0, 1.2, 0.0, -1.2, 0.0, 2.4, 0.785]), 2.0)
    yield back
    yield Exercise("into itself", np.array([0.0, -0.785, 0.0, -3.05, 0.0, 0.3, 0.785]), 2.0)
    yield back
    yield Exercise("not a number", home * [1, 1, np.nan, 1, 1, 1, 1])
    yield Exercise("joints missing", home[:5])


def run(report: bool = True) -> tuple[list[tuple[str, ActionFeedback]], dict[str, float]]:
    """Executes them all; returns the answers and what was measured on the emitted commands."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "panda.urdf"
        file.write_text(panda_urdf(), encoding="utf-8")
        arm = vr.Kinematics.from_urdf(str(file), tip="panda_tool")
    shapes = vr.CollisionModel(arm, CAPSULES, world=[vr.HalfSpace([0, 0, 1], 0.0)], ignore=MAY_TOUCH)
    simulation = ArmSimulation()
    limits = panda_limits()
    commands = [simulation.home]
    touched = 0

    def send(position: NDArray[np.float64], velocity: NDArray[np.float64]) -> None:
        nonlocal touched
        simulation.command(position, velocity)
        simulation.step()
        touched += simulation.num_contacts > 0
        commands.append(position)

    execution = SafeExecution(
        vr.ConstraintEnforcer(limits, PERIOD_S, arm, collision=shapes), PERIOD_S, simulation.home, send
    )
    answers = []
    for exercise in exercises(simulation.home):
        answers.append((exercise.name, execution.execute(exercise.action, exercise.duration_s, settle_s=2.0)))
        if report:
            print(f"{exercise.name:24} {answers[-1][1].message}")
    violations = vr.ViolationCounter(limits, PERIOD_S)
    violations.reset(commands[0])
    violations.add(np.array(commands[1:]))
    measured = {
        "emitted_violations": float(violations.total),
        "ticks": float(len(commands) - 1),
        "ticks_in_contact": float(touched),
        "least_distance_m": min(shapes.distance(q) for q in commands[::10]),
    }
    if report:
        print(", ".join(f"{name} {value:g}" for name, value in measured.items()))
    return answers, measured


def main() -> None:
    """Runs the exercise and writes the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    file = parser.parse_args().json
    answers, measured = run()
    if file is not None:
        content = [
            {
                "name": name,
                "verdict": answer.verdict,
                "causes": answer.causes,
                "deviation": None if np.isnan(answer.deviation) else answer.deviation,
            }
            for name, answer in answers
        ]
        file.write_text(json.dumps({"actions": content, **measured}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
