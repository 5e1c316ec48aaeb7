"""Workspace and collision: nothing leaves the box or touches, by pinocchio, at ten times the control rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from example_robots import example_robot
from panda_oracle import Oracle
from panda_scene import CAPSULES, LIMITS, LOWER, MAY_TOUCH, READY, UPPER, model

PERIOD = 1e-3
FIELDS = ("min_position", "max_position", "max_velocity", "max_acceleration", "max_jerk")


@pytest.fixture(scope="module")
def urdf() -> Path:
    return example_robot("panda").path


@pytest.fixture(scope="module")
def panda() -> vr.Kinematics:
    return example_robot("panda").kinematics


@pytest.fixture(scope="module")
def collision(panda: vr.Kinematics) -> vr.CollisionModel:
    return model(panda)


def make(panda, collision, start=READY, **options) -> vr.ConstraintEnforcer:
    e = vr.ConstraintEnforcer(LIMITS, PERIOD, panda, vr.Workspace(LOWER, UPPER), collision, **options)
    e.reset(start)
    return e


def free_start(e: vr.ConstraintEnforcer, rng: np.random.Generator) -> np.ndarray:
    """Any place the enforcer takes as a start, at rest; the enforcer stands there."""
    for _ in range(10_000):
        start = rng.uniform(LIMITS.min_position, LIMITS.max_position)
        try:
            e.reset(start)
        except vr.ConfigError:
            continue
        return start
    raise AssertionError("no free place")


def streams(ticks: int, rng: np.random.Generator):
    """Wild targets (ticks, 7)."""
    lo, hi = LIMITS.min_position, LIMITS.max_position
    t = np.arange(ticks)[:, None] * PERIOD
    yield "jumps", np.repeat(rng.uniform(lo, hi, (ticks // 600 + 1, 7)), 600, axis=0)[:ticks]
    yield "bang", np.where(rng.random((ticks // 40 + 1, 7)) < 0.5, lo - 1, hi + 1).repeat(40, axis=0)[:ticks]
    yield "resonant", READY + 2 * np.sin((3 + 5 * rng.random(7)) * t * (1 + t))
    wild = rng.uniform(lo, hi, (ticks, 7))
    wild[rng.random((ticks, 7)) < 0.3] = np.nan
    wild[rng.random((ticks, 7)) < 0.1] = 1e300
    yield "wild", wild
    yield "far beyond", np.repeat(READY + rng.choice([-3, 3], (ticks // 700 + 1, 7)), 700, axis=0)[:ticks]
    yield "one joint", READY + np.where(np.arange(7) == rng.integers(7), 3 * np.sin(2 * t), 0)


@pytest.mark.parametrize("boxed", [True, False])
def test_no_stream_leaves_the_box_or_touches(panda, collision, urdf, boxed):
    oracle = Oracle(urdf)
    rng = np.random.default_rng(7)
    near_wall = near_touch = np.inf
    for name, targets in streams(1800, rng):
        workspace = vr.Workspace(LOWER, UPPER) if boxed else None
        preserving = bool(rng.integers(2))
        e = vr.ConstraintEnforcer(LIMITS, PERIOD, panda, workspace, collision, preserving)
        start = free_start(e, rng)
        position = e.run(targets, substeps=10)["position"]
        judge = vr.ViolationCounter(LIMITS, PERIOD)
        judge.reset(start)
        assert judge.add(position[9::10]) == 0, name
        if boxed:
            tool = np.array([oracle.tool(q) for q in position])
            near_wall = min(near_wall, (tool - LOWER).min(), (UPPER - tool).min())
            assert near_wall >= 0, name
        # Every row by our own distances, which equal the oracle's (below); the nearest ones by the oracle.
        clearance = np.array([collision.distance(q) for q in position])
        assert clearance.min() >= 0, name
        for k in {*np.argsort(clearance)[:5], *range(0, len(position), 500)}:
            assert oracle.clearance(position[k]) == pytest.approx(clearance[k], abs=1e-9)
        near_touch = min(near_touch, clearance.min())
    assert near_wall < 1e-3 or not boxed  # the attack does press on the walls
    assert near_touch < 1e-3 or boxed


def test_run_equals_apply_with_surroundings(panda, collision):
    rng = np.random.default_rng(5)
    targets = np.repeat(rng.uniform(LIMITS.min_position, LIMITS.max_position, (3, 7)), 600, axis=0)
    out = make(panda, collision).run(targets)
    e = make(panda, collision)
    seen = set()
    for k, target in enumerate(targets):
        command, report = e.apply(target)
        assert command.tobytes() == out["position"][k].tobytes()
        assert bool(report.limited) == out["limited"][k]
        tool = panda.forward(command)[:3, 3]
        wall = min((tool - LOWER).min(), (UPPER - tool).min())
        assert report.distance_to_limit["workspace"] == pytest.approx(wall, abs=1e-12)
        assert report.distance_to_limit["collision"] == pytest.approx(collision.distance(command), abs=1e-12)
        seen |= report.limited
    assert "workspace" in seen or "collision" in seen
    causes = {entry["cause"] for entry in report.log}
    assert causes & {"workspace", "collision"}


def test_far_from_everything_nothing_changes(panda, collision):
    t = np.arange(1, 2001)[:, None] * PERIOD
    targets = READY + 0.05 * (1 - np.cos(3 * t)) * np.sin(np.arange(7))
    alone = vr.ConstraintEnforcer(LIMITS, PERIOD)
    alone.reset(READY)
    expected = alone.run(targets)["position"]
    assert make(panda, collision).run(targets)["position"].tobytes() == expected.tobytes()


def test_a_bad_start_says_what_and_by_how_much(panda, collision):
    e = make(panda, collision)
    before = e.position
    with pytest.raises(vr.ConfigError, match=r"tip is 0\.\d+ m outside its workspace"):
        e.reset([2.0, *READY[1:]])
    inside = vr.CollisionModel(panda, CAPSULES, [vr.Sphere(panda.forward(READY)[:3, 3], 0.05)], MAY_TOUCH)
    with pytest.raises(vr.ConfigError, match=r"panda_hand is 0\.\d+ m inside world"):
        vr.ConstraintEnforcer(LIMITS, PERIOD, collision=inside).reset(READY)
    tool_y = panda.forward(READY)[1, 3]
    narrow = vr.ConstraintEnforcer(
        LIMITS, PERIOD, panda, vr.Workspace([-2, tool_y - 1, -2], [2, tool_y + 0.01, 2])
    )
    narrow.reset(READY)
    with pytest.raises(vr.ConfigError, match="the shortest stop leaves the workspace"):
        narrow.reset(READY, [2.0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(e.position, before)
    command, _ = e.apply(READY)
    np.testing.assert_array_equal(command, READY)


def with_gripper(position: int) -> tuple[vr.JointLimits, list[int]]:
    """Limits of the arm and a gripper's joint at this place among them, and where the arm's are."""
    one = {
        "min_position": 0,
        "max_position": 0.08,
        "max_velocity": 0.2,
        "max_acceleration": 2,
        "max_jerk": 200,
    }
    limits = vr.JointLimits(**{k: np.insert(getattr(LIMITS, k), position, v) for k, v in one.items()})
    return limits, [i for i in range(8) if i != position]


@pytest.mark.parametrize("position", [0, 3, 7])
def test_a_gripper_beside_the_arm_is_filtered_alone(panda, collision, position):
    rng = np.random.default_rng(11)
    limits, arm = with_gripper(position)
    _, targets = next(streams(2400, rng))
    opening = np.repeat(rng.uniform(-0.02, 0.1, 24), 100)
    e = vr.ConstraintEnforcer(limits, PERIOD, panda, vr.Workspace(LOWER, UPPER), collision, chain_joints=arm)
    e.reset(np.insert(READY, position, 0.01))
    out = e.run(np.insert(targets, position, opening, axis=1))["position"]
    assert out[:, arm].tobytes() == make(panda, collision).run(targets)["position"].tobytes()
    alone = vr.ConstraintEnforcer(vr.JointLimits(*([getattr(limits, k)[position]] for k in FIELDS)), PERIOD)
    alone.reset([0.01])
    assert out[:, [position]].tobytes() == alone.run(opening[:, None])["position"].tobytes()


def test_joints_of_the_chain_are_named_or_refused(panda, collision):
    limits, arm = with_gripper(7)
    with pytest.raises(vr.ConfigError, match=r"kinematics = 7 joints: .*8; or say in chain_joints"):
        vr.ConstraintEnforcer(limits, PERIOD, collision=collision)
    for joints, message in (
        (arm[:6], "chain_joints = 6 joints"),
        ([0, 1, 2, 3, 4, 5, 8], r"chain_joints\[6\] = 8: must be in 0..7"),
        ([0, 1, 2, 3, 4, 5, 0], r"chain_joints\[6\] = 0: occurs twice"),
        ([0, 1, 2, 3, 4, 5, 6.5], r"chain_joints\[6\] = float"),
        ([], "chain_joints = empty"),
        (3, "chain_joints = int"),
        (arm, "kinematics = None: chain_joints"),
    ):
        walls = None if joints is arm else collision
        with pytest.raises(vr.ConfigError, match=message):
            vr.ConstraintEnforcer(limits, PERIOD, collision=walls, chain_joints=joints)


def test_a_loop_of_arm_and_gripper_keeps_its_walls(panda, collision):
    limits, arm = with_gripper(7)
    start = np.append(READY, 0.01)
    goal = np.append(np.add(READY, [0.9, 0.9, 0, 0.6, 0, 0, 0]), 0.07)
    walls = vr.Workspace(LOWER, UPPER)
    config = vr.ControlConfig(
        kinematics=panda, workspace=walls, collision=collision, chain_joints=tuple(arm), lock_memory=False
    )
    robot = vr.robots.SimulatedRobot(limits, start)
    report = vr.ControlLoop(robot, lambda observation: np.tile(goal, (16, 1)), config).run(1.5)
    position = report.trace["command_position"]
    tool = np.array([panda.forward(q[:7])[:3, 3] for q in position[::20]])
    assert np.all(tool > LOWER)
    assert np.all(tool < UPPER)
    blocked = np.add(report.limited_ticks["workspace"], report.limited_ticks["collision"])
    assert max(blocked[:7]) > 100
    assert blocked[7] == 0
    assert position[-1, 7] == pytest.approx(0.07, abs=1e-4)


def test_a_tilted_tool_stays_in_its_cone(panda, urdf):
    oracle = Oracle(urdf)
    rng = np.random.default_rng(13)
    cone = vr.OrientationCone(0.3)  # the tool's z, at most so far from straight down
    largest = 0.0
    for name, targets in streams(700, rng):
        e = vr.ConstraintEnforcer(LIMITS, PERIOD, panda, vr.Workspace(cone=cone))
        e.reset(READY)
        out = e.run(targets, substeps=10)["position"]
        judge = vr.ViolationCounter(LIMITS, PERIOD)
        judge.reset(READY)
        assert judge.add(out[9::10]) == 0, name
        tilt = max(oracle.tilt(q) for q in out)
        assert tilt < 0.3, name
        largest = max(largest, tilt)
    assert largest > 0.29  # the attack does press on it
    with pytest.raises(vr.ConfigError, match=r"tip is tilted by 0\.5 rad, its workspace allows 0\.3"):
        e.reset(np.add(READY, [0, 0, 0, 0, 0, 0.5, 0]))
    with pytest.raises(vr.ConfigError, match=r"cone.max_angle = 0: must be in \[0.05, 3.1\] rad"):
        vr.Workspace(cone=vr.OrientationCone(0.0))
    with pytest.raises(vr.ConfigError, match=r"cone.axis = zero"):
        vr.Workspace(cone=vr.OrientationCone(1.0, axis=[0, 0, 0]))
