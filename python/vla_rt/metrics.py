"""Measures of how well a robot did its task: success, length and smoothness of its motion, latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt.errors import require

__all__ = [
    "integrated_squared_jerk",
    "latency_summary",
    "path_length",
    "rising_edges",
    "spectral_arc_length",
    "wilson_interval",
]


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the success rate that fits ``successes`` of ``trials`` (Wilson 1927).

    Args:
        successes: 0..trials.
        trials: Independent attempts; none leave everything open, (0, 1).
        confidence: How often such an interval holds the true rate.

    Raises:
        ConfigError: A number is out of its bounds.
    """
    require(trials >= 0, "trials", trials, "must be >= 0")
    require(0 <= successes <= trials, "successes", successes, f"must be 0..trials = {trials}")
    require(0.0 < confidence < 1.0, "confidence", confidence, "must be in (0, 1)")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    rate = successes / trials
    scale = 1.0 + z * z / trials
    middle = (rate + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(rate * (1.0 - rate) / trials + z * z / (4.0 * trials * trials))
    low = 0.0 if successes == 0 else middle - half
    return low, 1.0 if successes == trials else middle + half


def path_length(points: ArrayLike) -> float:
    """Length of the way through points (n, d), in their unit."""
    p = _samples(points, "points")
    return float(np.linalg.norm(np.diff(p, axis=0), axis=1).sum())


def integrated_squared_jerk(positions: ArrayLike, period_s: float) -> float:
    """Integral of the squared third derivative of positions (n, d), summed over d; [unit^2/s^5].

    Third differences over ``period_s``; 0 for fewer than four samples. A minimum-jerk motion over a distance
    D in a time T has 720 D^2/T^5 (Flash and Hogan 1985).

    Raises:
        ConfigError: The positions are not finite, or the period is not > 0.
    """
    q = _samples(positions, "positions")
    _require_period(period_s)
    if len(q) < 4:
        return 0.0
    jerk = np.diff(q, n=3, axis=0) / period_s**3
    return float((jerk**2).sum() * period_s)


def spectral_arc_length(
    speed: ArrayLike,
    period_s: float,
    max_frequency_hz: float = 10.0,
    amplitude_threshold: float = 0.05,
    padding: int = 4,
) -> float:
    """Smoothness of a movement from its speed (n,): the negative length of its spectrum's curve (SPARC).

    Balasubramanian et al. 2015, "On the analysis of movement smoothness". Nearer to 0 is smoother: about -1.4
    for one smooth stroke, less for every sub-movement more. It depends neither on amplitude nor, but for the
    bound on the frequency, on duration.

    Args:
        speed: Tangential speed.
        period_s: Between two samples.
        max_frequency_hz: Upper end of the spectrum that counts.
        amplitude_threshold: The spectrum counts up to where it last reaches this share of its maximum.
        padding: The signal is padded with zeros to 2^padding times its length and more.

    Returns:
        NaN for a speed that is 0 all the time.

    Raises:
        ConfigError: The speed is empty or not finite, or an option is out of its bounds.
    """
    v = _samples(speed, "speed")
    require(v.shape[1] == 1, "speed.shape", np.shape(speed), "must be (n,)")
    require(len(v) > 0, "speed", "0 samples", "must not be empty")
    _require_period(period_s)
    require(0.0 < amplitude_threshold < 1.0, "amplitude_threshold", amplitude_threshold, "must be in (0, 1)")
    require(max_frequency_hz > 0.0, "max_frequency_hz", max_frequency_hz, "must be > 0")
    require(padding >= 0, "padding", padding, "must be >= 0")
    size = 2 ** (math.ceil(math.log2(len(v))) + padding)
    spectrum = np.abs(np.fft.rfft(v[:, 0], size))
    if spectrum.max() == 0.0:
        return math.nan
    frequency = np.fft.rfftfreq(size, period_s)
    kept = frequency <= max_frequency_hz
    frequency, magnitude = frequency[kept], spectrum[kept] / spectrum.max()
    loud = np.flatnonzero(magnitude >= amplitude_threshold)
    frequency, magnitude = frequency[loud[0] : loud[-1] + 1], magnitude[loud[0] : loud[-1] + 1]
    if len(frequency) < 2:
        return 0.0
    steps = np.diff(frequency) / (frequency[-1] - frequency[0])
    return -float(np.hypot(steps, np.diff(magnitude)).sum())


def rising_edges(flags: ArrayLike) -> int:
    """How many times flags (n,) become true; true from the beginning counts as once."""
    values = np.asarray(flags, dtype=bool)
    return int((values & ~np.r_[False, values[:-1]]).sum()) if values.size else 0


def latency_summary(seconds: Sequence[float]) -> dict[str, float]:
    """``p50``, ``p95``, ``p99``, ``max`` and ``first`` [ms]; the first call is cold and kept apart."""
    if not seconds:
        return dict.fromkeys(("p50", "p95", "p99", "max", "first"), math.nan)
    warm = np.asarray(seconds[1:] or seconds) * 1e3
    p50, p95, p99 = np.percentile(warm, [50, 95, 99])
    return {
        "p50": float(p50),
        "p95": float(p95),
        "p99": float(p99),
        "max": float(warm.max()),
        "first": seconds[0] * 1e3,
    }


def _samples(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    require(array.ndim == 2, f"{name}.shape", array.shape, "must be (n,) or (n, d)")
    require(bool(np.isfinite(array).all()), name, "not a number", "must be finite")
    return array


def _require_period(period_s: float) -> None:
    require(math.isfinite(period_s) and period_s > 0.0, "period_s", period_s, "must be finite and > 0")
