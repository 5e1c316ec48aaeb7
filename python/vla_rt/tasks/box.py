"""Boxes in which things appear."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vla_rt.errors import require


def require_box(lower: Sequence[float], upper: Sequence[float], size: int) -> None:
    """Raises ConfigError unless these are the corners of a box of ``size`` dimensions."""
    for name, corner in (("lower", lower), ("upper", upper)):
        require(len(corner) == size, name, corner, f"must hold {size} numbers")
        for i, value in enumerate(corner):
            require(math.isfinite(value), f"{name}[{i}]", value, "must be finite")
    for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
        require(low < high, f"upper[{i}]", high, f"must be > lower[{i}] = {low}")
