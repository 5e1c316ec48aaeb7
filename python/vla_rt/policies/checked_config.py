"""Checks that configurations share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_rt.errors import require


class CheckedConfig:
    """Checks of a dataclass's fields by name; each raises ConfigError naming field, value and bound."""

    def _require_range(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        require(least <= value <= most, name, value, f"must be {least}..{most}")

    def _require_positive(self, *names: str) -> None:
        """Whole numbers, or sequences of them, of at least 1."""
        for name in names:
            value = getattr(self, name)
            if isinstance(value, tuple):
                for i, width in enumerate(value):
                    require(width >= 1, f"{name}[{i}]", width, "must be >= 1")
            else:
                require(value >= 1, name, value, "must be >= 1")

    def _require_fraction(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            require(0.0 <= value < 1.0, name, value, "must be in [0, 1)")

    def _require_above_zero(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            require(bool(np.isfinite(value)) and value > 0.0, name, value, "must be finite and > 0")

    def _require_not_negative(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            require(bool(np.isfinite(value)) and value >= 0.0, name, value, "must be finite and >= 0")

    def _require_one_of(self, name: str, choices: Sequence[object]) -> None:
        value = getattr(self, name)
        require(value in choices, name, value, f"must be one of {', '.join(map(str, choices))}")

    def _require_multiple(self, name: str, of: str) -> None:
        value, divisor = getattr(self, name), getattr(self, of)
        require(value % divisor == 0, name, value, f"must be a multiple of {of} = {divisor}")
