"""Other limiters, written from their published formulas, all with one interface.

They are here to be measured, not to be used. Each works on M independent joints at once and makes one command
per tick: `Limiter(limits, period_s, start)`, `step(target) -> command`, arrays of shape (M,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """Limits of one joint [rad], symmetric about zero."""

    position: float = 2.7
    velocity: float = 2.62
    acceleration: float = 10.0
    jerk: float = 5000.0


class Limiter(Protocol):
    """One command per tick from one target per tick."""

    def step(self, target: Array) -> Array:
        """The next command (M,) for the targets (M,)."""
        ...
