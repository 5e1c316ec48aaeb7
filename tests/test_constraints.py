"""Joint limits: properties re-differentiated from the output alone, and oracles against ruckig."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vla_rt as vr

ruckig = pytest.importorskip("ruckig")

PERIOD = 1e-3
ORDERS = ("velocity", "acceleration", "jerk")


def joint_limits(n: int = 1, q=2.7, v=2.62, a=10.0, j=5000.0) -> vr.JointLimits:
    one = np.ones(n)
    return vr.JointLimits(-q * one, q * one, v * one, a * one, j * one)


def enforcer(limits: vr.JointLimits, start, period_s: float = PERIOD, **options) -> vr.ConstraintEnforcer:
    e = vr.ConstraintEnforcer(limits, period_s, **options)
    e.reset(start)
    return e


def violations(position: np.ndarray, start: np.ndarray, limits: vr.JointLimits, dt: float) -> int:
    """The definition of docs/safety.md, written a second time in numpy."""
    history = np.vstack([start, start, start, position])
    eps = np.finfo(float).eps
    found = int(np.sum(~((position >= limits.min_position) & (position <= limits.max_position))))
    for k, name in enumerate(ORDERS, start=1):
        rate = np.abs(np.diff(history, n=k, axis=0))[3 - k :] / dt**k
        bound = getattr(limits, f"max_{name}") * (1 + 1e-6)
        found += int(np.sum(~(rate <= bound + 2**k * 8 * eps * np.maximum(1, np.abs(position)) / dt**k)))
    return found


@st.composite
def cases(draw):
    """Limits, period, start and a wild target stream."""
    n = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def log_uniform(lo: float, hi: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(lo), np.log(hi), n))

    centre, half = rng.uniform(-3, 3, n), log_uniform(0.02, 6) / 2
    limits = vr.JointLimits(
        centre - half, centre + half, log_uniform(0.05, 8), log_uniform(0.5, 50), log_uniform(50, 20000)
    )
    period = draw(st.sampled_from([2.5e-4, 1e-3, 2e-3, 1e-2]))
    start = centre + half * rng.choice([-1, -0.5, 0, 0.7, 1], n)
    start = np.clip(start, limits.min_position, limits.max_position)
    ticks = 600
    kind = draw(st.sampled_from(["noise", "cauchy", "bang", "edge", "resonant", "nan", "huge", "steps"]))
    t = np.arange(ticks)[:, None] * period
    targets = {
        "noise": lambda: rng.uniform(-9, 9, (ticks, n)),
        "cauchy": lambda: 1e6 * rng.standard_cauchy((ticks, n)),
        "bang": lambda: (
            centre + 2 * half * np.sign(np.sin(t * rng.uniform(1, 200, n) + rng.uniform(0, 6, n)))
        ),
        "edge": lambda: np.where(rng.random((ticks, n)) < 0.5, limits.min_position, limits.max_position),
        "resonant": lambda: (
            centre + 3 * half * np.sin(np.sqrt(limits.max_acceleration / half) * t * (1 + 2 * t))
        ),
        "nan": lambda: rng.choice([np.nan, np.inf, -np.inf, 0.3, -0.4], (ticks, n)),
        "huge": lambda: rng.choice([1e308, -1e308, 1e150, 0.1], (ticks, n)),
        "steps": lambda: np.repeat(
            rng.uniform(limits.min_position, limits.max_position, (ticks // 60, n)), 60, axis=0
        ),
    }[kind]()
    feedforward = None
    if draw(st.booleans()):
        feedforward = rng.choice([np.nan, np.inf, 1e300, -3.0, 0.0, 2.0], (ticks, n))
    options = {
        "path_preserving": draw(st.booleans()),
        "smoothing_s": draw(st.sampled_from([0.0, 0.015, 0.05])),
    }
    return limits, period, start, targets, feedforward, options


@settings(max_examples=150, deadline=None)
@given(cases())
def test_no_stream_breaks_a_limit_at_or_between_ticks(case):
    limits, period, start, targets, feedforward, options = case
    e = enforcer(limits, start, period, **options)
    out = e.run(targets, feedforward, substeps=10)
    position = out["position"]
    assert position.shape == (10 * len(targets), limits.num_joints)
    assert all(np.isfinite(out[name]).all() for name in ("position", *ORDERS))
    assert violations(position[9::10], start, limits, period) == 0
    # Between ticks, by the continuous values: re-differentiating ten times faster only measures rounding.
    room = 8 * np.finfo(float).eps * np.maximum(1, np.abs(position))
    assert (position <= limits.max_position + room).all()
    assert (position >= limits.min_position - room).all()
    for name in ORDERS[:2]:
        assert (np.abs(out[name]) <= getattr(limits, f"max_{name}") * (1 + 1e-9)).all()
    rounding = 8 * np.finfo(float).eps * limits.max_acceleration / (period / 10)
    assert (np.abs(out["jerk"]) <= limits.max_jerk * (1 + 1e-6) + rounding).all()

    judge = vr.ViolationCounter(limits, period)
    judge.reset(start)
    assert judge.add(position[9::10]) == 0
    assert judge.total == 0


@settings(max_examples=40, deadline=None)
@given(cases())
def test_run_equals_repeated_apply_bit_for_bit(case):
    limits, period, start, targets, feedforward, options = case
    out = enforcer(limits, start, period, **options).run(targets, feedforward)
    fine = enforcer(limits, start, period, **options).run(targets, feedforward, substeps=3)
    e = enforcer(limits, start, period, **options)
    for k, target in enumerate(targets):
        command, report = e.apply(target, None if feedforward is None else feedforward[k])
        assert command.tobytes() == out["position"][k].tobytes()
        assert bool(report.limited) == out["limited"][k]
        assert (report.status == vr.Status.Ok) == (not report.limited)
    for name in ("position", "velocity", "acceleration"):
        assert fine[name][2::3].tobytes() == out[name].tobytes()


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_judge_sees_each_order_and_agrees_with_numpy(order):
    rng = np.random.default_rng(order)
    limits = joint_limits(2)
    rate = getattr(limits, f"max_{ORDERS[order - 1]}")[0]
    position = np.cumsum(rng.uniform(-1, 1, (500, 2)) * 1.5 * rate * PERIOD**order, axis=0)
    for _ in range(order - 1):
        position = np.cumsum(position, axis=0)
    judge = vr.ViolationCounter(limits, PERIOD)
    judge.reset([0.0, 0.0])
    assert judge.add(position) == violations(position, np.zeros(2), limits, PERIOD) > 0
    assert judge.worst_ratio(order) > 1


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
@pytest.mark.parametrize("jerk", [1000.0, 5000.0])
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


# ---- the interface ----


def test_limits_hold_what_they_were_given():
    limits = vr.JointLimits(
        min_position=[-1, -2],
        max_position=np.array([1, 2], np.float32),
        max_velocity=(1, 2),
        max_acceleration=[3.0, 4.0],
        max_jerk=np.array([[50.0, 0], [60.0, 0]])[:, 0],
    )
    assert limits.num_joints == 2
    assert limits.max_jerk.tolist() == [50, 60]
    assert limits.max_position.dtype == np.float64


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ({"max_velocity": [1.0, -1.0]}, "max_velocity[1]", "-1"),
        ({"max_jerk": [np.nan, 1.0]}, "max_jerk[0]", "nan"),
        ({"max_acceleration": [1.0, np.inf]}, "max_acceleration[1]", "inf"),
        ({"max_position": [1.0, -3.0]}, "max_position[1]", "-3"),
        ({"max_jerk": [1.0]}, "max_jerk", "1 values"),
        ({"max_jerk": 100.0}, "max_jerk", "shape ()"),
        ({"max_jerk": [[100.0, 100.0]]}, "max_jerk", "shape (1, 2)"),
        ({"max_jerk": ["a", "b"]}, "max_jerk", None),
        ({"max_jerk": None}, "max_jerk", None),
        ({"max_jerk": [1j, 2j]}, "max_jerk", None),
    ],
)
def test_bad_limits_are_refused_by_name(change, name, value):
    fields = {
        "min_position": [-1.0, -2.0],
        "max_position": [1.0, 2.0],
        "max_velocity": [1.0, 1.0],
        "max_acceleration": [1.0, 1.0],
        "max_jerk": [100.0, 100.0],
    }
    with pytest.raises(vr.ConfigError) as caught:
        vr.JointLimits(**(fields | change))
    assert isinstance(caught.value, ValueError)
    assert caught.value.name == name
    if value is not None:
        assert caught.value.value == value


@pytest.mark.parametrize("period", [0.0, -1e-3, np.nan, np.inf, 1.5])
def test_a_bad_period_is_refused(period):
    with pytest.raises(vr.ConfigError, match="period_s"):
        vr.ConstraintEnforcer(joint_limits(), period)


def test_wrong_shapes_are_refused_and_change_nothing():
    e = vr.ConstraintEnforcer(joint_limits(2), PERIOD)
    for call in (lambda: e.apply([0.0, 0.0]), lambda: e.run(np.zeros((3, 2)))):
        with pytest.raises(vr.ConfigError, match="reset"):
            call()
    e.reset([0.1, 0.2])
    for call in (
        lambda: e.apply([0.0]),
        lambda: e.apply(0.0),
        lambda: e.apply([[0.0, 0.0]]),
        lambda: e.apply([0.0, 0.0], [0.0]),
        lambda: e.run(np.zeros(2)),
        lambda: e.run(np.zeros((5, 3))),
        lambda: e.run(np.zeros((5, 2)), np.zeros((4, 2))),
        lambda: e.run(np.zeros((5, 2)), substeps=0),
        lambda: e.reset([0.0]),
        lambda: e.reset([0.0, np.nan]),
        lambda: e.reset([0.0, 3.0]),
        lambda: e.reset([0.0, 0.0], [3.0, 0.0]),
        lambda: e.set_limits(joint_limits(1)),
    ):
        with pytest.raises(vr.ConfigError):
            call()
    assert e.position.tolist() == [0.1, 0.2]
    assert e.run(np.zeros((0, 2)))["position"].shape == (0, 2)


def test_the_report_names_causes_and_logs_changes_only():
    e = enforcer(joint_limits(2), [0.0, 0.0])
    _, report = e.apply([0.0, 0.0])
    assert report.status == vr.Status.Ok
    assert not report.limited
    assert report.log == []
    _, report = e.apply([5.0, np.nan])
    assert report.status == vr.Status.NonFinite
    assert report.limited == {"position", "velocity", "acceleration", "jerk", "non_finite"}
    assert report.causes.tolist() == [15, 64]
    entry = report.log[0]
    assert set(entry) == {"joint", "cause", "wanted", "given", "time_s"}
    assert (entry["joint"], entry["cause"], entry["wanted"]) == (0, "position", 5.0)
    assert entry["time_s"] == pytest.approx(2e-3)
    before = len(report.log)
    for _ in range(200):
        _, report = e.apply([5.0, np.nan])
    assert len(report.log) == before  # nothing changed
    assert report.deviation[0] == 5.0 - e.position[0]
    left = report.distance_to_limit
    assert left["position"][0] == pytest.approx(2.7 - e.position[0])
    assert left["velocity"][0] == pytest.approx(2.62 - abs(e.velocity[0]))
    assert left["acceleration"][0] == pytest.approx(10 - abs(e.acceleration[0]))
    assert 0 <= left["jerk"][0] <= 5000
    assert left["workspace"] == left["collision"] == np.inf
    assert e.ticks_limited["non_finite"].tolist() == [0, 201]
    assert e.ticks_limited["position"].tolist() == [201, 0]
    e.reset([0.0, 0.0])
    _, report = e.apply([0.0, 0.0])
    assert report.log == []


def test_feedforward_that_is_no_number_counts_as_absent():
    target, velocity = smooth_targets("ramped sine")
    plain = enforcer(joint_limits(), [0.0]).run(target[:, None])
    absent = enforcer(joint_limits(), [0.0]).run(target[:, None], np.full_like(velocity, np.nan)[:, None])
    assert plain["position"].tobytes() == absent["position"].tobytes()


def test_limits_tightened_in_motion_are_reached_by_a_certified_path():
    wide, tight = joint_limits(), joint_limits(v=0.5, a=4.0, j=1000.0)
    target = 2.0 * np.sin(np.arange(4000)[:, None] * PERIOD * 2)
    e = enforcer(wide, [0.0])
    first = e.run(target[:1000])["position"]
    assert violations(first, np.zeros(1), wide, PERIOD) == 0
    e.set_limits(tight)
    second = e.run(target[1000:])["position"]
    both = np.vstack([first, second])
    assert violations(both, np.zeros(1), wide, PERIOD) == 0
    judge = vr.ViolationCounter(tight, PERIOD)
    judge.reset([0.0])
    judge.add(both[:1800])
    judge.forgive()
    assert judge.add(both[1800:]) == 0
    assert e.limits.max_velocity[0] == 0.5


def test_a_range_that_the_stop_leaves_is_a_latched_fault():
    e = enforcer(joint_limits(), [0.0])
    e.run(np.full((300, 1), 2.5))
    e.set_limits(joint_limits(q=e.position[0] + 0.01))
    for _ in range(600):
        _, report = e.apply([2.5])
        assert report.status == vr.Status.Fault
    assert "position" in report.limited
    assert e.at_rest
    with pytest.raises(vr.ConfigError, match=r"position\[0\]"):
        e.reset(e.position)
    e.reset([0.0])
    assert e.apply([0.1])[1].status == vr.Status.Limited


def test_path_preserving_moves_along_the_line():
    limits = vr.JointLimits([-2.8, -1.7], [2.8, 1.7], [2.2, 1.0], [10, 7], [5000, 3500])
    goal = np.array([2.0, 0.5])

    def off_line(**options):
        path = enforcer(limits, [0.0, 0.0], **options).run(np.tile(goal, (2500, 1)))["position"]
        assert np.allclose(path[-1], goal, atol=1e-6)
        return np.max(np.abs(path[:, 0] / goal[0] - path[:, 1] / goal[1]))

    assert off_line(path_preserving=True) < 1e-3
    assert off_line() > 0.1


def test_extreme_limits_give_finite_commands():
    for q, v, a, j in (
        (1e9, 1e15, 1e15, 1e15),
        (1e-6, 1e-9, 1e-9, 1e-9),
        (1.0, 1e15, 1e-9, 1e15),
        (1.0, 1.0, 1e15, 1e-9),
    ):
        limits = joint_limits(q=q, v=v, a=a, j=j)
        rng = np.random.default_rng(0)
        for period in (1e-6, 1e-3, 1.0):
            out = enforcer(limits, [0.0], period).run(rng.uniform(-2 * q, 2 * q, (500, 1)))
            assert np.isfinite(out["position"]).all()
            assert violations(out["position"], np.zeros(1), limits, period) == 0
