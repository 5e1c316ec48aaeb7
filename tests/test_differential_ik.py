"""Tool poses become joint targets: reached where they can be, bounded everywhere, at rest out of reach."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import vla_rt as vr
from example_robots import ExampleRobot, example_robot, pose_error

DT = 0.001
HOME = {"panda": [0, -0.4, 0.1, -2.0, 0.1, 1.8, 0.7], "ur5": [0.1, -1.2, 1.5, -1.0, -1.5, 0.2]}


@pytest.fixture(params=["panda", "ur5"])
def robot(request: pytest.FixtureRequest) -> ExampleRobot:
    return example_robot(request.param)


def home(robot: ExampleRobot) -> NDArray[np.float64]:
    return np.array(HOME["panda" if robot.kinematics.num_joints == 7 else "ur5"], dtype=np.float64)


def start(robot: ExampleRobot, q: NDArray[np.float64], **options: object) -> vr.DifferentialIk:
    ik = vr.DifferentialIk(robot.kinematics, robot.limits, DT, **options)  # type: ignore[arg-type]
    ik.reset(q)
    return ik


def check_bounded(
    robot: ExampleRobot, q0: NDArray[np.float64], result: dict[str, NDArray[np.float64]]
) -> None:
    q = np.vstack([q0, result["position"]])
    assert np.all(q >= robot.limits.min_position)
    assert np.all(q <= robot.limits.max_position)
    assert np.all(np.abs(np.diff(q, axis=0)) <= robot.limits.max_velocity * DT * (1 + 1e-9))
    assert np.all(np.abs(result["velocity"]) <= robot.limits.max_velocity)


def enforce(
    robot: ExampleRobot, q0: NDArray[np.float64], result: dict[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The commands of an enforcer that follows; not one breaks a limit."""
    enforcer = vr.ConstraintEnforcer(robot.limits, DT)
    enforcer.reset(q0)
    commands = enforcer.run(result["position"], result["velocity"])["position"]
    counter = vr.ViolationCounter(robot.limits, DT)
    counter.reset(q0)
    counter.add(commands)
    assert counter.total == 0
    return commands


