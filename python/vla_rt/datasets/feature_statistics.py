"""Statistics of a feature: of its rows, of pixels, and of many episodes put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["QUANTILES", "Statistics", "of_pixels", "of_rows", "pooled"]

#: By name: ``min``, ``max``, ``mean``, ``std``, ``count``, ``q01``, ``q10``, ``q50``, ``q90``, ``q99``.
Statistics = dict[str, NDArray[np.float64]]

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def of_rows(values: NDArray[Any]) -> Statistics:
    """Statistics over the first axis of (n, ...), n > 0; the standard deviation is the population's."""
    values = values.astype(np.float64)
    quantiles = np.quantile(values, tuple(QUANTILES.values()), axis=0)
    return {
        "min": values.min(0),
        "max": values.max(0),
        "mean": values.mean(0),
        "std": values.std(0),
        "count": np.array([len(values)], dtype=np.float64),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


def of_pixels(histogram: NDArray[np.int64], frames: int) -> Statistics:
    """Statistics of images, by channel and with pixels in [0, 1], as LeRobot keeps them: (C, 1, 1) each.

    Args:
        histogram: (C, 256), how often each value of uint8 occurred.
        frames: Number of images, which becomes ``count``.
    """
    levels = np.arange(256) / 255.0
    total = histogram.sum(1)
    mean = histogram @ levels / total
    below = np.cumsum(histogram, axis=1)
    stats: Statistics = {
        "min": levels[(histogram > 0).argmax(1)],
        "max": levels[255 - (histogram[:, ::-1] > 0).argmax(1)],
        "mean": mean,
        "std": np.sqrt((histogram * (levels - mean[:, None]) ** 2).sum(1) / total),
    }
    for name, share in QUANTILES.items():
        stats[name] = levels[(below >= share * total[:, None]).argmax(1)]
    stats = {name: value.reshape(-1, 1, 1) for name, value in stats.items()}
    return {**stats, "count": np.array([frames], dtype=np.float64)}


def pooled(parts: Iterable[Mapping[str, Any]]) -> Statistics:
    """Statistics of several sets of rows as if they were one.

    ``min``, ``max``, ``mean``, ``std`` and ``count`` are exact. Quantiles, which quantiles do not
    decide, are the count-weighted mean, as in LeRobot; one that a part lacks is left out.
    """
    arrays = [{name: np.asarray(value, dtype=np.float64) for name, value in part.items()} for part in parts]
    counts = np.array([float(part["count"].reshape(-1)[0]) for part in arrays])
    weights = counts / counts.sum()

    def mean_of(values: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.asarray(sum(w * v for w, v in zip(weights, values, strict=True)), dtype=np.float64)

    mean = mean_of(part["mean"] for part in arrays)
    variance = mean_of(part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in arrays)
    stats = {
        "min": np.minimum.reduce([part["min"] for part in arrays]),
        "max": np.maximum.reduce([part["max"] for part in arrays]),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": np.array([counts.sum()]),
    }
    for name in QUANTILES:
        if all(name in part for part in arrays):
            stats[name] = mean_of(part[name] for part in arrays)
    return stats
