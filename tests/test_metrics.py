"""Metrics against scipy, closed forms and their own invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vla_rt as vr
from vla_rt.metrics import (
    integrated_squared_jerk,
    latency_summary,
    path_length,
    rising_edges,
    spectral_arc_length,
    wilson_interval,
)


@given(st.data(), st.integers(1, 5000), st.floats(0.5, 0.999))
def test_wilson_is_scipys(data, trials, confidence):
    stats = pytest.importorskip("scipy.stats")
    successes = data.draw(st.integers(0, trials))
    expected = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert wilson_interval(successes, trials, confidence) == pytest.approx(tuple(expected), abs=1e-12)


def test_wilson_at_its_ends():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(10, 10)[1] == 1.0
    for successes, trials in ((-1, 3), (4, 3), (0, -1)):
        with pytest.raises(vr.ConfigError):
            wilson_interval(successes, trials)


def minimum_jerk(distance: float, duration: float, period: float) -> np.ndarray:
    s = np.arange(0.0, duration + period / 2, period) / duration
    return distance * (10 * s**3 - 15 * s**4 + 6 * s**5)


@given(st.floats(0.1, 3.0), st.floats(0.5, 3.0))
def test_a_minimum_jerk_motion_has_the_jerk_of_the_closed_form(distance, duration):
    period = duration / 2000
    found = integrated_squared_jerk(minimum_jerk(distance, duration, period), period)
    assert found == pytest.approx(720 * distance**2 / duration**5, rel=5e-3)


def test_jerk_of_a_cubic_is_exact_and_adds_over_dimensions():
    t = np.arange(101) * 0.01
    q = np.stack([2 * t**3, t**2, -t], axis=1)
    assert integrated_squared_jerk(q, 0.01) == pytest.approx(144 * 0.98, rel=1e-6)
    assert integrated_squared_jerk(q[:3], 0.01) == 0.0


def test_length_of_a_circle():
    a = np.linspace(0, 2 * np.pi, 10_001)
    assert path_length(np.stack([3 * np.cos(a), 3 * np.sin(a), 0 * a], axis=1)) == pytest.approx(
        6 * np.pi, rel=1e-6
    )
    assert path_length(np.zeros((1, 3))) == 0.0


@pytest.mark.parametrize("sigma", [0.1, 0.2, 0.4])
def test_arc_length_of_a_gaussian_speed_is_that_of_its_transform(sigma):
    """The spectrum of exp(-t^2/2s^2) is exp(-2 pi^2 s^2 f^2); its curve's length by quadrature."""
    integrate = pytest.importorskip("scipy.integrate")
    end = math.sqrt(math.log(20) / (2 * math.pi**2 * sigma**2))

    def element(u):
        slope = -4 * math.pi**2 * sigma**2 * end**2 * u * math.exp(-2 * (math.pi * sigma * end * u) ** 2)
        return math.hypot(1.0, slope)

    t = np.arange(-8 * sigma, 8 * sigma, 0.002)
    found = spectral_arc_length(np.exp(-(t**2) / (2 * sigma**2)), 0.002, max_frequency_hz=100, padding=8)
    assert found == pytest.approx(-integrate.quad(element, 0, 1)[0], rel=2e-3)


@given(st.floats(1e-3, 1e3), st.sampled_from([1, 2, 4]))
def test_arc_length_depends_on_neither_amplitude_nor_duration(scale, slower):
    speed = np.gradient(minimum_jerk(1.0, 1.0, 0.005))
    reference = spectral_arc_length(speed, 0.005)
    assert -1.7 < reference < -1.3
    assert spectral_arc_length(scale * speed, 0.005) == pytest.approx(reference, rel=1e-9)
    assert spectral_arc_length(speed, 0.005 * slower) == pytest.approx(reference, rel=1e-9)


def test_more_strokes_are_less_smooth():
    stroke = np.gradient(minimum_jerk(1.0, 0.5, 0.005))
    scores = [spectral_arc_length(np.tile(np.r_[stroke, np.zeros(40)], n), 0.005) for n in (1, 2, 4)]
    assert scores[0] > scores[1] > scores[2]
    random = np.random.default_rng(0).normal(0, 0.2 * stroke.max(), len(stroke))
    assert spectral_arc_length(np.abs(stroke + random), 0.005) < scores[0]
    assert math.isnan(spectral_arc_length(np.zeros(10), 0.01))


@pytest.mark.parametrize(
    "call",
    [
        lambda: spectral_arc_length([], 0.01),
        lambda: spectral_arc_length([1.0, np.nan], 0.01),
        lambda: spectral_arc_length(np.ones((3, 2)), 0.01),
        lambda: spectral_arc_length([1.0], 0.0),
        lambda: spectral_arc_length([1.0], 0.01, amplitude_threshold=1.0),
        lambda: integrated_squared_jerk([np.inf], 0.01),
        lambda: integrated_squared_jerk([1.0], -1.0),
        lambda: path_length(np.zeros((2, 2, 2))),
    ],
)
def test_what_has_no_measure_is_refused(call):
    with pytest.raises(vr.ConfigError):
        call()


@given(st.lists(st.booleans(), max_size=30))
def test_rising_edges(flags):
    assert rising_edges(flags) == sum(b and not a for a, b in zip([False, *flags], flags, strict=False))


def test_the_first_call_is_kept_apart():
    summary = latency_summary([1.0, *[0.001 * i for i in range(1, 101)]])
    assert summary["first"] == 1000.0
    assert summary["max"] == pytest.approx(100.0)
    assert summary["p50"] == pytest.approx(50.5)
    assert math.isnan(latency_summary([])["p99"])
