"""Actions of the tool in the control loop: followed by pinocchio's measure, within the limits, or refused."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import vla_rt as vr
from example_robots import ExampleRobot, example_robot, pose_error

HOME = np.array([0, -0.4, 0.1, -2.0, 0.1, 1.8, 0.7])
ROW_S, ROWS = 0.05, 16
CENTRE_TURN = Rotation.from_rotvec([0.2, 0.1, 0.3])


@pytest.fixture(scope="module")
def panda() -> ExampleRobot:
    return example_robot("panda")


def path_at(start: NDArray[np.float64], t: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """A circle of 4 cm in 4 s from rest, the tool turning by 0.37 rad and back: poses (..., 7)."""
    t = np.atleast_1d(np.asarray(t, dtype=np.float64))
    phase = 0.5 * np.pi * np.where(t < 1, np.clip(t, 0, None) ** 2 / 2, t - 0.5)
    poses = np.tile(start, (len(t), 1))
    poses[:, 0] += 0.04 * (np.cos(phase) - 1)
    poses[:, 1] += 0.04 * np.sin(phase)
    turn = Rotation.from_rotvec(np.sin(phase)[:, None] * CENTRE_TURN.as_rotvec())
    poses[:, 3:] = (turn * Rotation.from_quat(start[3:])).as_quat()
    return poses


def distance_to_path(start: NDArray[np.float64], poses: NDArray[np.float64]) -> float:
    """Largest distance of any of the poses from the circle [m]."""
    circle = path_at(start, np.linspace(0, 6, 3000))[:, :3]
    return float(max(np.linalg.norm(circle - p[:3], axis=1).min() for p in poses))


class CirclePolicy:
    """Follows the path by the clock; poses, or the deltas between them."""

    def __init__(self, start: NDArray[np.float64], deltas: bool) -> None:
        self.start, self.deltas, self.begin = start, deltas, 0.0
        self.action_space = (
            vr.EndEffectorDeltaSpace() if deltas else vr.EndEffectorPoseSpace([-2, -2, -2], [2, 2, 2])
        )
        self.period_s = ROW_S

    def sample(self, _: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        now = time.monotonic()
        self.begin = self.begin or now
        poses = path_at(self.start, now - self.begin + ROW_S * np.arange(ROWS + 1))
        if not self.deltas:
            rows = poses[:ROWS].copy()
            rows[::3, 3:] *= -1  # the same orientations
            return rows
        turns = Rotation.from_quat(poses[1:, 3:]) * Rotation.from_quat(poses[:-1, 3:]).inv()
        gripper = np.zeros((ROWS, 1))
        return np.hstack([np.diff(poses[:, :3], axis=0), turns.as_euler("xyz"), gripper])


@pytest.mark.parametrize("deltas", [False, True])
def test_a_cartesian_path_is_followed_within_the_limits(panda: ExampleRobot, deltas: bool) -> None:
    start = panda.pose(HOME)
    robot = vr.robots.SimulatedRobot(panda.limits, HOME)
    config = vr.ControlConfig(
        kinematics=panda.kinematics, mode="async", inference_rate_hz=10.0, lock_memory=False
    )
    report = vr.ControlLoop(robot, CirclePolicy(start, deltas), config).run(4.0)
    assert report.fault is None, report.fault_text
    assert report.limit_violations == 0
    assert report.inference["refused"] == report.inference["failures"] == 0, report.inference["last_error"]
    commands = report.trace["command_position"]
    tools = np.array([panda.pose(q) for q in commands[::40]])
    assert np.ptp(tools[:, 1]) > 0.05  # it went round
    # Chunks come late and at odd times; deltas also add up the policy's own jitter.
    assert distance_to_path(start, tools) < (0.008 if deltas else 0.001)
    assert report.seams["position"].shape[1] == (8 if deltas else 7)


def core(panda: ExampleRobot, **options: Any) -> vr.Controller:
    options = {"kinematics": panda.kinematics, "mode": "async", "watchdog_s": None, **options}
    config = vr.ControlConfig(max_following_error=None, **options)
    controller = vr.Controller(config.to_core(panda.limits, ROW_S))
    controller.reset(HOME)
    return controller


def test_rows_are_met_by_the_clock(panda: ExampleRobot) -> None:
    """Without threads the only errors are those of the spline, the inverse kinematics and the filter."""
    start = panda.pose(HOME)
    controller = core(panda, action_space="end_effector_pose")
    assert controller.action_dim == 7
    counter = vr.ViolationCounter(panda.limits, 0.001)
    counter.reset(HOME)
    q, worst = HOME, np.zeros(2)
    for tick in range(4000):
        if tick % 400 == 0:
            controller.push(path_at(start, 0.001 * tick + ROW_S * np.arange(ROWS)), 0.001 * tick)
        command = controller.tick(0.001 * tick, q)
        q = command.position
        counter.add(q)
        if tick % 40 == 0 and tick > 500:
            worst = np.maximum(worst, pose_error(panda.pose(q), path_at(start, 0.001 * tick)[0]))
    assert counter.total == 0
    assert worst[0] < 1e-4
    assert worst[1] < 1e-3


def test_a_gripper_moves_with_the_deltas(panda: ExampleRobot) -> None:
    low, high = np.append(panda.limits.min_position, 0.0), np.append(panda.limits.max_position, 0.04)
    limits = vr.JointLimits(
        low,
        high,
        np.append(panda.limits.max_velocity, 0.2),
        np.append(panda.limits.max_acceleration, 2.0),
        np.append(panda.limits.max_jerk, 200.0),
    )
    config = vr.ControlConfig(
        kinematics=panda.kinematics,
        action_space=vr.EndEffectorDeltaSpace(),
        gripper=vr.GripperJoint(joint=7, open_position=0.04, closed_position=0.0),
        delta_frame="tool",
        watchdog_s=None,
        max_following_error=None,
        discrete_dims=(6,),
    )
    controller = vr.Controller(config.to_core(limits, ROW_S))
    q = np.append(HOME, 0.04)
    controller.reset(q)
    rows = np.zeros((10, 7))
    rows[:, 2], rows[5:, 6] = 0.002, 1.0
    controller.push(rows, 0.0)
    fingers = []
    for tick in range(1500):
        q = controller.tick(0.001 * tick, q).position
        fingers.append(q[7])
    assert fingers[240] == pytest.approx(0.04)
    assert fingers[-1] == pytest.approx(0.0, abs=1e-6)
    a, b = panda.pose(HOME), panda.pose(q[:7])
    along = Rotation.from_quat(a[3:]).apply([0, 0, 0.02])
    np.testing.assert_allclose(b[:3], a[:3] + along, atol=1e-5)


def simulated(panda: ExampleRobot) -> vr.robots.SimulatedRobot:
    return vr.robots.SimulatedRobot(panda.limits, HOME)


def loop(panda: ExampleRobot, policy: Any, **options: Any) -> vr.ControlLoop:
    return vr.ControlLoop(simulated(panda), policy, vr.ControlConfig(lock_memory=False, **options))


def test_what_does_not_fit_is_refused_when_the_loop_is_made(panda: ExampleRobot) -> None:
    start = panda.pose(HOME)
    poses = CirclePolicy(start, False)
    with pytest.raises(
        vr.ConfigError, match="kinematics = None: must be given for end_effector_pose: Kinematics"
    ):
        loop(panda, poses)
    with pytest.raises(vr.ConfigError, match="action_space = None: must be given with kinematics"):
        loop(panda, lambda _: np.zeros((4, 7)), kinematics=panda.kinematics)
    with pytest.raises(vr.ConfigError, match="kinematics = 6 joints: must be those of the robot, 7"):
        loop(panda, poses, kinematics=example_robot("ur5").kinematics)
    with pytest.raises(vr.ConfigError, match="action_space = joint_velocity: cannot be executed"):
        loop(panda, lambda _: np.zeros((4, 7)), action_space=vr.JointVelocitySpace([1.0] * 7))
    with pytest.raises(
        vr.ConfigError, match=r"action_space.dimension = 6: must be that of the robot's joints, 7"
    ):
        loop(panda, lambda _: np.zeros((4, 6)), action_space=vr.JointPositionSpace([-1.0] * 6, [1.0] * 6))
    with pytest.raises(
        vr.ConfigError, match=r"relative_to = observation.state: is not for end_effector_pose"
    ):
        loop(panda, poses, kinematics=panda.kinematics, relative_to="observation.state")
    with pytest.raises(vr.ConfigError, match="on_starvation = decelerate"):
        loop(panda, poses, kinematics=panda.kinematics, on_starvation="decelerate")
    with pytest.raises(vr.ConfigError, match="mode = rtc"):
        loop(panda, CirclePolicy(start, True), kinematics=panda.kinematics, mode="rtc")
    loop(panda, poses, kinematics=panda.kinematics)
    loop(panda, lambda _: np.zeros((4, 7)), kinematics=panda.kinematics, action_space="joint_position")


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("kinematics", "panda", "kinematics = str: must be a Kinematics or None"),
        ("action_space", 3, "action_space = int: must be an ActionSpace"),
        ("action_space", "torque", "action_space = torque: cannot be executed"),
        ("delta_frame", "world", r'delta_frame = "world": must be base \| tool'),
        ("gripper", 7, "gripper = int: must be a GripperJoint or None"),
        ("rotation_scale", "much", "rotation_scale = much: must be a number"),
        ("posture", 3.0, "posture = 3.0: must be a sequence"),
    ],
)
def test_bad_fields_are_named(field: str, value: Any, named: str) -> None:
    with pytest.raises(vr.ConfigError, match=named):
        vr.ControlConfig(**{field: value})


@pytest.mark.filterwarnings("ignore")
def test_a_file_holds_it_all(panda: ExampleRobot, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    values = {
        "kinematics": {"path": str(panda.path), "tip": panda.tip},
        "action_space": "end_effector_delta",
        "gripper": {"joint": 7, "open_position": 0.04, "closed_position": 0.0},
        "posture": HOME.tolist(),
    }
    file.write_text(json.dumps(values))
    config = vr.ControlConfig.from_file(file)
    assert config.kinematics is not None
    assert config.kinematics.joint_names == panda.kinematics.joint_names
    assert config.gripper == vr.GripperJoint(7, 0.04, 0.0)
    assert config.posture == tuple(HOME)
    with pytest.raises(vr.ConfigError, match=r"kinematics.tipp.*did you mean kinematics.tip"):
        vr.ControlConfig.from_dict({"kinematics": {"path": "x", "tipp": "y"}})
    with pytest.raises(vr.ConfigError, match=r"gripper.joint.*is missing"):
        vr.ControlConfig.from_dict({"gripper": {"open_position": 0, "closed_position": 1}})
