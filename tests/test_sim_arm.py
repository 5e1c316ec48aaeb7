"""The simulated arm: kinematics against independent computations, dynamics, servo, refusal of bad models."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.robots.panda import (
    PANDA_FLANGE_OFFSET,
    PANDA_MAX_POSITION,
    PANDA_MAX_TORQUE,
    PANDA_MIN_POSITION,
    PANDA_TOOL_OFFSET,
    panda_forward,
)

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
from vla_rt.sim import DEFAULT_MODEL, ArmSimulation, InverseKinematics


def _random_positions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(PANDA_MIN_POSITION, PANDA_MAX_POSITION, (count, 7))


def test_forward_kinematics_equal_the_published_parameters():
    kinematics = InverseKinematics()
    for q in _random_positions(200):
        expected = panda_forward(q, PANDA_FLANGE_OFFSET + PANDA_TOOL_OFFSET)[:3, 3]
        np.testing.assert_allclose(kinematics.forward(q), expected, atol=1e-9)


def test_flange_pose_equals_the_simulators():
    arm = ArmSimulation()
    for q in _random_positions(50, seed=1):
        arm.reset(q)
        flange = arm.data.site("flange")
        expected = panda_forward(q)
        np.testing.assert_allclose(flange.xpos, expected[:3, 3], atol=1e-9)
        np.testing.assert_allclose(flange.xmat.reshape(3, 3), expected[:3, :3], atol=1e-9)


def test_forward_kinematics_equal_a_urdf_in_pinocchio():
    pin = pytest.importorskip("pinocchio", reason="pin is not installed")
    urdf = "share/example-robot-data/robots/panda_description/urdf/panda.urdf"
    try:
        path = distribution("example-robot-data").locate_file(f"cmeel.prefix/{urdf}")
    except PackageNotFoundError:
        pytest.skip("example-robot-data is not installed")
    model = pin.buildModelFromUrdf(str(path))
    frame = model.getFrameId("panda_link8")  # the flange
    state = model.createData()
    for q in _random_positions(100, seed=2):
        full = pin.neutral(model)
        full[:7] = q
        pin.framesForwardKinematics(model, state, full)
        np.testing.assert_allclose(state.oMf[frame].homogeneous, panda_forward(q), atol=1e-6)


def test_panda_forward_takes_batches_and_refuses_other_sizes():
    q = _random_positions(6).reshape(2, 3, 7)
    poses = panda_forward(q)
    assert poses.shape == (2, 3, 4, 4)
    np.testing.assert_array_equal(poses[1, 2], panda_forward(q[1, 2]))
    with pytest.raises(vr.ConfigError, match=r"position\.shape"):
        panda_forward(np.zeros(6))


def test_jacobian_is_the_derivative_of_the_forward_kinematics():
    kinematics = InverseKinematics()
    step = 1e-6
    for q in _random_positions(20, seed=3):
        columns = [
            (kinematics.forward(q + step * axis) - kinematics.forward(q - step * axis)) / (2 * step)
            for axis in np.eye(7)
        ]
        np.testing.assert_allclose(kinematics.jacobian(q), np.array(columns).T, atol=1e-8)


def test_model_has_the_published_ranges_and_torques():
    arm = ArmSimulation()
    np.testing.assert_array_equal(arm.min_position, PANDA_MIN_POSITION)
    np.testing.assert_array_equal(arm.max_position, PANDA_MAX_POSITION)
    np.testing.assert_array_equal(arm.model.jnt_actfrcrange[:, 1], PANDA_MAX_TORQUE)
    assert arm.num_contacts == 0
    assert 15.0 < arm.model.body_subtreemass[1:].max() < 20.0


def test_servo_holds_against_gravity():
    arm = ArmSimulation()
    arm.step(3000)
    np.testing.assert_allclose(arm.position, arm.home, atol=1e-6)
    np.testing.assert_allclose(arm.velocity, 0.0, atol=1e-6)


@pytest.mark.parametrize(("hertz", "bound"), [(0.25, 5e-4), (1.0, 5e-3)])
def test_servo_tracks_a_sine(hertz: float, bound: float):
    """All joints swing by 0.6 rad at once: within 0.5 mrad at 0.25 Hz and 5 mrad at 1 Hz."""
    arm = ArmSimulation()
    rate = 2 * np.pi * hertz
    worst = 0.0
    for k in range(int(4000 * min(1.0, 1 / hertz))):
        time = k * arm.timestep_s
        swing = 0.3 * (1 - np.cos(rate * time)) * np.ones(7)
        speed = 0.3 * rate * np.sin(rate * time) * np.ones(7)
        arm.command(arm.home + swing, speed)
        arm.step()
        now = 0.3 * (1 - np.cos(rate * arm.time_s))
        worst = max(worst, float(np.abs(arm.position - arm.home - now).max()))
    assert worst < bound


def test_dynamics_dissipate_and_stay_finite():
    """Thrown at 1 rad/s with the target at home, the arm rests there; torques stay within their limits."""
    arm = ArmSimulation()
    arm.data.qvel[:] = [1, -1, 1, -1, 1, -1, 1]
    kinetic = []
    for _ in range(300):
        arm.step(10)
        assert np.all(np.abs(arm.data.qfrc_actuator) <= PANDA_MAX_TORQUE + 1e-9)
        kinetic.append(float(np.abs(arm.velocity).max()))
        assert arm.finite
    assert kinetic[-1] < 1e-3
    assert max(kinetic) < 3.0
    np.testing.assert_allclose(arm.position, arm.home, atol=1e-4)


def test_the_arm_falls_without_gravity_compensation():
    """The compensation is what holds it: the dynamics are real."""
    arm = ArmSimulation()
    arm.model.body_gravcomp[:] = 0
    arm.reset()
    arm.step(2000)
    assert np.abs(arm.position - arm.home).max() > 1e-3


def test_contact_with_the_floor_stops_the_tool():
    arm = ArmSimulation()
    low = np.array([0.0, 0.9, 0.0, -1.6, 0.0, 2.3, 0.785])
    assert panda_forward(low, PANDA_FLANGE_OFFSET + PANDA_TOOL_OFFSET)[2, 3] < 0.0
    for k in range(4000):
        arm.command(arm.home + (low - arm.home) * min(1.0, k / 3000))
        arm.step()
    assert arm.num_contacts > 0
    assert arm.tool[2] > -0.01
    assert arm.finite


def test_solution_is_unique_and_away_from_the_joint_limits():
    kinematics = InverseKinematics()
    random = np.random.default_rng(4)
    for _ in range(50):
        goal = random.uniform((0.35, -0.3, 0.2), (0.6, 0.3, 0.55))
        q = kinematics.solve(goal)
        assert np.linalg.norm(kinematics.forward(q) - goal) < 1e-3
        assert min((q - PANDA_MIN_POSITION).min(), (PANDA_MAX_POSITION - q).min()) > 0.3
        from_elsewhere = kinematics.solve(goal, start=q + random.uniform(-0.4, 0.4, 7))
        np.testing.assert_allclose(from_elsewhere, q, atol=1e-4)


def test_a_goal_out_of_reach_is_refused():
    with pytest.raises(vr.ConfigError, match="out of reach"):
        InverseKinematics().solve((2.0, 0.0, 0.5))


def test_pose_velocity_moves_and_turns_the_tool_as_wished():
    kinematics = InverseKinematics(damping=1e-4)
    rng = np.random.default_rng(3)
    for _ in range(20):
        q = kinematics.home + 0.2 * rng.normal(size=7)
        linear, angular = rng.normal(size=(2, 3)) * [[0.1], [0.3]]
        dq = kinematics.pose_velocity(q, linear, angular, kinematics.home)
        before, after = (kinematics.pose(q + s * dq) for s in (-1e-5, 1e-5))
        np.testing.assert_allclose((after[0] - before[0]) / 2e-5, linear, atol=1e-4)
        spin = (after[1] - before[1]) / 2e-5 @ kinematics.pose(q)[1].T
        np.testing.assert_allclose([spin[2, 1], spin[0, 2], spin[1, 0]], angular, atol=1e-4)
    still = kinematics.pose_velocity(q, np.zeros(3), np.zeros(3), kinematics.home)
    towards = (kinematics.home - q) @ still
    assert towards > 0  # what is free is drawn to the posture


@pytest.mark.parametrize("position", [np.zeros(6), np.full(7, np.nan)])
def test_a_bad_start_is_refused_and_changes_nothing(position: np.ndarray):
    arm = ArmSimulation()
    with pytest.raises(vr.ConfigError, match="position"):
        arm.reset(position)
    np.testing.assert_array_equal(arm.position, arm.home)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('<site name="tool"', '<site name="tip"', "tool"),
        ('<body name="goal" mocap="true"', '<body name="goal"', "goal"),
        ('<position name="joint7" class="wrist" joint="joint7"/>', "", "actuators"),
        ('<position name="joint7" class="wrist"', '<motor name="joint7"', r"actuator\[6\]"),
        ("<mujoco", "<mujocco", "cannot read"),
    ],
)
def test_a_bad_model_is_refused(tmp_path: Path, old: str, new: str, message: str):
    text = DEFAULT_MODEL.read_text()
    assert old in text
    path = tmp_path / "bad.xml"
    path.write_text(_cut(text, old, new))
    with pytest.raises(vr.FormatError, match=message):
        ArmSimulation(path)


def _cut(text: str, old: str, new: str) -> str:
    """Replaces, and drops the keyframe, whose sizes would not fit any more."""
    start, end = text.index("<keyframe>"), text.index("</keyframe>")
    return (text[:start] + text[end + len("</keyframe>") :]).replace(old, new)


def test_a_missing_model_is_refused(tmp_path: Path):
    with pytest.raises(vr.ConfigError, match="no such file"):
        ArmSimulation(tmp_path / "none.xml")
