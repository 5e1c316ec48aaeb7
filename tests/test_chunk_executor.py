"""ChunkExecutor against scipy, against the promises of its documentation, and against bad input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

import vla_rt as vr

PERIOD = 0.02


def executor(dim: int = 2, **options: object) -> vr.ChunkExecutor:
    return vr.ChunkExecutor(**({"action_dim": dim, "period_s": PERIOD, "mode": "async"} | options))


def play(ex: vr.ChunkExecutor, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    answers = [ex.at(t) for t in times]
    return (
        np.array([a[0] for a in answers]),
        np.array([a[1] for a in answers]),
        [str(a[2]) for a in answers],
    )


def smooth_motion(
    rng: np.random.Generator, dim: int, scale: float = 0.3
) -> Callable[[np.ndarray], np.ndarray]:
    """A random motion made of a few sines: times (n,) to rows (n, dim)."""
    level, size = rng.normal(0, 0.3, dim), rng.normal(0, 0.3, (3, dim))
    rate, phase = rng.uniform(0.5, 8, (3, dim)), rng.uniform(0, 6, (3, dim))
    return lambda t: level + (size * np.sin(rate * t[:, None, None] + phase)).sum(axis=1)


def smooth_rows(rng: np.random.Generator, horizon: int, dim: int) -> np.ndarray:
    return smooth_motion(rng, dim)(np.arange(horizon) * PERIOD)


@pytest.mark.parametrize("horizon", [1, 2, 3, 4, 5, 50, 256])
def test_cubic_is_the_not_a_knot_spline(horizon: int) -> None:
    rows = np.random.default_rng(horizon).normal(size=(horizon, 3))
    ex = executor(3)
    ex.push(rows, 0.0)
    duration = (horizon - 1) * PERIOD
    times = np.append(np.random.default_rng(1).uniform(0, duration, 200), np.arange(horizon) * PERIOD)
    times = np.sort(np.round(times, 9))  # the clock counts nanoseconds
    q, dq, status = play(ex, times)
    if horizon == 1:
        np.testing.assert_allclose(q, np.broadcast_to(rows, q.shape))
        return
    spline = CubicSpline(np.arange(horizon) * PERIOD, rows)
    np.testing.assert_allclose(q, spline(times), atol=1e-12)
    np.testing.assert_allclose(dq, spline(times, 1), rtol=1e-9, atol=1e-9)
    assert set(status) == {"ok"}


@pytest.mark.parametrize("interpolation", ["linear", "cubic", "quintic"])
def test_rows_are_met_exactly(interpolation: str) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4))
    ex = executor(4, interpolation=interpolation)
    ex.push(rows, 5.0)
    q, _, _ = play(ex, 5.0 + np.arange(30) * PERIOD)
    np.testing.assert_allclose(q, rows, atol=1e-13)


def jerk_of(rows: np.ndarray, interpolation: str) -> float:
    """Largest jerk of the curve through rows, from one-sided differences inside the pieces."""
    motion = vr.RowInterpolator(rows, PERIOD, interpolation)
    knots = np.arange(len(rows) - 1)[:, None] * PERIOD
    times = (knots + np.linspace(0.01, 0.99, 8) * PERIOD).ravel()
    h = 1e-3 * PERIOD
    return float(np.abs(motion.at(times + h)[2] - motion.at(times - h)[2]).max() / (2 * h))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_c2_across_random_pushes(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    blend = data.draw(st.sampled_from([0.1, 0.3]))
    options = {
        "mode": data.draw(st.sampled_from(["async", "receding", "ensemble"])),
        "interpolation": data.draw(st.sampled_from(["cubic", "quintic"])),
        "merge": data.draw(st.sampled_from(["crossfade", "replace", "average"])),
        "execution_horizon": data.draw(st.sampled_from([None, 8, 20])),
    }
    ex = executor(2, blend_s=blend, **options)
    if data.draw(st.booleans()):
        ex.reset(rng.normal(size=2))
    dt = 1e-4
    ticks = 6000
    # Averaged rows step where the older chunk ends, so those chunks nearly agree; the others contradict.
    agree = options["mode"] == "ensemble" or options["merge"] == "average"
    common = smooth_motion(rng, 2)
    first = common(np.arange(90) * PERIOD)
    ex.push(first, 0.0)
    pushes = {
        int(k): int(rng.integers(80, 120)) for k in rng.integers(0, ticks, data.draw(st.integers(1, 6)))
    }
    curves = [first]
    q = np.empty((ticks, 2))
    dq = np.empty((ticks, 2))
    for k in range(ticks):
        q[k], dq[k], status = ex.at(k * dt)
        assert str(status) == "ok"
        if k in pushes:
            start = k * dt + rng.uniform(-0.3, 0.05)
            rows = smooth_rows(rng, pushes[k], 2)
            if agree:
                rows = common(start + np.arange(pushes[k]) * PERIOD) + rng.normal(0, 1e-3, 2)
            curves.append(rows)
            ex.push(rows, start)
    # What curves and fades may do: a fade's jerk is at most 60, 36, 9 times its start over blend^3, ^2, ^1.
    seams = ex.seams or [{"position": 0.0, "velocity": 0.0, "acceleration": 0.0}]
    size = [max(np.max(s[key]) for s in seams) for key in ("position", "velocity", "acceleration")]
    size[0] = max(size[0], np.abs(q).max() * 2)  # the fade from the reset position makes no seam
    size[1] = max(size[1], 10.0)
    size[2] = max(size[2], 100.0)
    fade = 60 * size[0] / blend**3 + 36 * size[1] / blend**2 + 9 * size[2] / blend
    merged = 60 * 4e-3 / PERIOD**3 if agree else 0.0
    jerk = max(jerk_of(rows, options["interpolation"]) for rows in curves) + 3 * fade + merged
    acceleration = np.diff(dq, axis=0) / dt
    # A step in position, velocity or acceleration would show as 1/dt^2, 1/dt and 1 times itself here.
    assert np.abs(np.diff(q, axis=0) / dt - (dq[1:] + dq[:-1]) / 2).max() < jerk * dt**2
    assert np.abs(np.diff(acceleration, axis=0)).max() < 2 * jerk * dt


@pytest.mark.parametrize("interpolation", ["linear", "cubic", "quintic"])
@pytest.mark.parametrize("merge", ["crossfade", "replace"])
@pytest.mark.parametrize("lead", [-0.25, -0.011, 0.0, 0.07])
def test_old_plan_before_the_splice_and_exactly_the_new_one_after_the_blend(
    interpolation: str, merge: str, lead: float
) -> None:
    rng = np.random.default_rng(4)
    old, new = smooth_rows(rng, 80, 3), smooth_rows(rng, 70, 3)
    ex = executor(3, interpolation=interpolation, merge=merge, blend_s=0.12)
    ex.push(old, 0.0)
    play(ex, np.arange(400) * 1e-3)
    now, start = 0.399, 0.399 + lead
    assert ex.push(new, start) == "accepted"
    splice = max(now, start)
    before, after = (
        vr.RowInterpolator(old, PERIOD, interpolation),
        vr.RowInterpolator(new, PERIOD, interpolation),
    )
    times = now + np.arange(600) * 1e-3
    q, dq, _ = play(ex, times)
    early, late = times < splice, times >= splice + 0.12 - 1e-9
    np.testing.assert_allclose(q[early], before.at(times[early])[0], atol=1e-12)
    np.testing.assert_allclose(dq[early], before.at(times[early])[1], atol=1e-9)
    np.testing.assert_allclose(q[late], after.at(times[late] - start)[0], atol=1e-12)
    np.testing.assert_allclose(dq[late], after.at(times[late] - start)[1], atol=1e-9)
    np.testing.assert_allclose(q[times == now], before.at(now)[0][None], atol=1e-12)

    (seam,) = ex.seams
    assert seam["time_s"] == pytest.approx(splice, abs=1e-9)
    jumps = [abs(a - b) for a, b in zip(before.at(splice), after.at(splice - start), strict=True)]
    for key, jump in zip(("position", "velocity", "acceleration"), jumps, strict=True):
        np.testing.assert_allclose(seam[key], jump, atol=1e-6)


def test_receding_waits_for_the_horizon_and_closes_the_gap_between_chunks() -> None:
    rng = np.random.default_rng(2)
    long = smooth_rows(rng, 160, 2)
    ex = executor(2, mode="receding", execution_horizon=8)
    ex.push(long[:16], 0.0)
    assert ex.due_time_s == pytest.approx(0.16)
    ex.at(0.05)
    ex.push(long[3:60], 3 * PERIOD)
    assert ex.seams[0]["time_s"] == pytest.approx(0.16)

    # All rows of one chunk, then all of the next: no stall between the last row and the first.
    ex = executor(2, mode="receding")
    q, dq, status = [], [], []
    for tick in range(3180):
        if tick % 320 == 0:
            ex.push(long[tick // 20 : tick // 20 + 16], tick * 1e-3)
        a = ex.at(tick * 1e-3)
        q.append(a[0]), dq.append(a[1]), status.append(str(a[2]))
        if tick % 320 == 290 and tick < 2880:
            ex.push(long[tick // 320 * 16 + 16 :][:16], (tick // 320 + 1) * 0.32)
    whole = CubicSpline(np.arange(160) * PERIOD, long)
    times = np.arange(3180) * 1e-3
    assert set(status) == {"ok"}
    np.testing.assert_allclose(q, whole(times), atol=2e-3)
    assert np.abs(np.diff(dq, axis=0) / 1e-3).max() < 2 * np.abs(whole(times, 2)).max()


def offline_ensemble(chunks: list[np.ndarray], coeff: float) -> list[np.ndarray]:
    """ACT's formula with all chunks kept: chunk k predicts the steps k, k+1, ..., k+T-1."""
    actions = []
    for step in range(len(chunks)):
        predictions = [c[step - k] for k, c in enumerate(chunks[: step + 1]) if step - k < len(c)]
        weights = np.exp(-coeff * np.arange(len(predictions)))
        actions.append(np.average(predictions, axis=0, weights=weights))
    return actions


