"""What scripted experts share: a joint reference that follows a wished velocity smoothly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Array = NDArray[np.float64]


class ScriptedExpert(ABC):
    """Moves a reference: its velocity follows a wish, with a time constant and within acceleration limits.

    What it does next depends on what it has seen last and on the reference alone: nothing is remembered, so
    that a policy which sees the same can learn it.

    Args:
        position: Reference to begin with (N,) [rad] or [m].
        time_constant_s: With which the reference's velocity follows the wish [s].
        max_velocity: (N,) [rad/s] or [m/s].
        max_acceleration: (N,) [rad/s^2] or [m/s^2].
    """

    def __init__(
        self, position: _Array, time_constant_s: float, max_velocity: _Array, max_acceleration: _Array
    ) -> None:
        self._time_constant = time_constant_s
        self._max_velocity, self._max_acceleration = max_velocity, max_acceleration
        self.position: _Array = position  #: reference (N,)
        self.velocity: _Array = np.zeros(len(position))  #: reference (N,)

    @abstractmethod
    def see(self, observation: Mapping[str, _Array]) -> None:
        """Takes what the scene shows."""

    @abstractmethod
    def _wished_velocity(self) -> _Array:
        """Of the reference (N,), before limits."""

    def reset(self, position: ArrayLike) -> None:
        """Puts the reference at rest at `position` (N,)."""
        self.position = np.array(position, dtype=np.float64)
        self.velocity = np.zeros_like(self.position)

    def advance(self, dt: float) -> None:
        """Moves `position` and `velocity` on by `dt` [s]."""
        wish = self._wish()
        change = (wish - self.velocity) * (1.0 - np.exp(-dt / self._time_constant))
        change /= max(1.0, float((np.abs(change) / (self._max_acceleration * dt)).max()))
        old = self.velocity
        self.velocity = old + change
        self.position = self.position + 0.5 * dt * (old + self.velocity)

    def plan(
        self, observation: Mapping[str, _Array], horizon: int, period_s: float, substeps: int = 5
    ) -> _Array:
        """What a policy would say that sees no velocities: a chunk (horizon, N).

        The reference from the observed joints on, as if it were under way already.

        Args:
            observation: As the task makes it.
            horizon: T, number of rows.
            period_s: Time between rows [s].
            substeps: Updates per row.
        """
        self.reset(observation["observation.state"])
        self.see(observation)
        self.velocity = self._wish()
        rows = [self.position]
        for _ in range(horizon - 1):
            for _ in range(substeps):
                self.advance(period_s / substeps)
                self._imagine()
            rows.append(self.position)
        return np.array(rows)

    def _imagine(self) -> None:  # noqa: B027
        """What is seen changes as the reference moves on, where a plan needs to know."""

    def _wish(self) -> _Array:
        wish = self._wished_velocity()
        return wish / max(1.0, float((np.abs(wish) / self._max_velocity).max()))
