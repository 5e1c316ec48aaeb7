"""Kinematics from URDF: equal to pinocchio, plain about what it refuses."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vla_rt as vr

CHAIN = """<?xml version="1.0"?>
<!-- two joints and a tool -->
<robot name="r">
  <link name="base"/><link name="a"/><link name="b"/><link name="tool"/><link name="finger"/>
  <joint name="j1" type="revolute"><parent link="base"/><child link="a"/>
    <origin xyz="0 0 0.5" rpy="0 0 0"/><axis xyz="0 0 2"/>
    <limit lower="-1" upper="2" velocity="3" effort="1"/></joint>
  <joint name="j2" type="prismatic"><parent link="a"/><child link="b"/>
    <origin xyz="1 0 0" rpy="0 1.5707963267948966 0"/><axis xyz="0 0 1"/>
    <limit lower="0" upper="0.4" velocity="1" acceleration="7" effort="1"/></joint>
  <joint name="mount" type="fixed"><parent link="b"/><child link="tool"/><origin xyz="0 0 0.1"/></joint>
  <joint name="grip" type="prismatic"><parent link="tool"/><child link="finger"/>
    <limit lower="0" upper="1" velocity="1"/></joint>
</robot>"""


def load(text: str, tmp_path: Path, tip: str = "tool", base: str | None = None) -> vr.Kinematics:
    file = tmp_path / "robot.urdf"
    file.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return vr.Kinematics.from_urdf(str(file), tip, base)


@pytest.fixture
def chain(tmp_path: Path) -> vr.Kinematics:
    return load(CHAIN, tmp_path)


def test_a_chain_by_hand(chain: vr.Kinematics) -> None:
    assert chain.num_joints == 2
    assert chain.joint_names == ["j1", "j2"]
    pose = chain.forward([np.pi / 2, 0.2])
    np.testing.assert_allclose(pose[:3, 3], [0, 1.3, 0.5], atol=1e-15)  # 1 + 0.2 + 0.1 along the turned x
    jacobian = chain.jacobian([np.pi / 2, 0.2])
    np.testing.assert_allclose(jacobian[:, 0], [-1.3, 0, 0, 0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(jacobian[:, 1], [0, 1, 0, 0, 0, 0], atol=1e-15)


def test_limits_and_what_is_left_open(chain: vr.Kinematics) -> None:
    limits = chain.limits
    np.testing.assert_array_equal(limits["min_position"], [-1, 0])
    np.testing.assert_array_equal(limits["max_position"], [2, 0.4])
    np.testing.assert_array_equal(limits["max_velocity"], [3, 1])
    np.testing.assert_array_equal(limits["max_acceleration"], [np.inf, 7])
    assert np.all(np.isinf(limits["max_jerk"]))


def test_other_branches_are_named(tmp_path: Path) -> None:
    file = tmp_path / "r.urdf"
    file.write_text(CHAIN)
    with pytest.warns(UserWarning, match="grip is not on the chain"):
        k = vr.Kinematics.from_urdf(str(file), "tool")
    assert set(k.link_names) == {"base", "a", "b", "tool", "finger"}


def test_mimic_is_ignored_with_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "r.urdf"
    file.write_text(CHAIN.replace('<axis xyz="0 0 2"/>', '<axis xyz="0 0 2"/><mimic joint="j2"/>'))
    with pytest.warns(UserWarning, match="j1 mimics"), pytest.warns(UserWarning, match="grip"):
        vr.Kinematics.from_urdf(str(file), "tool")


BAD = {
    "truncated": (CHAIN[:300], "closed|expected"),
    "not text": ("<robot name='\x00'/>", "not UTF-8"),
    "empty": ("", "no element"),
    "not xml": ("hello", "text outside"),
    "doctype": ('<!DOCTYPE r [<!ENTITY a "b">]><robot/>', "document types"),
    "entity": ('<robot name="&lol;"/>', "unknown entity"),
    "other root": ("<sdf/>", "must be <robot>"),
    "mismatched": ("<robot><link name='a'></robot></link>", "closes nothing"),
    "attribute twice": ("<robot><link name='a' name='b'/></robot>", "given twice"),
    "number": (CHAIN.replace('xyz="0 0 0.5"', 'xyz="0 zero 0.5"'), "3 finite numbers"),
    "nan": (CHAIN.replace('xyz="0 0 0.5"', 'xyz="0 nan 0.5"'), "3 finite numbers"),
    "two numbers": (CHAIN.replace('xyz="0 0 0.5"', 'xyz="0 0.5"'), "3 finite numbers"),
    "axis": (CHAIN.replace('xyz="0 0 2"', 'xyz="0 0 0"'), "must not be zero"),
    "inverted": (CHAIN.replace('lower="-1" upper="2"', 'lower="3" upper="2"'), "must be <= upper = 2"),
    "no limit": (CHAIN.replace('<limit lower="-1" upper="2" velocity="3" effort="1"/>', ""), "needs <limit>"),
    "unknown link": (CHAIN.replace('<child link="b"/>', '<child link="c"/>'), "not a link"),
    "two parents": (CHAIN.replace('<child link="tool"/>', '<child link="a"/>'), "two parent joints"),
    "link twice": (CHAIN.replace('<link name="b"/>', '<link name="a"/>'), "given twice"),
    "cycle": (CHAIN.replace('<parent link="base"/>', '<parent link="tool"/>'), "cycle"),
    "deep": ("<robot>" + "<a>" * 100 + "</a>" * 100 + "</robot>", "64 levels"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named(case: str, tmp_path: Path) -> None:
    text, message = BAD[case]
    with pytest.raises(vr.FormatError, match=message) as caught:
        load(text, tmp_path)
    assert "robot.urdf" in str(caught.value)


def test_wrong_calls(chain: vr.Kinematics, tmp_path: Path) -> None:
    with pytest.raises(vr.FormatError, match="cannot be read"):
        vr.Kinematics.from_urdf(str(tmp_path / "none.urdf"), "tool")
    with pytest.raises(vr.ConfigError, match="tip = hand: is not a link"):
        load(CHAIN, tmp_path, "hand")
    with pytest.raises(vr.ConfigError, match="does not descend from base tool"):
        load(CHAIN, tmp_path, "a", "tool")
    with pytest.raises(vr.ConfigError, match="no joint moves"):
        load(CHAIN, tmp_path, "base")
    with pytest.raises(vr.ConfigError, match="floating"):
        load(CHAIN.replace('"j1" type="revolute"', '"j1" type="floating"'), tmp_path)
    for q in ([0.0], [0.0, 0.0, 0.0], [[0.0, 0.0]], [0.0, np.nan]):
        with pytest.raises(vr.ConfigError, match="q"):
            chain.forward(q)
        with pytest.raises(vr.ConfigError, match="q"):
            chain.jacobian(q)


@given(st.binary(max_size=200), st.integers(0, len(CHAIN) - 1))
def test_mutated_files_never_crash(noise: bytes, at: int) -> None:
    with tempfile.NamedTemporaryFile(suffix=".urdf") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = CHAIN.encode()
        file.write(text[:at] + noise + text[at + len(noise) // 2 :])
        file.flush()
        with contextlib.suppress(vr.VlaRtError):
            k = vr.Kinematics.from_urdf(file.name, "tool")
            assert np.isfinite(k.forward(np.full(k.num_joints, 0.1))).all()


ROBOTS = [
    ("panda_description/urdf/panda.urdf", "panda_hand_tcp", 7),
    ("ur_description/urdf/ur5_robot.urdf", "tool0", 6),
    ("so_arm_description/urdf/so101.urdf", "gripper_frame_link", 5),
]


def example_robots() -> Path:
    try:
        files = distribution("example-robot-data").files or []
    except PackageNotFoundError:
        pytest.skip("needs example-robot-data (pip install vla-rt[dev])")
    return Path(str(next(f.locate() for f in files if f.name == "panda.urdf"))).parents[2]


@pytest.mark.parametrize(("urdf", "tip", "joints"), ROBOTS)
def test_equals_pinocchio(urdf: str, tip: str, joints: int) -> None:
    pin = pytest.importorskip("pinocchio", reason="needs pin (oracle environment)")
    file = example_robots() / urdf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        k = vr.Kinematics.from_urdf(str(file), tip)
    assert k.num_joints == joints
    model = pin.buildModelFromUrdf(str(file))
    data = model.createData()
    frame = model.getFrameId(tip)
    index = [model.joints[model.getJointId(n)].idx_q for n in k.joint_names]
    rng = np.random.default_rng(0)
    for _ in range(50):
        q = rng.uniform(-3, 3, joints)
        full = pin.neutral(model)
        full[index] = q
        pin.framesForwardKinematics(model, data, full)
        np.testing.assert_allclose(k.forward(q), data.oMf[frame].homogeneous, rtol=0, atol=1e-10)
        for name, pose in k.link_transforms(q).items():
            np.testing.assert_allclose(pose, data.oMf[model.getFrameId(name)].homogeneous, rtol=0, atol=1e-10)
        expected = pin.computeFrameJacobian(model, data, full, frame, pin.LOCAL_WORLD_ALIGNED)
        np.testing.assert_allclose(k.jacobian(q), expected[:, index], rtol=0, atol=1e-10)
