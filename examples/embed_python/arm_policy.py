"""What both examples share: a policy package that drives seven joints from somebody else's callback."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vla_rt as vr

Joints = NDArray[np.float64]

PACKAGE = Path(__file__).resolve().parents[1] / "embed_cmake" / "package"
#: Of the arm, as its data sheet says.
LIMITS = vr.JointLimits(
    [-2.7, -1.7, -2.8, -3.0, -2.7, 0.1, -2.9],
    [2.7, 1.7, 2.8, -0.1, 2.7, 4.4, 2.9],
    [2.0, 1.0, 1.5, 1.25, 3.0, 1.5, 3.0],
    [10.0] * 7,
    [1000.0] * 7,
)


class ArmPolicy:
    """Tick and inference in threads of C++; the callback hands measurements over and takes commands."""

    def __init__(self, package: Path = PACKAGE) -> None:
        self._robot = vr.robots.MailboxRobot(7)
        config = vr.ControlConfig(mode="async", limits=LIMITS, trace_s=0)
        self._loop = vr.ControlLoop(self._robot, vr.load_policy(package), config)
        self._thread = threading.Thread(target=self._run)
        self.report: vr.RunReport | None = None

    def _run(self) -> None:
        self.report = self._loop.run(3600.0)

    def set_goal(self, goal: Joints) -> None:
        """What the policy sees besides the joints; from any thread."""
        self._robot.post_feature("goal", goal)

    def start(self, position: Joints) -> None:
        """From rest at ``position``."""
        self._robot.post_state(position)
        self._thread.start()

    def exchange(self, position: Joints, velocity: Joints) -> Joints:
        """Once per cycle of the callback: measurement in, command out; waits for nobody."""
        self._robot.post_state(position, velocity)
        command = self._robot.latest_command()
        return position if command is None else np.asarray(command.position)

    def request_stop(self) -> None:
        """From the next tick on: the certified stop."""
        self._loop.request_stop()

    @property
    def finished(self) -> bool:
        """Whether a stop, asked for or by a fault, has come to rest."""
        return not self._thread.is_alive()