@settings(max_examples=40, deadline=None)
@given(
    horizon=st.integers(1, 20),
    dim=st.integers(1, 5),
    coeff=st.floats(-0.5, 2),
    steps=st.integers(1, 50),
    seed=st.integers(0, 10**6),
)
def test_ensembling_is_acts_formula(horizon: int, dim: int, coeff: float, steps: int, seed: int) -> None:
    chunks = list(np.random.default_rng(seed).normal(size=(steps, horizon, dim)))
    expected = offline_ensemble(chunks, coeff)
    ensembler = vr.TemporalEnsembler(horizon, dim, coeff)
    np.testing.assert_allclose([ensembler.update(c) for c in chunks], expected, atol=1e-11)
    ensembler.reset()
    np.testing.assert_array_equal(ensembler.update(chunks[-1]), chunks[-1][0])

    # The executor says the same for chunks in time, and keeps the averages of the rows when one is missing.
    ex = executor(dim, mode="ensemble", blend_s=0.0, temporal_ensemble_coeff=coeff)
    for k, chunk in enumerate(chunks):
        ex.push(chunk, k * PERIOD)
        np.testing.assert_allclose(ex.at(k * PERIOD)[0], expected[k], atol=1e-11)


def test_average_merges_rows_that_both_chunks_have() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    ex = executor(2, merge="average", merge_weights=(3, 7), blend_s=0.0, discrete_dims=[1])
    ex.push(old, 0.0)
    ex.at(0.1)
    ex.push(new, 0.1)
    q, _, _ = play(ex, 0.1 + np.arange(20) * PERIOD)
    expected = new.copy()
    expected[:15, 0] = 0.3 * old[5:, 0] + 0.7 * new[:15, 0]
    np.testing.assert_allclose(q, expected, atol=1e-12)


