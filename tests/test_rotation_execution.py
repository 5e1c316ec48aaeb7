"""Rotations in the chunk executor: on SO(3), whatever the format, judged by scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import vla_rt as vr

PERIOD, T = 0.05, 16
FORMATS = {"quaternion": 4, "rotation_vector": 3, "rotation_6d": 6}
Array = np.ndarray


def numbers(rotation: Rotation, form: str) -> Array:
    if form == "quaternion":
        return rotation.as_quat()
    if form == "rotation_vector":
        return rotation.as_rotvec()
    return np.concatenate([rotation.as_matrix()[..., 0], rotation.as_matrix()[..., 1]], axis=-1)


def rotation_of(values: Array, form: str) -> Rotation:
    if form == "quaternion":
        return Rotation.from_quat(values)
    if form == "rotation_vector":
        return Rotation.from_rotvec(values)
    x, y = values[..., :3], values[..., 3:]
    return Rotation.from_matrix(np.stack([x, y, np.cross(x, y)], axis=-1))


def executor(form: str, **options: Any) -> vr.ChunkExecutor:
    return vr.ChunkExecutor(FORMATS[form], PERIOD, rotation_dims=[(0, form)], **{"mode": "async"} | options)


def wandering(t: Array, seed: int = 0) -> Rotation:
    """A smooth motion that turns through far more than half a turn."""
    rng = np.random.default_rng(seed)
    a, w, p = rng.uniform(0.3, 1.2, 3), rng.uniform(0.5, 1.5, 3), rng.uniform(0, 6, 3)
    spin = Rotation.from_rotvec(np.outer(t, [0.3, -0.5, 1.9]))
    return spin * Rotation.from_rotvec(a * np.sin(np.outer(t, w) + p))


def play(ex: vr.ChunkExecutor, form: str, times: Array, chunks: dict[int, tuple[Array, float]]) -> Any:
    """Answers at all times; chunk (rows, start) i is pushed before tick i."""
    q, dq = [], []
    for i, t in enumerate(times):
        if i in chunks:
            assert ex.push(*chunks[i]) == "accepted"
        position, velocity, _ = ex.at(t)
        q.append(position)
        dq.append(velocity)
    return np.array(q), np.array(dq)


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_constant_turn_is_a_constant_turn(form: str) -> None:
    rate = np.array([0.7, -1.1, 2.0])  # 2.4 rad/s: 0.12 rad from row to row
    times = np.arange(T) * PERIOD
    ex = executor(form)
    ex.push(numbers(Rotation.from_rotvec(np.outer(times, rate)), form), 0.0)
    fine = np.linspace(0, times[-1], 400)
    q, dq = play(ex, form, fine, {})
    error = (rotation_of(q, form) * Rotation.from_rotvec(np.outer(fine, rate)).inv()).magnitude()
    assert error.max() < 2e-6
    step = 1e-6
    again = rotation_of(q[:-1] + step * dq[:-1], form) if form != "rotation_6d" else None
    if again is not None:
        turned = (again * rotation_of(q[:-1], form).inv()).as_rotvec() / step
        assert np.abs(turned - rate).max() < 1e-3


@pytest.mark.parametrize("form", list(FORMATS))
@pytest.mark.parametrize("interpolation", ["linear", "cubic", "quintic"])
def test_rows_are_met_and_velocity_is_the_derivative(form: str, interpolation: str) -> None:
    times = np.arange(T) * PERIOD
    rows = wandering(times)
    ex = executor(form, interpolation=interpolation)
    ex.push(numbers(rows, form), 0.0)
    fine = np.linspace(0, times[-1], 15 * 1000 + 1)
    q, dq = play(ex, form, fine, {})
    assert (rotation_of(q[::1000], form) * rows.inv()).magnitude().max() < 1e-7
    derivative = np.gradient(q, fine, axis=0)[1:-1]
    inside = np.arange(1, len(fine) - 1) % 1000 > 1  # a linear motion has corners at the rows
    assert np.abs(derivative - dq[1:-1])[inside & (np.arange(1, len(fine) - 1) % 1000 < 999)].max() < 1e-3
    if form == "quaternion":
        np.testing.assert_allclose(np.linalg.norm(q, axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("mode", ["async", "ensemble", "receding", "rtc"])
def test_the_double_cover_has_no_seam(mode: str) -> None:
    """The same rotations with signs at random, in every row of every chunk, are the same motion."""
    rng = np.random.default_rng(5)
    times = np.arange(0, 2.4, 2e-3)
    plain, flipped = {}, {}
    for i, start in enumerate(np.arange(0, 2.0, 0.3)):
        rows = wandering(start + np.arange(T) * PERIOD).as_quat()
        tick = round((start + 0.04 * (i % 3)) / 2e-3)
        plain[tick] = (rows, float(start))
        flipped[tick] = (rows * rng.choice([-1.0, 1.0], (T, 1)), float(start))
    options = {"mode": mode, "execution_horizon": 6}
    q, dq = play(executor("quaternion", **options), "quaternion", times, plain)
    p, dp = play(executor("quaternion", **options), "quaternion", times, flipped)
    sign = np.sign(np.sum(q[10] * p[10]))
    np.testing.assert_allclose(p, sign * q, atol=1e-9)
    np.testing.assert_allclose(dp, sign * dq, atol=1e-6)
    assert np.abs(np.diff(q, axis=0)).max() < 2e-3 * 4  # never to the other side


@pytest.mark.parametrize("form", list(FORMATS))
@pytest.mark.parametrize("merge", ["crossfade", "replace", "average"])
def test_orientation_is_c2_across_chunks(form: str, merge: str) -> None:
    """Chunks that disagree by 0.1 rad: angular velocity and acceleration change continuously."""
    tick = 1e-3
    times = np.arange(0, 1.6, tick)
    chunks = {}
    for i, start in enumerate(np.arange(0, 1.3, 0.25)):
        off = Rotation.from_rotvec(0.1 * np.random.default_rng(i).normal(size=3))
        rows = off * wandering(start + np.arange(T) * PERIOD)
        chunks[round(start / tick) + (37 if i else 0)] = (numbers(rows, form), float(start))
    q, _ = play(executor(form, merge=merge), form, times, chunks)
    r = rotation_of(q, form)
    velocity = (r[1:] * r[:-1].inv()).as_rotvec() / tick
    acceleration = np.diff(velocity, axis=0) / tick
    jerk = np.diff(acceleration, axis=0) / tick
    # 0.3 rad apart within 0.1 s is a jerk of 60 * 0.3 / 1e-3; a jump of acceleration would show as 1e5 and
    # more, one of velocity as 1e7.
    assert np.abs(jerk).max() < 4e4
    assert np.abs(acceleration).max() < 400


def test_a_rotation_vector_goes_on_past_half_a_turn() -> None:
    times = np.arange(T) * PERIOD
    turn = Rotation.from_rotvec(np.outer(2.6 + 1.5 * times, [0, 0, 1.0]))  # from 149 to 213 degrees
    rows = turn.as_rotvec()
    assert (np.diff(rows[:, 2]) < -6).any()  # scipy's own vectors jump
    q, dq = play(executor("rotation_vector"), "rotation_vector", np.arange(0, 0.7, 1e-3), {0: (rows, 0.0)})
    assert np.abs(np.diff(q, axis=0)).max() < 2e-3
    np.testing.assert_allclose(dq[5:, 2], 1.5, atol=1e-4)


def test_a_rotation_vector_goes_on_past_whole_turns_and_back() -> None:
    angles = 7 * np.sin(0.5 * np.arange(0, 12.01, PERIOD))  # more than a turn to either side
    rows = Rotation.from_rotvec(np.outer(angles, [0.48, -0.6, 0.64])).as_rotvec()
    ex = executor("rotation_vector")
    ex.push(rows, 0.0)
    times = np.arange(0, 12, 1e-3)
    q, dq = play(ex, "rotation_vector", times, {})
    np.testing.assert_allclose(q, np.outer(7 * np.sin(0.5 * times), [0.48, -0.6, 0.64]), atol=1e-3)
    np.testing.assert_allclose(dq, np.outer(3.5 * np.cos(0.5 * times), [0.48, -0.6, 0.64]), atol=1e-2)


def test_a_reset_rotation_vector_keeps_its_branch() -> None:
    ex = executor("rotation_vector")
    ex.reset([0, 0, 4.0])
    np.testing.assert_allclose(ex.at(0.0)[0], [0, 0, 4.0], atol=1e-12)
    ex.push(np.tile([0, 0, 4.1 - 2 * np.pi], (T, 1)), 0.0)
    q = np.array([ex.at(t)[0] for t in np.arange(0, 0.3, 1e-3)])
    assert np.abs(np.diff(q, axis=0)).max() < 3e-3
    np.testing.assert_allclose(q[-1], [0, 0, 4.1], atol=1e-12)


def test_blends_take_the_short_way() -> None:
    ex = executor("rotation_vector", blend_s=0.2)
    ex.push(np.tile([0, 0, np.deg2rad(170)], (T, 1)), 0.0)
    ex.at(0.1)
    ex.push(np.tile([0, 0, np.deg2rad(-170)], (T, 1)), 0.1)
    angles = [np.rad2deg(ex.at(t)[0][2]) % 360 for t in np.arange(0.1, 0.35, 1e-3)]
    assert 169.9 < min(angles) < max(angles) < 190.1
    assert angles[-1] == pytest.approx(190)
    seam = ex.seams[0]
    np.testing.assert_allclose(seam["position"], [0, 0, np.deg2rad(20)], atol=1e-9)


def test_averages_are_rotations() -> None:
    ex = executor("quaternion", merge="average", merge_weights=(0.5, 0.5), blend_s=0.0)
    a, b = Rotation.from_rotvec([0, 0, 0.2]), Rotation.from_rotvec([0, 0, 0.8])
    ex.push(np.tile(a.as_quat(), (T, 1)), 0.0)
    ex.at(0.1)
    ex.push(-np.tile(b.as_quat(), (T, 1)), 0.1)
    found = Rotation.from_quat(ex.at(0.3)[0])
    assert (found * Rotation.from_rotvec([0, 0, 0.5]).inv()).magnitude() < 1e-9


def test_other_dims_are_as_without_rotations() -> None:
    rng = np.random.default_rng(1)
    rows, quaternion = rng.normal(size=(T, 3)), wandering(np.arange(T) * PERIOD).as_quat()
    both = vr.ChunkExecutor(7, PERIOD, mode="async", discrete_dims=[6], rotation_dims=[(2, "quaternion")])
    alone = vr.ChunkExecutor(3, PERIOD, mode="async", discrete_dims=[2])
    for start in (0.0, 0.2):
        both.push(np.hstack([rows[:, :2], quaternion, rows[:, 2:]]), start)
        alone.push(rows, start)
        for t in np.arange(start, start + 0.2, 0.01):
            q, dq, status = both.at(t)
            p, dp, expected = alone.at(t)
            np.testing.assert_allclose(q[[0, 1, 6]], p, atol=1e-12)
            np.testing.assert_allclose(dq[[0, 1, 6]], dp, atol=1e-9)
            assert status == expected
        rows = rows[::-1]
    previous, within = both.previous_rows(0.4, 8)
    assert within == 8
    np.testing.assert_allclose(np.linalg.norm(previous[:, 2:6], axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("form", list(FORMATS))
def test_the_reset_rotation_is_held_and_left_smoothly(form: str) -> None:
    ex = executor(form)
    identity = rotation_of(ex.at(0.0)[0][None], form)
    assert identity.magnitude()[0] < 1e-12
    start = Rotation.from_rotvec([0.5, -0.2, 0.1])
    ex.reset(numbers(start, form))
    assert (rotation_of(ex.at(0.0)[0][None], form) * start.inv()).magnitude()[0] < 1e-12
    goal = Rotation.from_rotvec([0.9, 0.2, -0.4])
    ex.push(np.tile(numbers(goal, form), (T, 1)), 0.0)
    turned = [
        (rotation_of(ex.at(t)[0][None], form) * start.inv()).magnitude()[0] for t in np.arange(0, 0.12, 1e-3)
    ]
    assert turned[0] < 1e-9
    assert np.abs(np.diff(turned)).max() < 0.03
    assert (rotation_of(ex.at(0.2)[0][None], form) * goal.inv()).magnitude()[0] < 1e-9


def test_a_starved_turn_decelerates_within_its_limits() -> None:
    one = np.ones(3)
    limits = vr.JointLimits(-4 * one, 4 * one, 3 * one, 5 * one, 100 * one)
    ex = executor("rotation_vector", on_starvation="decelerate", limits=limits)
    times = np.arange(T) * PERIOD
    ex.push(np.outer(times, [0, 0, 1.0]), 0.0)
    q, dq = play(ex, "rotation_vector", np.arange(0, 2, 1e-3), {})
    assert np.abs(np.diff(dq[:, 2]) / 1e-3).max() < 5
    assert np.abs(dq[-1]).max() == 0
    assert q[-1, 2] > times[-1] + 0.05


@pytest.mark.parametrize(
    ("dims", "text"),
    [
        ([(0, "euler")], "rotation_6d"),
        ([(0, "matrix")], "rotation_6d"),
        ([(0, "axis_angle")], "rotation_dims"),
        ([(4, "quaternion")], "must be in 0..3"),
        ([(-1, "quaternion")], "must be in 0..3"),
        ([(0, "quaternion"), (3, "rotation_vector")], "another rotation"),
        ([(3, "quaternion")], "discrete"),
        ([0, 4], "pairs"),
        (3, "pairs"),
        ([(0.5, "quaternion")], "pairs"),
    ],
)
def test_bad_rotation_dims_name_the_field(dims: Any, text: str) -> None:
    with pytest.raises(vr.ConfigError, match=text):
        vr.ChunkExecutor(7, PERIOD, rotation_dims=dims, discrete_dims=[6])


def test_a_rotation_of_more_dims_than_there_are_is_refused() -> None:
    with pytest.raises(vr.ConfigError, match="needs 4 dims, action_dim is 2"):
        vr.ChunkExecutor(2, PERIOD, rotation_dims=[(0, "quaternion")])


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("quaternion", np.zeros(4)),
        ("rotation_6d", np.zeros(6)),
        ("rotation_6d", np.array([1, 0, 0, 2, 0, 0.0])),
    ],
)
def test_a_row_without_a_rotation_is_refused_and_changes_nothing(form: str, row: Array) -> None:
    ex = executor(form)
    good = np.tile(numbers(Rotation.from_rotvec([0.1, 0.2, 0.3]), form), (T, 1))
    ex.push(good, 0.0)
    before = ex.at(0.1)[0]
    bad = good.copy()
    bad[5] = row
    with pytest.raises(vr.ConfigError, match=r"chunk\[5\]"):
        ex.push(bad, 0.1)
    np.testing.assert_array_equal(ex.at(0.1)[0], before)
    assert ex.counters["refused_invalid"] == 1
    with pytest.raises(vr.ConfigError, match="position"):
        ex.reset(row)
    np.testing.assert_array_equal(ex.at(0.1)[0], before)
