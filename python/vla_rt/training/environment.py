"""What policies act in when they learn by acting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray


class Environment(Protocol):
    """A task in steps of one action; the same seed and actions give the same episode."""

    def reset(self, seed: int, /) -> Mapping[str, NDArray[Any]]:
        """Begins an episode and returns its first observation, raw features by name."""

    def step(self, action: NDArray[Any], /) -> tuple[Mapping[str, NDArray[Any]], float, bool]:
        """Does one raw action (D,); returns the next observation, the reward, and whether it was the last."""