def test_rtc_splices_without_a_blend() -> None:
    ex = executor(1, mode="rtc")
    ex.push(np.zeros((50, 1)), 0.0)
    ex.at(0.5)
    ex.push(np.ones((50, 1)), 0.45)
    assert ex.at(0.5)[0] == 1
    # After a starvation there is nothing to continue.
    ex.at(3.0)
    ex.push(np.zeros((50, 1)), 3.0)
    assert ex.at(3.0)[0] == 1
    assert 0 < ex.at(3.05)[0] < 1
    assert ex.at(3.1)[0] == 0


def test_first_chunk_blends_from_the_reset_position_only_when_there_is_one() -> None:
    rows = np.ones((50, 2))
    ex = executor(2)
    position, velocity, status = ex.at(0.0)
    assert (position.tolist(), velocity.tolist(), str(status)) == ([0, 0], [0, 0], "starved")
    ex.push(rows, 0.0)
    assert ex.at(0.0)[0].tolist() == [1, 1]
    ex.reset([0.5, 2.0])
    assert ex.at(7.0)[0].tolist() == [0.5, 2.0]
    assert str(ex.at(7.0)[2]) == "starved"
    ex.push(rows, 7.0)
    assert ex.at(7.0)[0].tolist() == [0.5, 2.0]
    assert 0.5 < ex.at(7.05)[0][0] < 1 < ex.at(7.05)[0][1] < 2
    assert ex.at(7.1)[0].tolist() == [1, 1]
    assert ex.seams == []
    ex.reset()
    assert ex.at(0.0)[0].tolist() == [0, 0]


