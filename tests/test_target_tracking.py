"""How targets are followed: steps against ruckig, smooth targets without lag, straight lines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vla_rt as vr
from enforcers import PERIOD, enforcer, joint_limits, violations

ruckig = pytest.importorskip("ruckig")

# ---- ruckig as the oracle ----


def ruckig_duration(state, goal, limits: vr.JointLimits) -> float:
    """Shortest time of one joint to the goal, or to rest anywhere if it is None."""
    parameter = ruckig.InputParameter(1)
    parameter.current_position, parameter.current_velocity, parameter.current_acceleration = (
        [float(x)] for x in state
    )
    if goal is None:
        parameter.control_interface = ruckig.ControlInterface.Velocity
    else:
        parameter.target_position = [float(goal)]
    parameter.max_velocity = [float(limits.max_velocity[0])]
    parameter.max_acceleration = [float(limits.max_acceleration[0])]
    parameter.max_jerk = [float(limits.max_jerk[0])]
    trajectory = ruckig.Trajectory(1)
    ruckig.Ruckig(1).calculate(parameter, trajectory)
    return trajectory.duration


def state_of(e: vr.ConstraintEnforcer):
    return e.position[0], e.velocity[0], e.acceleration[0]


@pytest.mark.parametrize("jerk", [500.0, 5000.0, 20000.0])
def test_the_stop_takes_ruckigs_time(jerk):
    rng = np.random.default_rng(1)
    limits = joint_limits(j=jerk)
    e = enforcer(limits, [0.0])
    for _ in range(100):
        e.reset([0.0])
        e.run(np.repeat(rng.uniform(-2, 2, (3, 1)), rng.integers(5, 120), axis=0))
        duration = ruckig_duration(state_of(e), None, limits)
        ticks = 0
        while not e.at_rest:
            e.stop()
            ticks += 1
        assert abs(ticks - duration / PERIOD) <= 1 + 1e-6


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("jerk", [1000.0, 5000.0, 20000.0])
def test_steps_settle_in_ruckigs_time_without_overshoot(jerk, moving):
    rng = np.random.default_rng(2)
    limits = joint_limits(j=jerk)
    ratios = []
    for _ in range(200):
        e = enforcer(limits, [rng.uniform(-2.6, 2.6)])
        if moving:  # the goal changes on the way
            e.run(np.full((rng.integers(20, 500), 1), rng.uniform(-2.6, 2.6)))
        start, goal = e.position[0], rng.uniform(-2.6, 2.6)
        best = ruckig_duration(state_of(e), goal, limits)
        path = e.run(np.full((int(1.5 * best / PERIOD) + 100, 1), goal))["position"][:, 0]
        outside = np.flatnonzero(np.abs(path - goal) > 1e-4)
        ratios.append((outside[-1] + 2) * PERIOD / best if len(outside) else 0.0)
        if not moving:
            assert np.max(np.sign(goal - start) * (path - goal)) < 1e-3
        assert path[-1] == pytest.approx(goal, abs=1e-9)
    assert np.median(ratios) <= 1.05
    assert np.max(ratios) <= 1.10


@settings(max_examples=120)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_steps_are_near_optimal_whatever_limits_and_period(seed, moving):
    rng = np.random.default_rng(seed)
    period = rng.choice([2.5e-4, 1e-3, 4e-3, 1e-2])
    v, a, j = np.exp(rng.uniform(np.log([0.05, 0.5, 50]), np.log([8, 50, 20000])))
    limits = joint_limits(v=v, a=a, j=j)
    e = enforcer(limits, [rng.uniform(-2.6, 2.6)], period)
    if moving:  # the goal changes on the way
        e.run(np.full((rng.integers(1, 200), 1), rng.uniform(-2.6, 2.6)))
    start, goal = e.position[0], rng.uniform(-2.6, 2.6)
    best = ruckig_duration(state_of(e), goal, limits)
    path = e.run(np.full((int(best / period) + 30, 1), goal))["position"][:, 0]
    outside = np.flatnonzero(np.abs(path - goal) > 1e-4)
    settled = (outside[-1] + 2) * period if len(outside) else 0.0
    assert settled <= best + 10 * period
    if not moving:
        assert np.max(np.sign(goal - start) * (path - goal)) < 2e-4


@pytest.mark.parametrize("step", [1e-4, 1e-3, 3e-3, 1e-2])
def test_a_small_step_is_a_step_and_not_a_motion(step):
    e = enforcer(joint_limits(), [0.3])
    e.run(np.full((100, 1), 0.3))
    path = e.run(np.full((300, 1), 0.3 + step))["position"][:, 0]
    assert np.max(path) - 0.3 - step < 1e-4
    assert path[-1] == 0.3 + step


# ---- tracking ----


def smooth_targets(kind: str):
    t = np.arange(1, 10001) * PERIOD
    w = 2 * np.pi * 0.4
    if kind == "cosine from rest":
        return 0.35 * (1 - np.cos(w * t)), 0.35 * w * np.sin(w * t)
    s = np.minimum(t / 2, 1)
    ramp, rate = s**3 * (10 - 15 * s + 6 * s**2), 15 * s**2 * (1 - s) ** 2
    return 0.7 * ramp * np.sin(w * t), 0.7 * (rate * np.sin(w * t) + ramp * w * np.cos(w * t))


@pytest.mark.parametrize("kind", ["cosine from rest", "ramped sine"])
@pytest.mark.parametrize("jerk", [1000.0, 5000.0])
@pytest.mark.parametrize(("with_feedforward", "bound"), [(True, 1e-6), (False, 1e-5)])
def test_smooth_targets_are_tracked_without_lag(kind, jerk, with_feedforward, bound):
    target, velocity = smooth_targets(kind)
    limits = joint_limits(j=jerk)
    out = enforcer(limits, [0.0]).run(target[:, None], velocity[:, None] if with_feedforward else None)
    error = out["position"][:, 0] - target
    assert np.sqrt(np.mean(error**2)) < bound
    assert violations(out["position"], np.zeros(1), limits, PERIOD) == 0
    assert np.mean(out["limited"]) < 0.01


def test_feedforward_that_is_no_number_counts_as_absent():
    target, velocity = smooth_targets("ramped sine")
    plain = enforcer(joint_limits(), [0.0]).run(target[:, None])
    absent = enforcer(joint_limits(), [0.0]).run(target[:, None], np.full_like(velocity, np.nan)[:, None])
    assert plain["position"].tobytes() == absent["position"].tobytes()


def test_smoothing_keeps_noise_out_of_the_jerk():
    rng = np.random.default_rng(3)
    target = 0.5 + 1e-4 * rng.standard_normal((20000, 1))
    for jerk in (1000.0, 5000.0):
        rough = enforcer(joint_limits(j=jerk), [0.5]).run(target)["jerk"]
        smooth = enforcer(joint_limits(j=jerk), [0.5], smoothing_s=0.02).run(target)["jerk"]
        assert np.sqrt(np.mean(smooth**2)) < 0.3 * jerk < np.sqrt(np.mean(rough**2))
        noisy_velocity = np.gradient(target, 1e-3, axis=0)
        same = enforcer(joint_limits(j=jerk), [0.5], smoothing_s=0.02).run(target, noisy_velocity)["jerk"]
        np.testing.assert_array_equal(same, smooth)


# ---- straight lines ----


def test_path_preserving_moves_along_the_line():
    limits = vr.JointLimits([-2.8, -1.7], [2.8, 1.7], [2.2, 1.0], [10, 7], [5000, 3500])
    goal = np.array([2.0, 0.5])

    def off_line(**options):
        path = enforcer(limits, [0.0, 0.0], **options).run(np.tile(goal, (2500, 1)))["position"]
        assert np.allclose(path[-1], goal, atol=1e-6)
        return np.max(np.abs(path[:, 0] / goal[0] - path[:, 1] / goal[1]))

    assert off_line(path_preserving=True) < 1e-3
    assert off_line() > 0.1


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_a_move_from_rest_is_straight_whatever_limits_and_period(seed):
    rng = np.random.default_rng(seed)
    n, period = int(rng.integers(2, 8)), rng.choice([2.5e-4, 1e-3, 4e-3])
    v, a, j = np.exp(rng.uniform(np.log([0.8, 3, 200]), np.log([4, 30, 20000]), (n, 3))).T
    limits = vr.JointLimits(-2.7 * np.ones(n), 2.7 * np.ones(n), v, a, j)
    start, goal = rng.uniform(-2.6, 2.6, (2, n))
    e = enforcer(limits, start, period, path_preserving=True)
    path = e.run(np.tile(goal, (int(12 / period), 1)))["position"]
    assert violations(path, start, limits, period) == 0
    way = goal - start
    share = (path - start) @ way / (way @ way)
    off = np.abs(path - start - share[:, None] * way).max()
    assert off < 5e-3
    assert np.allclose(path[-1], goal, atol=1e-6)
