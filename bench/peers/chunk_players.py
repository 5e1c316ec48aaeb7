"""How other projects turn chunks into commands, from their published behaviour.

Every player is asked for a position at each tick of 1 ms. Those that infer when they run dry (`Blocking`) get
a policy to call; the others are told when a chunk is asked for and when it arrives.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Array = NDArray[np.float64]


class Blocking:
    """One action per policy period from a queue; inference when it is empty, and nothing moves meanwhile.

    LeRobot's `select_action` (queue of `n_action_steps`) and openpi's `ActionChunkBroker` (`action_horizon`)
    alike.
    """

    def __init__(
        self, period_s: float, rows: int, policy: Callable[[float], Array], latency_s: Callable[[], float]
    ) -> None:
        self.period_s, self.rows, self.policy, self.latency_s = period_s, rows, policy, latency_s
        self.queue: list[Array] = []
        self.ready_s = self.next_s = -np.inf
        self.last: Array | None = None

    def at(self, now: float) -> Array | None:
        """The position (D,) at a tick; None before the first chunk."""
        if now < max(self.ready_s, self.next_s) - 1e-9:
            return self.last
        if not self.queue:
            self.queue = list(self.policy(now)[: self.rows])
            self.ready_s = now + self.latency_s()
            if self.ready_s > now:
                return self.last
        self.last = self.queue.pop(0)
        self.next_s = now + self.period_s
        return self.last


class Aggregating:
    """LeRobot's asynchronous client: a queue by step number, overlapping steps aggregated.

    Steps count the actions that were executed, not the time; a chunk is numbered from the step at which its
    observation was taken. Steps already executed are dropped, the rest is `aggregate(old, new)`.
    """

    def __init__(self, period_s: float, aggregate: Callable[[Array, Array], Array]) -> None:
        self.period_s, self.aggregate = period_s, aggregate
        self.queue: dict[int, Array] = {}
        self.step, self.next_s = 0, -np.inf
        self.asked: dict[float, int] = {}
        self.last: Array | None = None

    def ask(self, now: float) -> None:
        """An observation is taken."""
        self.asked[now] = self.step

    def push(self, now: float, start_s: float, rows: Array) -> None:
        """The chunk (T, D) of the observation at `start_s` arrives."""
        first = self.asked.pop(start_s)
        for step, row in enumerate(rows, start=first):
            if step >= self.step:
                old = self.queue.get(step)
                self.queue[step] = row if old is None else self.aggregate(old, row)

    def at(self, now: float) -> Array | None:
        """The position (D,) at a tick; None before the first chunk."""
        if self.queue and now >= self.next_s - 1e-9:
            step = min(self.queue)
            self.last = self.queue.pop(step)
            self.step, self.next_s = step + 1, now + self.period_s
        return self.last


class Replacing:
    """LeRobot's RTC queue: a new chunk replaces the old one, less the rows that its delay has cost.

    The delay is the latency in rows, rounded up; one row per policy period, held until the next.
    """

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.queue: list[Array] = []
        self.next_s = -np.inf
        self.last: Array | None = None

    def ask(self, now: float) -> None:
        """An observation is taken."""

    def push(self, now: float, start_s: float, rows: Array) -> None:
        """The chunk (T, D) of the observation at `start_s` arrives."""
        self.queue = list(rows[int(np.ceil((now - start_s) / self.period_s - 1e-9)) :])

    def at(self, now: float) -> Array | None:
        """The position (D,) at a tick; None before the first chunk."""
        if self.queue and now >= self.next_s - 1e-9:
            self.last = self.queue.pop(0)
            self.next_s = now + self.period_s
        return self.last


class SplinePerChunk:
    """joint_trajectory_controller's `positions_upsampling`: one C2 spline per chunk, at rest at its end.

    The spline starts at the position commanded at the arrival, at rest (as first published) or, with
    `keep_velocity`, at the velocity commanded there (cross-chunk continuity, added later). Points in the past
    are skipped.
    """

    def __init__(self, period_s: float, keep_velocity: bool) -> None:
        self.period_s, self.keep_velocity = period_s, keep_velocity
        self.spline: CubicSpline | None = None
        self.end_s = -np.inf

    def ask(self, now: float) -> None:
        """An observation is taken."""

    def push(self, now: float, start_s: float, rows: Array) -> None:
        """The chunk (T, D) for `start_s` arrives."""
        times = start_s + self.period_s * np.arange(len(rows))
        ahead = times > now + 1e-6
        if not ahead.any():
            return
        position, velocity = self._commanded(now, rows)
        times = np.concatenate(([now], times[ahead]))
        rest = np.zeros(rows.shape[1])
        ends = ((1, velocity if self.keep_velocity else rest), (1, rest))
        self.spline = CubicSpline(times, np.vstack((position, rows[ahead])), bc_type=ends)
        self.end_s = times[-1]

    def at(self, now: float) -> Array | None:
        """The position (D,) at a tick; None before the first chunk."""
        return None if self.spline is None else self.spline(min(now, self.end_s))

    def _commanded(self, now: float, rows: Array) -> tuple[Array, Array]:
        if self.spline is None:
            return rows[0], np.zeros(rows.shape[1])
        if now >= self.end_s:
            return self.spline(self.end_s), np.zeros(rows.shape[1])
        return self.spline(now), self.spline(now, 1)