def test_time_going_backwards_is_answered_for_now_and_counted() -> None:
    ex = executor(2)
    ex.push(smooth_rows(np.random.default_rng(0), 50, 2), 0.0)
    now = ex.at(0.5)
    for earlier in (0.4, -1e9, 0.499999999):
        again = ex.at(earlier)
        np.testing.assert_array_equal(again[0], now[0])
        np.testing.assert_array_equal(again[1], now[1])
    assert ex.counters["late_queries"] == 3


def test_stamps_are_judged_and_reasons_counted() -> None:
    ex = executor(1)
    rows = np.arange(50.0)[:, None]
    ex.push(rows, 0.0)
    before = ex.at(0.5)
    assert ex.push(rows + 1, -2.0) == "past"
    assert ex.push(rows + 1, 11.0) == "far_future"
    np.testing.assert_array_equal(ex.at(0.5)[0], before[0])
    assert ex.push(rows, 0.31) == "accepted"
    counters = ex.counters
    assert counters["dropped_chunks"] == 1
    assert counters["refused_future"] == 1
    assert counters["dropped_rows"] == 10  # 0.31, 0.33, ... 0.49
    assert counters["accepted"] == 2
    assert ex.remaining_s == pytest.approx(0.31 + 0.98 - 0.5)
    np.testing.assert_allclose(ex.previous_rows(0.51, 3)[0], [[10], [11], [12]], atol=1e-9)
    held, within = ex.previous_rows(0.31 + 47 * PERIOD, 5)
    np.testing.assert_allclose(held[:, 0], [47, 48, 49, 49, 49], atol=1e-9)
    assert within == 3


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"action_dim": 0}, "action_dim"),
        ({"action_dim": 65}, "action_dim"),
        ({"period_s": 0.0}, "period_s"),
        ({"period_s": float("nan")}, "period_s"),
        ({"period_s": 61.0}, "period_s"),
        ({"mode": "recede"}, "mode"),
        ({"execution_horizon": 0}, "execution_horizon"),
        ({"execution_horizon": 257}, "execution_horizon"),
        ({"blend_s": -0.1}, "blend_s"),
        ({"blend_s": float("inf")}, "blend_s"),
        ({"interpolation": "bezier"}, "interpolation"),
        ({"merge": "mean"}, "merge"),
        ({"merge_weights": (0.5,)}, "merge_weights"),
        ({"merge_weights": (0.0, 0.0)}, "merge_weights"),
        ({"merge_weights": (-1.0, 2.0)}, "merge_weights[0]"),
        ({"discrete_dims": [2]}, "discrete_dims[0]"),
        ({"discrete_dims": [0, -1]}, "discrete_dims[1]"),
        ({"discrete_dims": [1, 1]}, "discrete_dims[1]"),
        ({"on_starvation": "stop"}, "on_starvation"),
        ({"on_starvation": "decelerate"}, "limits"),
        ({"temporal_ensemble_coeff": float("nan")}, "temporal_ensemble_coeff"),
    ],
)
def test_bad_configuration_names_the_field(options: dict[str, object], name: str) -> None:
    with pytest.raises(vr.ConfigError) as error:
        executor(**options) if "action_dim" not in options else executor(options["action_dim"])
    assert error.value.name == name


