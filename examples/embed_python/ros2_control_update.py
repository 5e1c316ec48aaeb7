"""A policy inside a controller of ros2_control's shape, as ../embed_cmake/ros2_control_update.cpp.

    python examples/embed_python/ros2_control_update.py

The base class only has the shape of that library, which loads controllers in C++ alone: this is the same
life cycle for whoever drives a robot from Python in such a loop. With ROS 2, `vla_rt.integrations.ros2` has
whole nodes.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod

import numpy as np
from arm_policy import ArmPolicy, Joints


class ControllerInterface(ABC):
    """State interfaces: position and velocity of each joint; command interfaces: its position."""

    def __init__(self, position: Joints) -> None:
        self.position, self.velocity, self.command = position.copy(), np.zeros_like(position), position.copy()

    @abstractmethod
    def on_configure(self) -> None:
        """May take its time."""

    @abstractmethod
    def on_activate(self) -> None:
        """From rest."""

    @abstractmethod
    def update(self) -> bool:
        """One cycle: reads the state interfaces, writes the command interfaces; False is an error."""


class PolicyController(ControllerInterface):
    """Runs a policy package towards a goal."""

    def __init__(self, position: Joints, goal: Joints) -> None:
        super().__init__(position)
        self.goal = goal

    def on_configure(self) -> None:
        """Loads the package."""
        self.policy = ArmPolicy()
        self.policy.set_goal(self.goal)  # in ROS from a subscription

    def on_activate(self) -> None:
        """Begins where the arm stands."""
        self.policy.start(self.command)

    def update(self) -> bool:
        """After a fault the arm follows its certified stop; only then is the controller manager told."""
        if self.policy.finished:
            return self.policy.report is not None and self.policy.report.fault is None
        self.command = self.policy.exchange(self.position, self.velocity)
        return True


def main() -> int:
    """The controller manager's part: 1000 cycles per second of read, update, write."""
    goal = np.array([-0.5, 0.1, 0.3, -1.2, 0.2, 2.4, 0.0])
    controller = PolicyController(np.array([0, -0.4, 0, -2.0, 0, 1.6, 0.8]), goal)
    controller.on_configure()
    controller.on_activate()
    due = time.monotonic()
    end, good = due + 3.0, True
    while good and not controller.policy.finished:
        if due > end:
            controller.policy.request_stop()
        good = controller.update()
        controller.velocity = 0.2 * (controller.command - controller.position) / 1e-3
        controller.position = controller.position + 0.2 * (controller.command - controller.position)
        due += 1e-3
        time.sleep(max(0.0, due - time.monotonic()))
    good = controller.update()
    worst = np.abs(controller.position - goal).max()
    print(f"{'ok' if good else 'fault'}, {worst:.3f} rad from the goal")
    return 0 if good and worst < 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
