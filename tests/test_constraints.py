"""Joint limits: properties re-differentiated from the output alone, and the interface."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vla_rt as vr
from enforcers import ORDERS, PERIOD, enforcer, joint_limits, violations


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