@pytest.mark.parametrize(
    ("chunk", "start"),
    [
        (np.zeros((5, 3)), 0.5),
        (np.zeros(5), 0.5),
        (np.zeros((0, 2)), 0.5),
        (np.zeros((257, 2)), 0.5),
        (np.zeros((1, 5, 2)), 0.5),
        (np.array([[0.0, np.nan]]), 0.5),
        (np.array([[0.0, np.inf]]), 0.5),
        (np.zeros((5, 2), dtype=complex), 0.5),
        ([[0, 1], [2]], 0.5),
        ("chunk", 0.5),
        (None, 0.5),
        (np.zeros((5, 2)), float("nan")),
        (np.zeros((5, 2)), float("inf")),
        (np.zeros((5, 2)), 1e18),
    ],
)
def test_bad_chunks_raise_and_change_nothing(chunk: object, start: float) -> None:
    ex, untouched = executor(), executor()
    rows = smooth_rows(np.random.default_rng(1), 50, 2)
    for e in (ex, untouched):
        e.push(rows, 0.0)
        e.at(0.5)
    with pytest.raises(vr.ConfigError):
        ex.push(chunk, start)
    for t in (0.5, 0.6, 0.9, 1.5):
        np.testing.assert_array_equal(ex.at(t)[0], untouched.at(t)[0])
        np.testing.assert_array_equal(ex.at(t)[1], untouched.at(t)[1])


def test_layouts_and_dtypes_are_converted() -> None:
    rows = smooth_rows(np.random.default_rng(1), 50, 2)
    expected = executor()
    expected.push(rows, 0.0)
    wanted = expected.at(0.51)[0]
    for layout in (
        np.asfortranarray(rows),
        rows.tolist(),
        np.repeat(rows, 2, axis=0)[::2],
        rows.astype(np.longdouble),
    ):
        ex = executor()
        ex.push(layout, 0.0)
        np.testing.assert_array_equal(ex.at(0.51)[0], wanted)
    ex = executor()
    ex.push(rows.astype(np.float32), 0.0)
    np.testing.assert_allclose(ex.at(0.51)[0], wanted, atol=1e-6)


def test_deceleration_keeps_position_limits() -> None:
    limits = vr.JointLimits([-1.0], [1.0], [2.0], [5.0], [50.0])
    ex = executor(1, on_starvation="decelerate", limits=limits)
    ex.push(np.linspace(0, 0.98, 50)[:, None], 0.0)  # 1 rad/s into the limit
    q, dq, status = play(ex, np.arange(3000) * 1e-3)
    assert q.max() == 1.0
    assert dq[-1] == 0
    assert status[-1] == "starved"
    free = executor(1, on_starvation="decelerate", limits=vr.JointLimits([-9.0], [9.0], [2.0], [5.0], [50.0]))
    free.push(np.linspace(0, 0.98, 50)[:, None], 0.0)
    q, dq, _ = play(free, np.arange(3000) * 1e-3)
    acceleration = np.diff(dq[980:], axis=0) / 1e-3
    assert np.abs(acceleration).max() <= 5 + 1e-6
    assert np.abs(np.diff(acceleration, axis=0)).max() / 1e-3 <= 50 + 1e-3
    assert dq[-1] == 0
    assert q[-1] == pytest.approx(0.98 + 1 / (2 * 5) + 5 / (2 * 50), abs=1e-3)
