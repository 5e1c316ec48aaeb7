"""Prefix weights and delay estimates of real-time chunking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vla_rt as vr


def published_weights(start: int, end: int, total: int, schedule: str) -> np.ndarray:
    """The formula of the paper's code, in numpy."""
    end = min(end, total)
    start = min(start, end)
    row = np.arange(total)
    if schedule == "ones":
        weights = np.ones(total)
    elif schedule == "zeros":
        weights = (row < start).astype(float)
    else:
        weights = np.clip((start - 1 - row) / (end - start + 1) + 1, 0, 1)
        if schedule == "exp":
            weights = weights * np.expm1(weights) / (np.exp(1) - 1)
    return np.where(row >= end, 0, weights)


@settings(max_examples=200, deadline=None)
@given(
    delay=st.integers(0, 300),
    end=st.integers(0, 300),
    horizon=st.integers(1, 256),
    schedule=st.sampled_from(["linear", "exp", "ones", "zeros"]),
)
def test_weights_are_the_published_ones(delay: int, end: int, horizon: int, schedule: str) -> None:
    weights = vr.rtc.prefix_weights(delay, end, horizon, schedule)
    np.testing.assert_allclose(weights, published_weights(delay, end, horizon, schedule), atol=1e-15)
    assert (np.diff(weights) <= 0).all()
    assert (weights[: min(delay, end)] == 1).all()


def test_weights_of_one_case_by_hand() -> None:
    np.testing.assert_allclose(vr.rtc.prefix_weights(1, 4, 6, "linear"), [1, 0.75, 0.5, 0.25, 0, 0])
    np.testing.assert_array_equal(vr.rtc.prefix_weights(2, 4, 6, "ones"), [1, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(vr.rtc.prefix_weights(2, 4, 6, "zeros"), [1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((-1, 4, 6, "exp"), "delay"),
        ((1, -4, 6, "exp"), "end"),
        ((1, 4, 0, "exp"), "horizon"),
        ((1, 4, 257, "exp"), "horizon"),
        ((1, 4, 6, "cosine"), "schedule"),
    ],
)
def test_bad_weights_name_the_field(arguments: tuple[int, int, int, str], name: str) -> None:
    with pytest.raises(vr.ConfigError) as error:
        vr.rtc.prefix_weights(*arguments)
    assert error.value.name == name


def weighted_quantile(latencies: list[float], quantile: float, half_life: float) -> float:
    recent = np.array(latencies[1:][-128:])
    weights = 0.5 ** (np.arange(len(recent))[::-1] / half_life)
    order = np.argsort(recent, kind="stable")
    reached = np.cumsum(weights[order]) >= quantile * weights.sum() * (1 - 1e-12)
    return float(recent[order][np.argmax(reached)])


@settings(max_examples=100, deadline=None)
@given(
    latencies=st.lists(st.floats(0, 10), min_size=2, max_size=300),
    quantile=st.floats(0.01, 1),
    half_life=st.floats(0.5, 100),
)
def test_estimate_is_the_decaying_quantile(latencies: list[float], quantile: float, half_life: float) -> None:
    estimator = vr.DelayEstimator(0.02, quantile, half_life)
    for latency in latencies:
        estimator.add(latency)
    assert estimator.delay_s in latencies[1:]
    assert estimator.delay_s == pytest.approx(weighted_quantile(latencies, quantile, half_life))
    assert estimator.delay_rows == pytest.approx(np.ceil(estimator.delay_s / 0.02 - 1e-9))


def test_cold_call_does_not_count_and_a_stall_is_forgotten() -> None:
    estimator = vr.DelayEstimator(0.02)
    assert (estimator.delay_s, estimator.delay_rows, estimator.count) == (0, 0, 0)
    estimator.add(30.0)
    assert estimator.delay_s == 0
    for _ in range(100):
        estimator.add(0.1)
    assert (estimator.delay_s, estimator.delay_rows) == (0.1, 5)
    estimator.add(1.0)
    estimator.add(1.0)
    assert estimator.delay_s == 1.0
    for _ in range(40):
        estimator.add(0.1)
    assert estimator.delay_s == 0.1
    estimator.reset()
    estimator.add(30.0)
    assert estimator.delay_s == 0


def test_a_delay_is_bounded_by_the_rows_really_executed() -> None:
    estimator = vr.DelayEstimator(0.02)
    estimator.add(0.0)
    estimator.add(5.0, moved_rows=3)
    assert estimator.delay_rows == 4
    estimator.add(0.05, moved_rows=10)
    assert estimator.delay_s == pytest.approx(0.08)


@pytest.mark.parametrize(
    "call",
    [
        lambda: vr.DelayEstimator(0.0),
        lambda: vr.DelayEstimator(0.02, 0.0),
        lambda: vr.DelayEstimator(0.02, 1.5),
        lambda: vr.DelayEstimator(0.02, 0.9, 0.0),
        lambda: vr.DelayEstimator(float("nan")),
        lambda: vr.DelayEstimator(0.02).add(float("nan")),
        lambda: vr.DelayEstimator(0.02).add(-1.0),
        lambda: vr.DelayEstimator(0.02).add(1.0, -1),
    ],
)
def test_bad_estimator_input_is_a_config_error(call: object) -> None:
    with pytest.raises(vr.ConfigError):
        call()
