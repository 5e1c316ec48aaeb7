"""Joint limits from a URDF: positions and velocities of the file, defaults, errors that name the joint."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from example_robots import example_robot

ROBOT = """<robot name="r">
  <link name="base"/><link name="a"/><link name="b"/><link name="c"/><link name="left"/><link name="right"/>
  <joint name="slide" type="prismatic"><parent link="b"/><child link="c"/>
    <limit lower="0.1" upper="0.4" velocity="0.5"/></joint>
  <joint name="turn" type="revolute"><parent link="base"/><child link="a"/>
    <limit lower="-1" upper="2" velocity="3" acceleration="7" jerk="90"/></joint>
  <joint name="spin" type="continuous"><parent link="a"/><child link="b"/>
    <limit velocity="4" effort="1"/></joint>
  <joint name="finger" type="prismatic"><parent link="c"/><child link="left"/>
    <limit lower="0" upper="0.04" velocity="0.2"/></joint>
  <joint name="other" type="prismatic"><parent link="c"/><child link="right"/><mimic joint="finger"/>
    <limit lower="0" upper="0.04" velocity="0.2"/></joint>
</robot>"""


def read(tmp_path: Path, text: str = ROBOT, **options: object) -> vr.JointLimits:
    file = tmp_path / "robot.urdf"
    file.write_text(text)
    return vr.JointLimits.from_urdf(file, **options)  # type: ignore[arg-type]


def test_all_joints_parents_first_and_no_mimic(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="joint other mimics another one and is left out"):
        limits = read(tmp_path)
    np.testing.assert_array_equal(limits.min_position, [-1, -1e9, 0.1, 0])
    np.testing.assert_array_equal(limits.max_position, [2, 1e9, 0.4, 0.04])
    np.testing.assert_array_equal(limits.max_velocity, [3, 4, 0.5, 0.2])
    np.testing.assert_array_equal(
        limits.max_acceleration, [7, 8, 1, 0.4]
    )  # the file's, else velocity / 0.5 s
    np.testing.assert_allclose(limits.max_jerk, [90, 800, 100, 40])  # the file's, else acceleration / 10 ms


def test_a_chain_has_the_joints_of_its_kinematics(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="not on the chain"):
        limits = read(tmp_path, tip="c", max_acceleration=5.0, max_jerk=[100.0, 200.0, 300.0])
    np.testing.assert_array_equal(limits.max_velocity, [3, 4, 0.5])
    np.testing.assert_array_equal(limits.max_acceleration, [5, 5, 5])
    np.testing.assert_array_equal(limits.max_jerk, [100, 200, 300])
    with pytest.warns(UserWarning, match="not on the chain"):
        part = read(tmp_path, tip="c", base="a")
    np.testing.assert_array_equal(part.max_velocity, [4, 0.5])


@pytest.mark.parametrize("name", ["panda", "ur5", "so101"])
def test_consistent_with_kinematics(name: str) -> None:
    robot = example_robot(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        everything = vr.JointLimits.from_urdf(str(robot.path))
    expected = robot.kinematics.limits
    for field in ("min_position", "max_position", "max_velocity"):
        np.testing.assert_array_equal(getattr(robot.limits, field), expected[field])
        assert everything.num_joints >= robot.limits.num_joints  # and the gripper's
        np.testing.assert_array_equal(getattr(everything, field)[: len(expected[field])], expected[field])
    enforcer = vr.ConstraintEnforcer(robot.limits, 0.001)
    enforcer.reset(np.clip(0, robot.limits.min_position, robot.limits.max_position))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('upper="2" velocity="3"', 'upper="2"', "joint turn max_velocity: is missing in the URDF"),
        ('velocity="4" effort="1"', 'velocity="0"', "joint spin max_velocity = 0: must be > 0"),
        ('lower="-1" upper="2"', "", "joint turn lower = 0: must be below upper = 0"),
        ('acceleration="7"', 'acceleration="0"', "joint turn max_acceleration = 0: must be > 0"),
        (
            'name="turn" type="revolute"',
            'name="turn" type="floating"',
            "joint turn = floating: must be fixed",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ROBOT
    with pytest.raises(vr.ConfigError, match=message):
        read(tmp_path, ROBOT.replace(old, new))


@pytest.mark.filterwarnings("ignore")
def test_a_missing_velocity_can_be_given(tmp_path: Path) -> None:
    text = ROBOT.replace('upper="2" velocity="3"', 'upper="2"')
    assert read(tmp_path, text, max_velocity=2.0).max_velocity[0] == 2
    with pytest.raises(vr.ConfigError, match="max_velocity = 2 numbers: must be one for all joints or 4"):
        read(tmp_path, text, max_velocity=[2.0, 3.0])
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(vr.ConfigError, match=r"max_jerk = .*: must be finite and > 0"):
            read(tmp_path, max_jerk=bad)
    with pytest.raises(vr.ConfigError, match=r"max_jerk\[3\] = -1"):
        read(tmp_path, max_jerk=[1.0, 1.0, 1.0, -1.0])


@pytest.mark.filterwarnings("ignore")
def test_bad_files_and_links(tmp_path: Path) -> None:
    with pytest.raises(vr.FormatError, match="cannot be read"):
        vr.JointLimits.from_urdf(tmp_path / "none.urdf")
    with pytest.raises(vr.FormatError, match=r"must be <= upper = 2"):
        read(tmp_path, ROBOT.replace('lower="-1" upper="2"', 'lower="3" upper="2"'))
    with pytest.raises(vr.ConfigError, match="tip = hand: is not a link"):
        read(tmp_path, tip="hand")
    with pytest.raises(vr.ConfigError, match="base = a: takes a tip"):
        read(tmp_path, base="a")
    with pytest.raises(vr.ConfigError, match="0 movable joints"):
        read(tmp_path, '<robot name="r"><link name="base"/></robot>')
