"""The nodes of a ROS 2 robot, without ROS: dispatch, freshness, timeouts, limits, errors that end nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import vla_rt as vr
from vla_rt.integrations.ros2 import (
    JointState,
    NodeStatus,
    PolicyNode,
    PolicyNodeConfig,
    Rate,
    TaskKind,
    TaskNode,
    TaskNodeConfig,
    Twist,
    task_of,
)

MS = 1_000_000
S = 1000 * MS
NAMES = ("a", "b", "c")
ONE = np.ones(3)
LIMITS = vr.JointLimits(-2 * ONE, 2 * ONE, 1.5 * ONE, 3 * ONE, 30 * ONE)
IMAGE = np.zeros((4, 6, 3), np.uint8)


def joints(
    time_ns: int, position: tuple[float, ...] = (0.1, 0.2, 0.3), names: tuple[str, ...] = NAMES
) -> JointState:
    return JointState(time_ns, names, position)


def feed(node: TaskNode | PolicyNode, now: int, command: str | None = None) -> None:
    node.inputs.set_image(IMAGE, now)
    node.inputs.set_joints(joints(now))
    if command is not None:
        node.inputs.set_command(command, now)


def task_node(policy: Any, **changes: Any) -> TaskNode:
    return TaskNode(policy, TaskNodeConfig(NAMES, LIMITS, **changes))


ACTIONS = {
    TaskKind.NAVIGATION: np.array([0.3, 0, 0, 0, 0, 0.5]),
    TaskKind.GRASPING: np.array([1.0, -1.0, 0.5]),
    TaskKind.MANIPULATION: np.array([0.4, 0.1, 0.3, 0, 0, 2.0, 0]),
    TaskKind.OTHER: np.array([0.3, 0, 0, 0, 0, 0.5]),
}


def act(values: Mapping[str, Any], task: TaskKind) -> np.ndarray:
    assert set(values) == {"image", "joints", "command"}
    return ACTIONS[task]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("go to the kitchen", TaskKind.NAVIGATION),
        ("Pick up the cube and place it", TaskKind.GRASPING),
        ("put the cup down, then go", TaskKind.MANIPULATION),
        ("sing a song", TaskKind.OTHER),
        ("the bigotry of cargo", TaskKind.OTHER),
    ],
)
def test_commands_are_told_apart(command: str, kind: TaskKind) -> None:
    assert task_of(command) is kind


def test_each_task_has_its_port() -> None:
    for command, twist, has_joints, has_pose in (
        ("go", Twist((0.3, 0, 0), (0, 0, 0.5)), False, False),
        ("grasp", Twist(), True, False),
        ("place", Twist(), False, True),
        ("sing", Twist((0.06, 0, 0), (0, 0, 0.1)), False, False),
    ):
        node = task_node(act)
        feed(node, S, command)
        out = node.step(S)
        assert out.status == NodeStatus(True, "", 1, 0, 0)
        assert out.twist is not None
        np.testing.assert_allclose(out.twist.linear + out.twist.angular, twist.linear + twist.angular)
        assert (out.joints is not None) == has_joints
        assert (out.pose is not None) == has_pose
        if out.pose is not None:
            assert out.pose.orientation == (0, 0, 1, 0)


def test_twists_keep_their_direction_within_their_limits() -> None:
    node = task_node(lambda values, task: np.array([3.0, 4.0, 0, 0, 0, 0.1]))
    feed(node, S, "go")
    twist = node.step(S).twist
    assert twist is not None
    np.testing.assert_allclose(twist.linear, (0.3, 0.4, 0))
    np.testing.assert_allclose(twist.angular, (0, 0, 0.01))


def test_joint_commands_keep_every_limit_and_come_to_rest_when_the_command_is_old() -> None:
    node = task_node(act, rate_hz=50.0)
    commands, now = [np.array((0.1, 0.2, 0.3))], S
    feed(node, now, "grasp it")
    active = []
    for _ in range(400):
        feed(node, now)
        out = node.step(now)
        assert out.joints is not None
        commands.append(np.array(out.joints.position))
        active.append(out.status.active)
        now += 20 * MS
    assert active[:250] == [True] * 250
    assert not any(active[252:])
    assert out.status.reason == "command is 7.98 s old, more than 5 s"
    rows = np.array(commands)
    velocity = np.diff(rows, axis=0) / 0.02
    assert np.abs(rows).max() <= 2
    assert np.abs(velocity).max() <= 1.5 + 1e-9
    assert np.abs(np.diff(velocity, axis=0)).max() / 0.02 <= 3 + 1e-6
    np.testing.assert_allclose(rows[-1], rows[-2], atol=1e-9)
    np.testing.assert_allclose(rows[-1], ACTIONS[TaskKind.GRASPING], atol=1e-3)


def test_a_moving_arm_stops_within_its_limits_when_an_input_is_lost() -> None:
    node = task_node(act, rate_hz=50.0)
    now, commands = S, []
    feed(node, now, "grasp")
    for k in range(150):
        if k < 25:  # half a second into the motion the joint states stop
            feed(node, now)
        commands.append(node.step(now).joints)
        now += 20 * MS
    rows = np.array([command.position for command in commands if command is not None])
    velocity = np.diff(rows, axis=0) / 0.02
    assert np.abs(velocity[24]).max() > 0.3  # it was moving
    assert np.abs(np.diff(velocity, axis=0)).max() / 0.02 <= 3 + 1e-6
    assert np.abs(velocity[-1]).max() < 1e-6
    assert np.abs(rows[-1] - ACTIONS[TaskKind.GRASPING]).max() > 0.1  # and did not go on to the goal


def test_what_is_missing_or_old_is_named() -> None:
    node = task_node(act)
    assert node.step(S).status.reason == "no image yet"
    node.inputs.set_image(IMAGE, S)
    assert node.step(S).status.reason == "no joints yet"
    node.inputs.set_joints(joints(S))
    out = node.step(S)
    assert out.status.reason == "no command yet"
    assert out.twist == Twist()
    assert out.joints is None
    node.inputs.set_command("go", S)
    assert node.step(S).status.active
    assert node.step(S + 300 * MS).status.reason == "joints is 0.30 s old, more than 0.2 s"
    node.inputs.set_joints(joints(S + 600 * MS))
    assert node.step(S + 600 * MS).status.reason == "image is 0.60 s old, more than 0.5 s"
    node.inputs.set_image(IMAGE, S)
    assert "ahead of the clock" in node.step(0).status.reason


def test_an_older_message_does_not_replace_a_newer_one() -> None:
    seen = []
    node = task_node(lambda values, task: seen.append(values["command"]) or ACTIONS[task])
    feed(node, S, "go there")
    node.inputs.set_command("grasp", S - 1)
    node.step(S)
    assert seen == ["go there"]


@pytest.mark.parametrize(
    "answer",
    [RuntimeError("boom"), np.zeros(5), np.full(6, np.nan), "text", None, KeyboardInterrupt.__name__],
    ids=str,
)
def test_errors_stop_the_robot_and_not_the_node(answer: Any) -> None:
    answers = [answer, ACTIONS[TaskKind.NAVIGATION]]

    def policy(values: Any, task: TaskKind) -> Any:
        current = answers.pop(0)
        if isinstance(current, Exception):
            raise current
        return current

    node = task_node(policy)
    feed(node, S, "go")
    out = node.step(S)
    assert not out.status.active
    assert out.status.errors == 1
    assert out.twist == Twist()
    assert node.step(S).status.active


def test_bad_messages_are_counted_and_the_last_good_one_stays() -> None:
    node = task_node(act)
    feed(node, S, "go")
    inputs = node.inputs
    for send in (
        lambda: inputs.set_image(np.zeros((4, 6), np.uint8), S),
        lambda: inputs.set_image(np.zeros((4, 6, 3)), S),
        lambda: inputs.set_joints(joints(S, (0.0, 0.0), ("a", "b"))),
        lambda: inputs.set_joints(joints(S, (0.0, np.nan, 0.0))),
        lambda: inputs.set_joints(joints(S, (0.0, 0.0))),
        lambda: inputs.set_command("  ", S),
    ):
        with pytest.raises(vr.ConfigError):
            send()
    status = node.step(S).status
    assert status.refused_inputs == 6
    assert status.active
    inputs.set_joints(joints(S, (9.0, 3.0, 2.0, 1.0), ("other", "c", "b", "a")))
    grasped: list[np.ndarray] = []
    other = task_node(lambda values, task: grasped.append(values["joints"]) or ACTIONS[task])
    other.inputs.set_joints(joints(S, (9.0, 3.0, 2.0, 1.0), ("other", "c", "b", "a")))
    other.inputs.set_image(IMAGE, S)
    other.inputs.set_command("go", S)
    other.step(S)
    np.testing.assert_array_equal(grasped[0], [1.0, 2.0, 3.0])


def test_trajectories_carry_positions_velocities_and_accelerations() -> None:
    rows = 0.5 * np.sin(np.linspace(0, 3, 12))[:, None] * np.array([1.0, -1.0, 0.5])
    node = PolicyNode(lambda values: rows, PolicyNodeConfig(NAMES, LIMITS, period_s=0.1))
    feed(node, S, "fold")
    trajectory, status = node.step(S)
    assert status.active
    assert trajectory is not None
    assert trajectory.joint_names == NAMES
    spline = CubicSpline(0.1 * np.arange(12), rows)
    for k, point in enumerate(trajectory.points):
        assert point.time_from_start_s == pytest.approx(0.1 * k)
        np.testing.assert_allclose(point.positions, rows[k], atol=1e-12)
        np.testing.assert_allclose(point.velocities, spline(0.1 * k, 1), atol=1e-8)
        np.testing.assert_allclose(point.accelerations, spline(0.1 * k, 2), atol=1e-7)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (np.zeros((1, 3)), "must be (2..256, 3)"),
        (np.zeros((4, 2)), "must be (2..256, 3)"),
        (np.full((4, 3), np.nan), "chunk[0][a] = nan"),
        (np.array([[0, 0, 0], [0, 2.5, 0]]), "chunk[1][b] = 2.5: must be in [-2, 2]"),
    ],
)
def test_chunks_that_no_arm_can_follow_are_not_sent(rows: np.ndarray, text: str) -> None:
    node = PolicyNode(lambda values: rows, PolicyNodeConfig(NAMES, LIMITS))
    feed(node, S, "fold")
    trajectory, status = node.step(S)
    assert trajectory is None
    assert text in status.reason
    assert node.step(S + 6 * S)[1].reason.startswith("image is 6.00 s old")


def test_a_rate_leaves_out_what_is_late_and_does_not_drift() -> None:
    clock = {"now": 0}
    called: list[int] = []

    def step(now: int) -> None:
        called.append(now)
        clock["now"] += 350 * MS if len(called) == 3 else 1 * MS

    def wait(seconds: float) -> None:
        clock["now"] += round(seconds * S)

    rate = Rate(10.0, lambda: clock["now"], wait)
    rate.run(step, lambda: len(called) < 6)
    assert [now // MS for now in called] == [0, 100, 200, 600, 700, 800]
    assert rate.missed == 3


def test_configurations_are_checked() -> None:
    for changes in ({"rate_hz": 0.0}, {"max_linear": 0.0}, {"other_scale": 2.0}, {"image_timeout_s": 0.0}):
        with pytest.raises(vr.ConfigError, match=next(iter(changes))):
            task_node(act, **changes)
    with pytest.raises(vr.ConfigError, match="joint_names"):
        TaskNode(act, TaskNodeConfig(("a", "b"), LIMITS))
    with pytest.raises(vr.ConfigError, match="joint_names"):
        TaskNode(act, TaskNodeConfig(("a", "b", "b"), LIMITS))
    with pytest.raises(vr.ConfigError, match="period_s"):
        PolicyNode(lambda values: ONE, PolicyNodeConfig(NAMES, LIMITS, period_s=0))
