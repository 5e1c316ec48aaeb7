"""The simulated arm under the control loop, in real time: goals are reached, its failures become faults."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
from vla_rt.sim import InverseKinematics
from vla_rt.tasks import ReachExpert


class ExpertPolicy:
    """The expert's plan from what is observed now, as a policy in Python."""

    def __init__(self) -> None:
        self._expert = ReachExpert(InverseKinematics())

    def sample(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        assert observation["observation.state"].shape == (7,)
        wide = {name: np.asarray(value, dtype=np.float64) for name, value in observation.items()}
        return self._expert.plan(wide, 16, 0.05)


def make_loop(robot: vr.robots.MujocoRobot) -> vr.ControlLoop:
    config = vr.ControlConfig(
        mode="async", execution_horizon=2, chunk_period_s=0.05, blend_s=0.2, realtime="best_effort"
    )
    return vr.ControlLoop(robot, ExpertPolicy(), config)


def test_the_expert_reaches_goals_within_the_limits():
    robot = vr.robots.MujocoRobot(seed=2)
    report = make_loop(robot).run(8.0)
    assert not robot.running
    assert report.fault is None, report.fault_text
    assert report.limit_violations == 0
    assert report.tracking_rms < 0.02
    task = robot.task_statistics
    assert task.reached >= 1
    assert task.success_rate >= 0.5  # on a machine that is busy; 1.0 on one that is not


def test_a_failing_simulator_is_a_driver_error():
    robot = vr.robots.MujocoRobot(seed=2)

    def fail(_: int = 1) -> None:
        raise ArithmeticError("nothing moves any more")

    def break_it() -> None:
        while robot.driver_statistics.cycles < 1000:
            time.sleep(0.01)
        robot._arm.step = fail

    breaker = threading.Thread(target=break_it)
    breaker.start()
    report = make_loop(robot).run(20.0)
    breaker.join()
    assert report.fault == "driver_error"
    assert "nothing moves any more" in report.fault_text
    assert report.limit_violations == 0
    assert not robot.running


def test_two_runs_in_a_row_go_on_where_the_arm_is():
    robot = vr.robots.MujocoRobot(seed=2)
    loop = make_loop(robot)
    for _ in range(2):
        report = loop.run(1.0)
        assert report.fault is None, report.fault_text
        assert report.limit_violations == 0
