"""A policy package whose actions are tool poses or deltas, in the control loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vla_rt as vr
from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

from example_robots import example_robot, pose_error
from exportable import OBSERVATION, TinyConfig, TinyPolicy

HOME = np.array([0, -0.4, 0.1, -2.0, 0.1, 1.8, 0.7])


class ToolPolicy(TinyPolicy):
    """Actions of seven numbers, spread about a mean."""

    def __init__(self, mean: Any, std: float) -> None:
        super().__init__(TinyConfig(action_dim=7, horizon=32, execution_horizon=4))
        self._mean, self._std = np.asarray(mean, dtype=np.float64), std

    @property
    def normalizers(self) -> dict[str, vr.Normalizer]:
        action = vr.Normalizer("mean_std", mean=self._mean, std=np.full(7, self._std))
        return {**super().normalizers, "action": action}


def run(package: Path, **options: Any) -> tuple[vr.RunReport, np.ndarray]:
    panda = example_robot("panda")
    robot = vr.robots.SimulatedRobot(panda.limits, HOME)
    for name, value in OBSERVATION.items():
        robot.post_feature(name, np.asarray(value))
    config = vr.ControlConfig(kinematics=panda.kinematics, lock_memory=False, **options)
    report = vr.ControlLoop(robot, vr.load_policy(package), config).run(1.0)
    assert report.fault is None, report.fault_text
    assert report.limit_violations == 0
    assert report.inference["failures"] == 0, report.inference["last_error"]
    assert report.inference["chunks"] >= 1
    return report, panda.pose(report.trace["command_position"][-1])


def test_a_package_of_tool_poses_is_followed(tmp_path: Path) -> None:
    start = example_robot("panda").pose(HOME)
    goal = start + np.array([0.02, -0.03, 0.01, 0, 0, 0, 0])
    space = vr.EndEffectorPoseSpace([-2, -2, -2], [2, 2, 2])
    package = vr.export_policy(ToolPolicy(goal, 1e-4), tmp_path / "poses", action_space=space)
    _, reached = run(package)
    distance, angle = pose_error(reached, goal)
    assert distance < 2e-3
    assert angle < 2e-3


def test_a_package_of_deltas_moves_the_tool_by_their_sum(tmp_path: Path) -> None:
    start = example_robot("panda").pose(HOME)
    space = vr.EndEffectorDeltaSpace()
    policy = ToolPolicy([0.001, 0, -0.002, 0, 0, 0, 0.5], 1e-5)
    package = vr.export_policy(policy, tmp_path / "deltas", action_space=space)
    _, reached = run(package, mode="async")
    moved = reached[:3] - start[:3]
    rows = moved[0] / 0.001
    assert 14 < rows < 26  # twenty a second, while the last chunk lasts
    np.testing.assert_allclose(moved, rows * np.array([0.001, 0, -0.002]), atol=1e-3)


def test_a_package_of_tool_actions_needs_kinematics(tmp_path: Path) -> None:
    space = vr.EndEffectorDeltaSpace()
    package = vr.export_policy(ToolPolicy(np.zeros(7), 1e-5), tmp_path / "deltas", action_space=space)
    panda = example_robot("panda")
    robot = vr.robots.SimulatedRobot(panda.limits, HOME)
    with pytest.raises(vr.ConfigError, match="kinematics = None: must be given for end_effector_delta"):
        vr.ControlLoop(robot, vr.load_policy(package), vr.ControlConfig(lock_memory=False))
