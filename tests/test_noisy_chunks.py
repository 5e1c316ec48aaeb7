"""What the executor makes of rows that are noisy: no more noise."""

from __future__ import annotations

import numpy as np
import pytest

import vla_rt as vr


@pytest.mark.parametrize("on_starvation", ["hold", "decelerate"])
@pytest.mark.parametrize("interpolation", ["linear", "cubic", "quintic"])
@pytest.mark.parametrize(
    ("mode", "merge"),
    [
        ("receding", "crossfade"),
        ("ensemble", "crossfade"),
        ("rtc", "crossfade"),
        ("async", "crossfade"),
        ("async", "replace"),
        ("async", "average"),
    ],
)
def test_noise_of_the_rows_is_not_amplified(
    mode: str, merge: str, interpolation: str, on_starvation: str
) -> None:
    """From 50 Hz to the rate of the ticks, chunks now and then (and starving) or every few rows."""
    rng = np.random.default_rng(5)
    limits = vr.JointLimits([-1] * 3, [1] * 3, [2] * 3, [10] * 3, [5000] * 3)
    for period, every, late in (
        (0.02, 0.1, 0.15),
        (0.005, 0.05, 0.05),
        (0.001, 0.005, 0.01),
        (0.001, 0.1, 0.08),
    ):
        ex = vr.ChunkExecutor(
            3,
            period,
            mode=mode,
            merge=merge,
            interpolation=interpolation,
            execution_horizon=max(1, round(every / period)),
            on_starvation=on_starvation,
            limits=limits,
        )
        ex.reset(np.zeros(3))
        coming: list[tuple[float, float]] = []
        positions, asked = np.zeros((1500, 3)), 0
        for k in range(len(positions)):
            now = 0.001 * k
            if now >= asked * every - 1e-9:
                coming.append((now + late * rng.uniform(0.5, 1.5), now))
                asked += 1
            while coming and coming[0][0] <= now:
                ex.push(rng.normal(size=(round((every + late) / period), 3)), coming.pop(0)[1])
            positions[k] = ex.at(now)[0]
        assert positions[300:].std() < 10, (period, every)


@pytest.mark.parametrize("merge", ["crossfade", "replace"])
@pytest.mark.parametrize("rows", [2, 4, 5, 8])
def test_short_chunks_at_the_rate_of_the_ticks_do_not_swing(rows: int, merge: str) -> None:
    """They are too short to tell their noise."""
    rng = np.random.default_rng(rows)
    ex = vr.ChunkExecutor(3, 0.001, mode="async", merge=merge)
    ex.reset(np.zeros(3))
    positions = np.zeros((1000, 3))
    for k in range(len(positions)):
        ex.push(rng.normal(size=(rows, 3)), 0.001 * k)
        positions[k] = ex.at(0.001 * k)[0]
    assert positions.std() < 20


@pytest.mark.parametrize("merge", ["crossfade", "replace"])
def test_a_turn_is_blended_alike_at_any_rate_of_rows(merge: str) -> None:
    """Only what the rows' own noise explains settles sooner: a new velocity takes all of blend_s."""
    velocities = []
    for period in (0.02, 0.001):
        ex = vr.ChunkExecutor(1, period, mode="async", merge=merge)
        rows = period * np.arange(round(0.24 / period) + 1)[:, None]
        ex.push(rows, 0.0)
        ex.at(0.1)
        ex.push(0.1 - rows, 0.1)  # turns round
        velocities.append(np.array([ex.at(t)[1] for t in np.arange(0.1, 0.21, 0.001)]))
    np.testing.assert_allclose(velocities[0], velocities[1], atol=2e-3)
    assert velocities[0].min() < -0.99


@pytest.mark.parametrize("period", [0.02, 0.01, 0.005, 0.002])
def test_a_step_of_the_rows_elsewhere_does_not_sharpen_a_cross_fade(period: float) -> None:
    """What both plans do around the seam is no noise, however abrupt their rows are later on."""
    velocities = []
    for step in (0.0, 0.1):
        ex = vr.ChunkExecutor(1, period, mode="async")
        times = period * np.arange(round(0.5 / period))[:, None]
        for start, slope in ((0.0, 1.0), (0.1, -0.5)):
            ex.at(start)
            rows = 0.1 + slope * (start + times - 0.1) + step * (start + times > 0.42)
            ex.push(rows, start)
        velocities.append(np.array([ex.at(t)[1][0] for t in np.arange(0.1, 0.25, 1e-3)]))
    np.testing.assert_allclose(velocities[0], velocities[1], atol=0.01)
    assert velocities[1].max() < 1.001  # neither plan moves faster
