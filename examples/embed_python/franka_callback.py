"""A policy inside a control callback of libfranka's shape, as ../embed_cmake/franka_callback.cpp.

    python examples/embed_python/franka_callback.py

`Robot` only has the shape of that library, so that this runs without it: `control(callback)` calls it every
millisecond with the measured state and takes joint positions until the answer is None. The tick is not in the
callback but in a thread of C++, which Python's own pauses do not hold up.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from arm_policy import ArmPolicy, Joints


@dataclass
class RobotState:
    """Measured position and velocity, commanded position."""

    q: Joints = field(default_factory=lambda: np.array([0, -0.4, 0, -2.0, 0, 1.6, 0.8]))
    dq: Joints = field(default_factory=lambda: np.zeros(7))
    q_d: Joints = field(default_factory=lambda: np.array([0, -0.4, 0, -2.0, 0, 1.6, 0.8]))


class Robot:
    """Joints that follow their command within a few milliseconds."""

    def __init__(self) -> None:
        self.state = RobotState()

    def control(self, callback: Callable[[RobotState], Joints | None]) -> None:
        """Until the callback answers None."""
        due = time.monotonic()
        while (command := callback(self.state)) is not None:
            state = self.state
            state.dq = 0.2 * (command - state.q) / 1e-3
            state.q = state.q + 0.2 * (command - state.q)
            state.q_d = command
            due += 1e-3
            time.sleep(max(0.0, due - time.monotonic()))


def main() -> int:
    """Three seconds towards a goal."""
    robot, policy = Robot(), ArmPolicy()
    goal = np.array([0.6, 0.2, -0.4, -1.5, 0.3, 2.0, 0.2])
    policy.set_goal(goal)
    policy.start(robot.state.q_d)
    end = time.monotonic() + 3.0

    def callback(state: RobotState) -> Joints | None:
        if time.monotonic() > end:
            policy.request_stop()  # the task is over; a fault ends it earlier
        return None if policy.finished else policy.exchange(state.q, state.dq)

    robot.control(callback)
    report = policy.report
    assert report is not None
    worst = np.abs(robot.state.q - goal).max()
    chunks = report.inference["chunks"]
    print(f"{report.ticks} ticks, {chunks} chunks, {worst:.3f} rad from the goal")
    if report.fault is not None:
        print(f"fault: {report.fault_text}")
    return 0 if worst < 0.05 and report.limit_violations == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
