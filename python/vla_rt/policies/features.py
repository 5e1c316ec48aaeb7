"""What a policy sees: named features, checked once where raw data enters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import ConfigError, error, require


class FeatureSpec(NamedTuple):
    """One observation feature; equal to the plain tuple ``(name, shape, dtype)``."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """Number of values, batch left out."""
        return math.prod(self.shape)


def feature_specs(features: Any, field: str = "observation") -> tuple[FeatureSpec, ...]:
    """Reads features given as ``FeatureSpec`` or as plain ``(name, shape[, dtype])`` sequences.

    Raises:
        ConfigError: A feature is malformed, nameless, repeated, empty or not float32; the field and its
            index are named.
    """
    specs: list[FeatureSpec] = []
    for i, feature in enumerate(features):
        at = f"{field}[{i}]"
        try:
            name, shape, *rest = feature
            spec = FeatureSpec(str(name), tuple(int(n) for n in shape), str(rest[0]) if rest else "float32")
        except (TypeError, ValueError):
            raise error(ConfigError, at, feature, "must be (name, shape, dtype)") from None
        require(bool(spec.name), f"{at}.name", "''", "must not be empty")
        require(all(spec.name != s.name for s in specs), f"{at}.name", spec.name, "must be unique")
        require(
            bool(spec.shape) and all(n > 0 for n in spec.shape), f"{at}.shape", spec.shape, "needs sizes > 0"
        )
        require(spec.dtype == "float32", f"{at}.dtype", spec.dtype, "this policy reads float32 features")
        specs.append(spec)
    require(bool(specs), field, "()", "needs at least one feature")
    return tuple(specs)


def observation_arrays(
    observation: Mapping[str, Any], specs: tuple[FeatureSpec, ...]
) -> list[NDArray[np.float32]]:
    """Picks one unbatched observation's features in the order of ``specs``, as float32.

    Raises:
        ConfigError: A feature is missing, has another shape, or holds NaN or Inf.
    """
    arrays: list[NDArray[np.float32]] = []
    for spec in specs:
        if spec.name not in observation:
            raise error(ConfigError, spec.name, "missing", f"the observation has {sorted(observation)}")
        array = np.asarray(observation[spec.name], dtype=np.float32)
        require(array.shape == spec.shape, spec.name, f"shape {array.shape}", f"must have shape {spec.shape}")
        bad = np.flatnonzero(~np.isfinite(array))
        if bad.size:
            raise error(ConfigError, f"{spec.name}[{bad[0]}]", array.flat[bad[0]], "must be finite")
        arrays.append(array)
    return arrays
