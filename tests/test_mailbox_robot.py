"""The mailbox a driver thread in Python plugs into."""

import numpy as np
import pytest

import vla_rt as vr


def test_a_driver_sees_no_command_before_the_first() -> None:
    assert vr.robots.MailboxRobot(3).latest_command() is None


def test_states_are_checked_for_shape() -> None:
    robot = vr.robots.MailboxRobot(3)
    robot.post_state([0.0, 0.1, 0.2])
    robot.post_state(np.zeros((3, 2), dtype=np.float32)[:, 0], np.zeros(3), time_ns=vr.steady_now_ns())
    robot.post_state([np.nan, 0, 0])  # the controller's to refuse
    with pytest.raises(vr.ConfigError, match=r"position = shape \(2,\): must have shape \(3,\)"):
        robot.post_state([0.0, 0.1])
    with pytest.raises(vr.ConfigError, match="velocity"):
        robot.post_state([0.0, 0.1, 0.2], velocity=np.zeros((1, 3)))


@pytest.mark.parametrize("value", [np.zeros(3), np.zeros((4, 4, 3), np.uint8), np.arange(5), np.float32(2)])
def test_features_of_every_kind_are_taken(value: np.ndarray) -> None:
    vr.robots.MailboxRobot(1).post_feature("goal", value)


def test_features_of_another_kind_are_refused() -> None:
    with pytest.raises(vr.ConfigError, match="goal = dtype"):
        vr.robots.MailboxRobot(1).post_feature("goal", np.array(["left"]))


@pytest.mark.parametrize("joints", [0, 65])
def test_the_number_of_joints_is_bounded(joints: int) -> None:
    with pytest.raises(vr.ConfigError, match=r"num_joints = \d+: must be in 1..64"):
        vr.robots.MailboxRobot(joints)