def tool(robot: ExampleRobot, q: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([robot.pose(row) for row in q])


def test_the_pose_is_pinocchios(robot: ExampleRobot) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        q = robot.random(rng)
        ik = start(robot, q)
        np.testing.assert_allclose(pose_error(ik.pose, robot.pose(q)), 0, atol=1e-7)
        np.testing.assert_array_equal(ik.pose, ik.target)


def test_poses_are_reached_from_random_starts(robot: ExampleRobot) -> None:
    rng = np.random.default_rng(1)
    reached = 0
    for _ in range(60):
        q0 = robot.random(rng)
        goal = robot.pose(np.clip(q0 + rng.uniform(-0.5, 0.5, len(q0)), *bounds(robot)))
        result = start(robot, q0).run(np.tile(goal, (4000, 1)))
        check_bounded(robot, q0, result)
        distance, angle = pose_error(robot.pose(result["position"][-1]), goal)
        # What is reported is what pinocchio finds.
        assert result["position_error"][-1] == pytest.approx(distance, abs=1e-9)
        assert result["rotation_error"][-1] == pytest.approx(angle, abs=1e-6)
        if not result["limited"][-1]:
            assert distance < 1e-4
            assert angle < 1e-3
            reached += 1
    assert reached >= 54  # the others end at a joint limit, which a local method cannot walk around


def bounds(robot: ExampleRobot) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return robot.limits.min_position, robot.limits.max_position


def test_anything_from_anywhere_stays_within_the_limits(robot: ExampleRobot) -> None:
    rng = np.random.default_rng(2)
    for _ in range(15):
        q0 = robot.random(rng)
        poses = np.repeat(np.array([robot.pose(robot.random(rng)) for _ in range(10)]), 100, axis=0)
        poses[:, :3] *= rng.choice([1, 1, 3, 1e5], (1000, 1))
        poses[rng.random(1000) < 0.1, 3:] *= -1
        poses[rng.random((1000, 7)) < 0.002] = np.nan
        twists = rng.normal(0, 1, (1000, 6)) * rng.choice([0.1, 1, 1e6], (1000, 1))
        result = start(robot, q0).run(poses, twists)
        check_bounded(robot, q0, result)
        enforce(robot, q0, result)


def test_an_arm_that_cannot_reach_comes_to_rest(robot: ExampleRobot) -> None:
    rng = np.random.default_rng(3)
    for _ in range(25):
        q0 = robot.random(rng)
        goal = robot.pose(robot.random(rng))
        goal[:3] *= rng.uniform(1.2, 3) / np.linalg.norm(goal[:3])
        result = start(robot, q0, posture_gain=0.0).run(np.tile(goal, (8000, 1)))
        check_bounded(robot, q0, result)
        assert result["limited"].all()
        # The error never rises by more than rounding of a slide along a limit, and nothing trembles.
        error = np.hypot(result["position_error"], 0.25 * result["rotation_error"])
        assert np.diff(error).max() < 2e-5
        step = np.diff(result["position"], axis=0)
        assert np.sum((step[1:] * step[:-1] < 0) & (np.abs(step[1:]) > 1e-5)) <= 10
        assert np.abs(step[-200:]).max() < 0.3 * np.max(robot.limits.max_velocity) * DT


def test_stretching_out_ends_where_the_arm_ends() -> None:
    robot = example_robot("ur5")
    q0 = np.array([0.0, -0.6, 1.2, -0.6, -1.5, 0.0])
    goal = robot.pose(q0)
    goal[:3] = [3.0, 0.1, 0.1]
    ik = start(robot, q0, rotation_scale=0.001)
    result = ik.run(np.tile(goal, (6000, 1)))
    commands = enforce(robot, q0, result)
    x = tool(robot, commands[::50])[:, :3]
    toward = np.linalg.norm(goal[:3] - x, axis=1)
    assert toward[-1] < goal[0] - 0.85  # stretched
    assert np.diff(toward).max() < 1e-5
    assert np.abs(commands[-1] - commands[-500]).max() < 1e-3


@pytest.mark.parametrize(
    ("name", "q"),
    [
        ("ur5", [0, -1.0, 0.0, -1.0, -1.5, 0]),  # elbow stretched
        ("ur5", [0, -1.0, 1.2, -1.0, 0.0, 0]),  # wrist
        ("ur5", [0, -1.571, 0.0, -1.571, 0.0, 0]),  # all at once
        ("panda", [0, 0, 0, -0.07, 0, 0, 0]),
        ("panda", [0, 0, 0, -1.57, 0, 0, 0]),
    ],
)
def test_singular_starts_are_left_smoothly(name: str, q: list[float]) -> None:
    robot = example_robot(name)
    q0 = np.clip(np.array(q, dtype=np.float64), *bounds(robot))
    rng = np.random.default_rng(4)
    for _ in range(8):
        goal = robot.pose(np.clip(q0 + rng.uniform(-0.4, 0.4, len(q0)), *bounds(robot)))
        result = start(robot, q0).run(np.tile(goal, (4000, 1)))
        check_bounded(robot, q0, result)
        enforce(robot, q0, result)
        # The smallest singular value is that of numpy.
        jacobian = robot.kinematics.jacobian(result["position"][-2])
        jacobian[3:] *= 0.25
        expected = np.linalg.svd(jacobian, compute_uv=False)[5]
        assert result["singular_value"][-1] == pytest.approx(expected, abs=1e-4)


def test_past_a_singularity_joints_stay_within_their_speed() -> None:
    """The wrist of the UR5 passes its singularity a little off the way that would pass through it."""
    robot = example_robot("ur5")
    q0 = np.array([0.0, -1.2, 1.6, -1.2, -0.25, 0.0])
    s = np.linspace(0, 1, 2000)
    poses = np.array([robot.pose(q0 + x * np.array([0, 0, 0, 0, 0.5, 0])) for x in s])
    turn = Rotation.from_rotvec(0.03 * np.sin(np.pi * s)[:, None] * np.array([0.0, 0.0, 1.0]))
    poses[:, 3:] = (turn * Rotation.from_quat(poses[:, 3:])).as_quat()
    poses = np.vstack([poses, np.tile(poses[-1], (2000, 1))])
    result = start(robot, q0).run(poses)
    check_bounded(robot, q0, result)
    assert result["singular_value"].min() < 0.005
    assert result["limited"].any()  # the price of the damping
    assert not result["limited"][-1]
    assert max(result["position_error"].max(), 0.25 * result["rotation_error"].max()) < 0.02
    last = enforce(robot, q0, result)[-1]
    assert pose_error(robot.pose(last), poses[-1])[0] < 1e-4


def circle(robot: ExampleRobot) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """4 s, radius 5 cm, 0.25 Hz from rest, turning the tool by 0.2 rad and back."""
    t = np.arange(6000) * DT
    phase = 2 * np.pi * 0.25 * (t - np.where(t < 1, (t - t**2 / 2), 0.5))  # ramps in over 1 s
    rate = 2 * np.pi * 0.25 * np.minimum(t, 1)
    p0 = robot.pose(home(robot))
    poses, twists = np.tile(p0, (len(t), 1)), np.zeros((len(t), 6))
    poses[:, 0] += 0.05 * (np.cos(phase) - 1)
    poses[:, 1] += 0.05 * np.sin(phase)
    twists[:, 0], twists[:, 1] = -0.05 * rate * np.sin(phase), 0.05 * rate * np.cos(phase)
    axis = np.array([0.6, 0.0, 0.8])
    turn = Rotation.from_rotvec(0.2 * np.sin(phase)[:, None] * axis)
    poses[:, 3:] = (turn * Rotation.from_quat(p0[3:])).as_quat()
    twists[:, 3:] = 0.2 * (np.cos(phase) * rate)[:, None] * axis
    return poses, twists


@pytest.mark.parametrize("given", [True, False])
def test_a_slow_circle_is_tracked(robot: ExampleRobot, given: bool) -> None:
    poses, twists = circle(robot)
    q0 = home(robot)
    result = start(robot, q0).run(poses, twists if given else None)
    check_bounded(robot, q0, result)
    assert not result["limited"].any()
    assert result["position_error"].max() < 2e-6
    commands = enforce(robot, q0, result)
    errors = np.array(
        [pose_error(robot.pose(q), p) for q, p in zip(commands[::20], poses[::20], strict=True)]
    )
    assert errors[:, 0].max() < 5e-5
    assert errors[:, 1].max() < 2e-4


def test_a_step_goes_straight_and_does_not_overshoot(robot: ExampleRobot) -> None:
    q0 = home(robot)
    a = robot.pose(q0)
    b = a.copy()
    b[:3] += [0.05, 0.15, -0.1]
    b[3:] = (Rotation.from_euler("xyz", [0.3, -0.2, 0.4]) * Rotation.from_quat(a[3:])).as_quat()
    result = start(robot, q0).run(np.tile(b, (3000, 1)))
    assert not result["limited"][-1]
    x = tool(robot, enforce(robot, q0, result))[:, :3]
    along = (x - a[:3]) @ (b[:3] - a[:3]) / np.linalg.norm(b[:3] - a[:3])
    aside = np.linalg.norm(
        (x - a[:3]) - along[:, None] * (b[:3] - a[:3]) / np.linalg.norm(b[:3] - a[:3]), axis=1
    )
    assert along.max() < np.linalg.norm(b[:3] - a[:3]) + 1e-3
    assert aside.max() < 0.02
    assert pose_error(robot.pose(result["position"][-1]), b)[0] < 1e-4


def test_a_large_turn_takes_the_short_way_round(robot: ExampleRobot) -> None:
    q0 = home(robot)
    a = robot.pose(q0)
    b = a.copy()
    b[3:] = (Rotation.from_rotvec([0.3, -0.5, 0.9]) * Rotation.from_quat(a[3:])).as_quat()
    result = start(robot, q0).run(np.tile(b, (4000, 1)))
    angles = result["rotation_error"]
    assert np.diff(angles).max() < 1e-6
    negative = start(robot, q0).run(np.tile(np.r_[b[:3], -b[3:]], (4000, 1)))
    flipping = np.tile(b, (4000, 1))
    flipping[::2, 3:] *= -1
    np.testing.assert_array_equal(negative["position"], result["position"])
    np.testing.assert_allclose(start(robot, q0).run(flipping)["position"], result["position"], atol=1e-9)


@pytest.mark.parametrize("frame", ["base", "tool"])
def test_deltas_accumulate_on_what_was_asked_for(robot: ExampleRobot, frame: str) -> None:
    rng = np.random.default_rng(5)
    ik = start(robot, home(robot))
    asked = np.eye(4)
    pose = robot.pose(home(robot))
    asked[:3, :3], asked[:3, 3] = Rotation.from_quat(pose[3:]).as_matrix(), pose[:3]
    space = vr.EndEffectorDeltaSpace()
    for _ in range(200):
        delta = rng.normal(0, 1, 6) * 1e-4
        _, _, report = ik.update_delta(delta, frame)
        step = space.to_transform(np.append(delta, 0))
        if frame == "tool":
            asked = asked @ step
        else:
            asked[:3, 3] += step[:3, 3]
            asked[:3, :3] = step[:3, :3] @ asked[:3, :3]
    expected = np.r_[asked[:3, 3], Rotation.from_matrix(asked[:3, :3]).as_quat()]
    np.testing.assert_allclose(pose_error(ik.target, expected), 0, atol=1e-7)
    assert report.status == vr.Status.Ok
    assert pose_error(ik.pose, expected)[0] < 1e-5
    # Far more than the arm can do in a tick: asked for all the same, and reached later.
    ik.update_delta([0.1, 0, 0, 0, 0, 0])
    assert pose_error(ik.target, expected)[0] == pytest.approx(0.1)
    assert pose_error(ik.pose, expected)[0] < 0.01


def test_free_joints_drift_to_the_posture_and_the_tool_stays() -> None:
    robot = example_robot("panda")
    q0 = home(robot)
    posture = q0 + np.array([0.4, 0, -0.4, 0, 0.3, 0, 0])
    result = start(robot, q0, posture=posture).run(np.tile(robot.pose(q0), (10000, 1)))
    assert result["position_error"].max() < 1e-6
    assert result["rotation_error"].max() < 1e-5
    moved = result["position"][-1]
    assert np.linalg.norm(moved - posture) < np.linalg.norm(q0 - posture) - 0.1
    # In the null space nothing is left to gain.
    jacobian = robot.kinematics.jacobian(moved)
    null = np.linalg.svd(jacobian)[2][6]
    assert abs(null @ (posture - moved)) < 5e-3
    # Without a posture of its own it stays as it was.
    still = start(robot, q0).run(np.tile(robot.pose(q0), (100, 1)))
    np.testing.assert_allclose(still["position"][-1], q0, atol=1e-9)


def test_a_joint_at_its_limit_leaves_the_work_to_the_others() -> None:
    robot = example_robot("panda")
    q0 = home(robot)
    pose = robot.pose(q0)
    low, high = robot.limits.min_position, robot.limits.max_position.copy()
    high[6] = q0[6]  # the last joint can only turn back
    limits = vr.JointLimits(
        low, high, robot.limits.max_velocity, robot.limits.max_acceleration, robot.limits.max_jerk
    )
    ik = vr.DifferentialIk(robot.kinematics, limits, DT)
    ik.reset(q0)
    goal = np.r_[pose[:3], (Rotation.from_quat(pose[3:]) * Rotation.from_rotvec([0, 0, 0.05])).as_quat()]
    result = ik.run(np.tile(goal, (3000, 1)))
    assert result["position"][:, 6].max() <= q0[6]
    assert not result["limited"][-1]  # the arm is redundant: another way to turn the tool


def test_an_arm_of_five_joints_comes_as_near_as_it_can() -> None:
    robot = example_robot("so101")
    q0 = np.array([0.1, -0.5, 0.6, 0.4, 0.1])
    pose = robot.pose(q0)
    goal = np.r_[pose[:3] + np.array([0.01, 0.02, 0.01]), pose[3:]]
    exact = start(robot, q0, rotation_scale=1e-3).run(np.tile(goal, (3000, 1)))
    mixed = start(robot, q0, rotation_scale=0.25).run(np.tile(goal, (3000, 1)))
    assert exact["position_error"][-1] < 1e-4
    assert mixed["position_error"][-1] > exact["position_error"][-1]
    assert mixed["rotation_error"][-1] < exact["rotation_error"][-1]


def test_bad_numbers_are_refused_and_the_last_good_target_kept(robot: ExampleRobot) -> None:
    q0 = home(robot)
    goal = robot.pose(q0)
    goal[0] += 0.01
    ik = start(robot, q0)
    ik.update(goal)
    for bad in (
        np.full(7, np.nan),
        np.r_[np.inf, goal[1:]],
        np.r_[1e7, goal[1:]],
        np.r_[goal[:3], 0, 0, 0, 0],
        np.r_[goal[:3], 1.01 * goal[3:]],
        np.r_[goal[:6], np.nan],
    ):
        _, _, report = ik.update(bad)
        assert report.status == vr.Status.NonFinite
        np.testing.assert_allclose(ik.target, goal, atol=1e-15)
    assert ik.update(goal, [0, np.nan, 0, 0, 0, 0])[2].status == vr.Status.NonFinite
    assert ik.update_delta([np.nan, 0, 0, 0, 0, 0])[2].status == vr.Status.NonFinite
    assert ik.update_delta([0, 0, 0, 0, np.inf, 0])[2].status == vr.Status.NonFinite
    for _ in range(400):
        _, _, report = ik.update(np.full(7, np.nan))
    assert report.status == vr.Status.NonFinite
    assert report.position_error < 1e-6  # it went on to the last good target
    almost = goal.copy()
    almost[3:] *= 1.0005  # a network's float32
    assert ik.update(almost)[2].status == vr.Status.Ok


def test_following_seeds_anew(robot: ExampleRobot) -> None:
    ik = start(robot, home(robot))
    other = home(robot) + 0.2
    ik.follow(other)
    np.testing.assert_array_equal(ik.position, other)
    np.testing.assert_allclose(pose_error(ik.target, robot.pose(other)), 0, atol=1e-7)
    ik.follow(np.full(len(other), np.nan))
    np.testing.assert_array_equal(ik.position, other)
    ik.follow(other + 100)
    np.testing.assert_array_equal(ik.position, robot.limits.max_position)


def test_wrong_calls_are_named(robot: ExampleRobot) -> None:
    n = robot.kinematics.num_joints
    ik = vr.DifferentialIk(robot.kinematics, robot.limits, DT)
    with pytest.raises(vr.ConfigError, match="reset"):
        ik.update(np.zeros(7))
    with pytest.raises(vr.ConfigError, match=rf"position = {n + 1} numbers: must have {n}"):
        ik.reset(np.zeros(n + 1))
    with pytest.raises(vr.ConfigError, match=r"position\[1\] = 100: must be within"):
        ik.reset(np.r_[0, 100, np.zeros(n - 2)])
    with pytest.raises(vr.ConfigError, match=r"position\[0\] = nan"):
        ik.reset(np.r_[np.nan, np.zeros(n - 1)])
    ik.reset(home(robot))
    with pytest.raises(vr.ConfigError, match=r"pose = shape \(6,\): must have shape \(7,\)"):
        ik.update(np.zeros(6))
    with pytest.raises(vr.ConfigError, match="twist"):
        ik.update(ik.pose, np.zeros(7))
    with pytest.raises(vr.ConfigError, match=r'frame = "world": must be base \| tool'):
        ik.update_delta(np.zeros(6), "world")
    with pytest.raises(vr.ConfigError, match="twists"):
        ik.run(np.zeros((3, 7)), np.zeros((2, 6)))
    for options, named in [
        ({"rotation_scale": 0}, "rotation_scale = 0"),
        ({"singular_value": np.nan}, "singular_value = nan"),
        ({"posture_gain": -1}, "posture_gain = -1"),
        ({"posture": np.zeros(3)}, "posture = 3 numbers"),
        ({"posture": np.full(n, 50.0)}, r"posture\[0\] = 50: must be within"),
    ]:
        with pytest.raises(vr.ConfigError, match=named):
            vr.DifferentialIk(robot.kinematics, robot.limits, DT, **options)  # type: ignore[arg-type]
    with pytest.raises(vr.ConfigError, match="period_s = 0"):
        vr.DifferentialIk(robot.kinematics, robot.limits, 0)
    one = np.ones(2)
    with pytest.raises(
        vr.ConfigError, match=rf"limits = 2 joints: must be those of the kinematic chain, {n}"
    ):
        vr.DifferentialIk(robot.kinematics, vr.JointLimits(-one, one, one, one, one), DT)
