"""Statistics of one feature as module buffers: saved, moved and exported with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

import vla_rt
from vla_rt.errors import ConfigError, error, require

NormalizationMode = Literal["identity", "mean_std", "min_max", "quantiles", "quantile10"]
NORMALIZATION_MODES: tuple[str, ...] = get_args(NormalizationMode)

_STATISTICS: dict[str, tuple[str, str]] = {
    "mean_std": ("mean", "std"),
    "min_max": ("min", "max"),
    "quantiles": ("q01", "q99"),
    "quantile10": ("q10", "q90"),
}
_EPSILON = 1e-8


class FeatureNormalizer(nn.Module):
    """LeRobot's normalisation of one feature, in torch for training; ``normalizer`` is the same thing in C++.

    ``mean_std`` gives (x-mean)/(std+1e-8) and back x*std+mean; the others map their two bounds to -1 and 1,
    with the denominator 1e-8 where the bounds are equal. Nothing is clipped. Until ``fit`` is called it
    changes nothing.

    Args:
        size: Number of values of the feature; it is flattened row-major.
        mode: Which statistics are used.
    """

    first: Tensor
    second: Tensor
    fitted: Tensor

    def __init__(self, size: int, mode: NormalizationMode = "mean_std") -> None:
        super().__init__()
        require(mode in NORMALIZATION_MODES, "mode", mode, f"must be one of {', '.join(NORMALIZATION_MODES)}")
        self.mode = mode
        self.register_buffer("first", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("second", torch.ones(size, dtype=torch.float64))
        self.register_buffer("fitted", torch.tensor(False))

    @property
    def is_fitted(self) -> bool:
        """Whether statistics are known (an ``identity`` normaliser needs none)."""
        return self.mode == "identity" or bool(self.fitted)

    def fit(self, stats: Mapping[str, Any], name: str = "stats", unchanged: tuple[int, ...] = ()) -> None:
        """Takes the statistics that the mode needs.

        Args:
            stats: ``mean``, ``std``, ``min``, ``max``, ``q01``, ... of the feature, each with ``size``
                values.
            name: How errors call the feature.
            unchanged: Values that are left as they are.

        Raises:
            ConfigError: A statistic is missing, has another size, is not finite, or the two contradict each
                other.
        """
        if self.mode == "identity":
            return
        values = []
        for key in _STATISTICS[self.mode]:
            if key not in stats:
                raise error(ConfigError, f"{name}.{key}", "missing", f"normalisation {self.mode} needs it")
            array = np.array(stats[key], dtype=np.float64).reshape(-1)
            require(
                array.size == self.first.numel(),
                f"{name}.{key}",
                f"{array.size} values",
                f"needs {self.first.numel()}",
            )
            bad = np.flatnonzero(~np.isfinite(array))
            if bad.size:
                raise error(ConfigError, f"{name}.{key}[{bad[0]}]", array[bad[0]], "must be finite")
            values.append(array)
        first, second = values
        wrong = np.flatnonzero(second < (0.0 if self.mode == "mean_std" else first))
        if wrong.size:
            i = int(wrong[0])
            key = _STATISTICS[self.mode][1]
            bound = (
                "must be >= 0"
                if self.mode == "mean_std"
                else f"must be >= {_STATISTICS[self.mode][0]} = {first[i]}"
            )
            raise error(ConfigError, f"{name}.{key}[{i}]", second[i], bound)
        for i in unchanged:  # statistics under which a value is itself
            first[i], second[i] = (0.0, 1.0) if self.mode == "mean_std" else (-1.0, 1.0)
        self.first.copy_(torch.from_numpy(first))
        self.second.copy_(torch.from_numpy(second))
        self.fitted.fill_(True)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises raw ``x`` (..., size) of any float type; the result is float32."""
        if self.mode == "identity" or not self.fitted:
            return x.float()
        if self.mode == "mean_std":
            return ((x - self.first) / (self.second + _EPSILON)).float()
        return (2.0 * (x - self.first) / self._span() - 1.0).float()

    def inverse(self, x: Tensor) -> Tensor:
        """Raw values (..., size) in float64 of normalised ``x``."""
        if self.mode == "identity" or not self.fitted:
            return x.double()
        if self.mode == "mean_std":
            return x * self.second + self.first
        return (x.double() + 1.0) / 2.0 * self._span() + self.first

    @property
    def normalizer(self) -> vla_rt.Normalizer:
        """The C++ normaliser with the same statistics; ``identity`` until ``fit`` was called."""
        if self.mode == "identity" or not self.fitted:
            return vla_rt.Normalizer("identity")
        first, second = (t.cpu().numpy() for t in (self.first, self.second))
        names = _STATISTICS[self.mode]
        statistics: dict[str, Any] = {names[0]: first, names[1]: second}
        return vla_rt.Normalizer(self.mode, **statistics)

    def _span(self) -> Tensor:
        span = self.second - self.first
        return torch.where(span == 0.0, torch.full_like(span, _EPSILON), span)
