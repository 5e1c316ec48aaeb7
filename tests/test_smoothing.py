"""Filters and interpolators against scipy.signal, scipy.interpolate and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.interpolate
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

import vla_rt as vr


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9, 0.999])
def test_low_pass_is_scipys_one_pole_filter(alpha: float) -> None:
    x = np.random.default_rng(0).normal(size=(300, 3)) + 5
    expected, _ = scipy.signal.lfilter([1 - alpha], [1, -alpha], x, axis=0, zi=alpha * x[:1])
    np.testing.assert_allclose(vr.LowPassFilter(alpha).filter(x), expected, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(order=st.integers(1, 8), ratio=st.floats(0.01, 0.49), seed=st.integers(0, 10**6))
def test_butterworth_is_scipys(order: int, ratio: float, seed: int) -> None:
    rate = 500.0
    x = np.random.default_rng(seed).normal(size=(200, 2)) + 3
    sos = scipy.signal.butter(order, ratio * rate, fs=rate, output="sos")
    zi = scipy.signal.sosfilt_zi(sos)[:, :, None] * x[0]
    expected, _ = scipy.signal.sosfilt(sos, x, axis=0, zi=zi)
    got = vr.ButterworthFilter(ratio * rate, rate, order).filter(x)
    # Sections come in another order than scipy's, so rounding differs where the poles crowd near 1.
    np.testing.assert_allclose(got, expected, atol=1e-7)


@pytest.mark.parametrize("make", [lambda: vr.LowPassFilter(0.8), lambda: vr.ButterworthFilter(5, 100, 3)])
def test_update_is_filter_and_delay_is_as_stated(make: object) -> None:
    x = np.random.default_rng(1).normal(size=(50, 4))
    batch = make().filter(x)
    one = make()
    np.testing.assert_array_equal(batch, [one.update(row) for row in x])
    np.testing.assert_array_equal(make().filter(x[:, 0]), batch[:, 0])
    one.reset()
    assert one.update(3.5) == pytest.approx(3.5, rel=1e-14)
    # A ramp comes out late by the delay that slow signals have.
    ramp = make()
    y = ramp.filter(np.arange(2000.0))
    delay = ramp.delay_samples if isinstance(ramp, vr.LowPassFilter) else ramp.delay_s * 100
    assert 1999 - y[-1] == pytest.approx(delay, rel=1e-9)


def response(y: np.ndarray, w: float) -> tuple[float, float]:
    """Gain and phase lag [rad] of y against sin(w k), once the beginning is forgotten."""
    k = np.arange(len(y))[len(y) // 2 :]
    sine, cosine = np.linalg.lstsq(np.stack([np.sin(w * k), np.cos(w * k)], 1), y[k], rcond=None)[0]
    return float(np.hypot(sine, cosine)), float(np.arctan2(-cosine, sine))


@pytest.mark.parametrize("w", [0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("alpha", [0.5, 0.9])
def test_the_lag_of_the_low_pass_is_as_stated_at_every_frequency(alpha: float, w: float) -> None:
    gain, lag = response(vr.LowPassFilter(alpha).filter(np.sin(w * np.arange(4000.0))), w)
    assert lag == pytest.approx(np.arctan(alpha * np.sin(w) / (1 - alpha * np.cos(w))), abs=1e-9)
    assert gain == pytest.approx((1 - alpha) / np.sqrt(1 - 2 * alpha * np.cos(w) + alpha**2), rel=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_lag_of_the_butterworth_is_as_stated_at_its_cutoff(order: int) -> None:
    cutoff, rate = 20.0, 1000.0
    w = 2 * np.pi * cutoff / rate
    filtered = vr.ButterworthFilter(cutoff, rate, order).filter(np.sin(w * np.arange(4000.0)))
    gain, lag = response(filtered, w)
    assert lag % (2 * np.pi) == pytest.approx(np.deg2rad(45 * order), abs=1e-6)
    assert gain == pytest.approx(np.sqrt(0.5), rel=1e-6)


@pytest.mark.parametrize("interpolation", ["linear", "cubic", "quintic"])
def test_interpolation_has_no_lag(interpolation: str) -> None:
    rows, steps = 200, 20
    w = 2 * np.pi * 0.4 * 0.05  # 0.4 Hz at 20 rows per second
    motion = vr.RowInterpolator(np.sin(w * np.arange(float(rows)))[:, None], 1.0, interpolation)
    t = np.arange(rows * steps - steps) / steps
    _, lag = response(motion.at(t)[0][:, 0], w / steps)
    assert abs(lag) < 1e-3 * w  # a thousandth of a row


@pytest.mark.parametrize("make", [lambda: vr.LowPassFilter(0.8), lambda: vr.ButterworthFilter(5, 100)])
def test_a_bad_sample_repeats_the_last_good_one(make: object) -> None:
    x = np.random.default_rng(1).normal(size=(50, 2))
    bad, repeated = x.copy(), x.copy()
    bad[20, 0], bad[21, 0], bad[30, 1] = np.nan, np.inf, -np.inf
    repeated[20:22, 0], repeated[30, 1] = x[19, 0], x[29, 1]
    np.testing.assert_array_equal(make().filter(bad), make().filter(repeated))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: vr.LowPassFilter(1.0), "alpha"),
        (lambda: vr.LowPassFilter(-0.1), "alpha"),
        (lambda: vr.LowPassFilter(float("nan")), "alpha"),
        (lambda: vr.ButterworthFilter(50, 100), "cutoff_hz"),
        (lambda: vr.ButterworthFilter(0, 100), "cutoff_hz"),
        (lambda: vr.ButterworthFilter(float("nan"), 100), "cutoff_hz"),
        (lambda: vr.ButterworthFilter(5, float("inf")), "rate_hz"),
        (lambda: vr.ButterworthFilter(5, 100, 0), "order"),
        (lambda: vr.ButterworthFilter(5, 100, 9), "order"),
        (lambda: vr.LowPassFilter(0.5).filter(np.zeros((3, 0))), "X"),
        (lambda: vr.LowPassFilter(0.5).filter(np.zeros((3, 65))), "X"),
        (lambda: vr.LowPassFilter(0.5).filter(np.zeros((3, 2, 2))), "X"),
        (lambda: vr.LowPassFilter(0.5).update(np.zeros((3, 2))), "x"),
        (lambda: vr.LowPassFilter(0.5).update(["a"]), "x"),
        (lambda: vr.RowInterpolator(np.zeros(3), 0.1), "rows"),
        (lambda: vr.RowInterpolator(np.zeros((0, 3)), 0.1), "rows"),
        (lambda: vr.RowInterpolator(np.zeros((257, 3)), 0.1), "rows"),
        (lambda: vr.RowInterpolator(np.zeros((3, 3)), 0.0), "period_s"),
        (lambda: vr.RowInterpolator(np.full((3, 3), np.nan), 0.1), "rows[0]"),
        (lambda: vr.RowInterpolator(np.zeros((3, 3)), 0.1, "septic"), "interpolation"),
        (lambda: vr.RowInterpolator.minimum_jerk([0, 0], [1], 1.0), "goal"),
        (lambda: vr.RowInterpolator.minimum_jerk([0], [1], -1.0), "period_s"),
    ],
)
def test_bad_input_names_the_field(call: object, name: str) -> None:
    with pytest.raises(vr.ConfigError) as error:
        call()
    assert error.value.name == name


def test_another_dimension_is_refused_and_changes_nothing() -> None:
    one, other = vr.LowPassFilter(0.5), vr.LowPassFilter(0.5)
    for filter_ in (one, other):
        filter_.update([1.0, 2.0])
    with pytest.raises(vr.ConfigError, match="must hold D numbers, D = 2"):
        one.update([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(one.update([5.0, 5.0]), other.update([5.0, 5.0]))


@settings(max_examples=60, deadline=None)
@given(
    horizon=st.integers(2, 256), dim=st.integers(1, 8), period=st.floats(1e-3, 1), seed=st.integers(0, 10**6)
)
def test_cubic_is_scipys_spline(horizon: int, dim: int, period: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(horizon, dim))
    times = rng.uniform(0, (horizon - 1) * period, 50)
    spline = scipy.interpolate.CubicSpline(np.arange(horizon) * period, rows)
    for order, got in enumerate(vr.RowInterpolator(rows, period).at(times)):
        np.testing.assert_allclose(got, spline(times, order), rtol=1e-9, atol=1e-9 / period**order)


@pytest.mark.parametrize("horizon", [4, 5, 6, 20])
def test_quintic_is_exact_for_cubic_motions(horizon: int) -> None:
    t = np.arange(horizon) * 0.1
    polynomial = np.polynomial.Polynomial([0.3, -1.0, 2.0, 0.7])
    times = np.linspace(0, t[-1], 77)
    got = vr.RowInterpolator(polynomial(t)[:, None], 0.1, "quintic").at(times)
    for order, values in enumerate(got):
        expected = polynomial.deriv(order)(times) if order else polynomial(times)
        np.testing.assert_allclose(values[:, 0], expected, atol=1e-10)


@pytest.mark.parametrize("interpolation", ["cubic", "quintic"])
def test_position_velocity_acceleration_are_continuous_and_consistent(interpolation: str) -> None:
    rows = np.random.default_rng(3).normal(size=(12, 2))
    motion = vr.RowInterpolator(rows, 0.1, interpolation)
    knots = np.arange(1, 11) * 0.1
    for before, after in zip(motion.at(knots - 1e-9), motion.at(knots + 1e-9), strict=True):
        np.testing.assert_allclose(before, after, atol=1e-3)
    times = np.linspace(0.005, 1.095, 200)
    h = 1e-5
    _, dq, ddq = motion.at(times)
    np.testing.assert_allclose((motion.at(times + h)[0] - motion.at(times - h)[0]) / (2 * h), dq, atol=1e-4)
    np.testing.assert_allclose((motion.at(times + h)[1] - motion.at(times - h)[1]) / (2 * h), ddq, atol=0.2)
    np.testing.assert_allclose(motion.at(np.arange(12) * 0.1)[0], rows, atol=1e-12)


def test_quintic_is_local_and_cubic_is_not() -> None:
    rows = np.zeros((40, 1))
    rows[20] = 1
    times = np.linspace(0, 3.9, 391)
    far = np.abs(times - 2.0) > 0.3 + 1e-9
    assert np.abs(vr.RowInterpolator(rows, 0.1, "quintic").at(times)[0][far]).max() == 0
    assert np.abs(vr.RowInterpolator(rows, 0.1, "cubic").at(times)[0][far]).max() > 1e-3


def test_minimum_jerk_is_the_closed_form() -> None:
    motion = vr.RowInterpolator.minimum_jerk([0.0, 1.0], [2.0, -1.0], 1.5)
    times = np.linspace(0, 1.5, 50)
    s = times / 1.5
    q, dq, ddq = motion.at(times)
    shape = 10 * s**3 - 15 * s**4 + 6 * s**5
    np.testing.assert_allclose(q, np.array([0, 1]) + shape[:, None] * np.array([2, -2]), atol=1e-14)
    for rate in (dq, ddq):
        np.testing.assert_allclose(rate[[0, -1]], 0, atol=1e-12)
