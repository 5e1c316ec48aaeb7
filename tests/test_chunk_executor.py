"""ChunkExecutor against scipy, against the promises of its documentation, and against bad input."""

from __future__ import annotations

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


def smooth_rows(rng: np.random.Generator, horizon: int, dim: int, scale: float = 0.3) -> np.ndarray:
    """Rows of a random smooth motion: a few sines."""
    t = np.arange(horizon)[:, None] * PERIOD
    rows = rng.normal(0, scale, (1, dim)) + np.zeros((horizon, dim))
    for _ in range(3):
        rows += rng.normal(0, scale, dim) * np.sin(rng.uniform(0.5, 8, dim) * t + rng.uniform(0, 6, dim))
    return rows


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


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_c2_across_random_pushes(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    blend = data.draw(st.sampled_from([0.04, 0.1, 0.25]))
    ex = executor(
        2,
        mode=data.draw(st.sampled_from(["async", "receding", "ensemble"])),
        interpolation=data.draw(st.sampled_from(["cubic", "quintic"])),
        merge=data.draw(st.sampled_from(["crossfade", "replace", "average"])),
        execution_horizon=data.draw(st.sampled_from([None, 8, 20])),
        blend_s=blend,
    )
    if data.draw(st.booleans()):
        ex.reset(rng.normal(size=2))
    dt = 2e-4
    ticks = 6000
    ex.push(smooth_rows(rng, 90, 2), 0.0)
    pushes = {
        int(k): (data.draw(st.floats(-0.3, 0.1)), int(rng.integers(80, 120)))
        for k in rng.integers(0, ticks - 100, data.draw(st.integers(1, 12)))
    }
    q = np.empty((ticks, 2))
    dq = np.empty((ticks, 2))
    for k in range(ticks):
        q[k], dq[k], status = ex.at(k * dt)
        assert str(status) == "ok"
        if k in pushes:
            lead, horizon = pushes[k]
            ex.push(smooth_rows(rng, horizon, 2), k * dt + lead)
    # Between neighbouring ticks nothing may change by more than the next derivative allows.
    acceleration = np.diff(dq, axis=0) / dt
    jerk = np.diff(acceleration, axis=0) / dt
    np.testing.assert_allclose(np.diff(q, axis=0) / dt, (dq[1:] + dq[:-1]) / 2, atol=2e-2)
    amplitude = 3.0
    assert np.abs(acceleration).max() < 60 * amplitude / blend**2 + 2e3
    assert np.abs(jerk).max() < 200 * amplitude / blend**3 + 2e5
