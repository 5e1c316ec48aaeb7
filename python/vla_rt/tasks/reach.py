"""The task `reach`: bring the tool to one random goal after another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import require
from vla_rt.tasks.box import require_box

__all__ = ["ReachConfig", "ReachTask", "TaskStatistics", "reach_observation"]

_Array = NDArray[np.float64]


def reach_observation(position: _Array, goal: _Array, tool: _Array) -> dict[str, _Array]:
    """What a policy sees, by feature name.

    Args:
        position: Measured joint positions (N,) [rad].
        goal: (3,) [m].
        tool: (3,) [m].

    Returns:
        ``observation.state`` (N,): the joints; ``observation.environment_state`` (6,): goal, then tool.
    """
    return {
        "observation.state": np.array(position, dtype=np.float64),
        "observation.environment_state": np.concatenate([goal, tool]),
    }


@dataclass(frozen=True)
class ReachConfig:
    """Where goals appear and when one counts as reached.

    Attributes:
        lower: Lower corner of the box of goals [m], in the arm's base frame.
        upper: Upper corner [m].
        min_distance: Least distance between two goals in a row [m].
        tolerance: Distance from the tool to the goal within which it is reached [m].
        max_speed: Speed of the tool below which it is at rest [m/s].
        dwell_s: How long both must hold [s].
        timeout_s: After this long a goal counts as failed [s].
    """

    lower: tuple[float, float, float] = (0.35, -0.30, 0.20)
    upper: tuple[float, float, float] = (0.60, 0.30, 0.55)
    min_distance: float = 0.15
    tolerance: float = 0.025
    max_speed: float = 0.1
    dwell_s: float = 0.1
    timeout_s: float = 4.0

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        require_box(self.lower, self.upper, 3)
        for name in ("tolerance", "max_speed", "dwell_s", "timeout_s"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, name, value, "must be finite and > 0")
        diagonal = math.dist(self.lower, self.upper)
        require(
            0 <= self.min_distance <= diagonal / 2,
            "min_distance",
            self.min_distance,
            f"must be 0..{diagonal / 2:.3g}, half the box's diagonal",
        )
        require(
            self.dwell_s < self.timeout_s, "dwell_s", self.dwell_s, f"must be < timeout_s = {self.timeout_s}"
        )


@dataclass
class TaskStatistics:
    """What became of the goals; the one under way is not counted.

    Attributes:
        attempted: Goals reached or failed.
        reached: Goals reached in time.
        times_s: Time from a goal's appearance until it was reached, dwell included [s], one per goal reached.
        outcomes: Whether each attempted goal was reached, in order.
        failures: How often each reason ended a goal that was not reached.
    """

    attempted: int = 0
    reached: int = 0
    times_s: list[float] = field(default_factory=list)
    outcomes: list[bool] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)

    def add(self, reached: bool, time_s: float, reason: str = "timeout") -> None:
        """Counts a goal that was decided ``time_s`` after it appeared."""
        self.attempted += 1
        self.outcomes.append(reached)
        if reached:
            self.reached += 1
            self.times_s.append(time_s)
        else:
            self.failures[reason] = self.failures.get(reason, 0) + 1

    @property
    def success_rate(self) -> float:
        """Share of the attempted goals that was reached; NaN before the first."""
        return self.reached / self.attempted if self.attempted else math.nan

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; a rate or time that does not exist yet is None."""
        return {
            "attempted": self.attempted,
            "reached": self.reached,
            "success_rate": self.success_rate if self.attempted else None,
            "mean_time_s": sum(self.times_s) / len(self.times_s) if self.times_s else None,
            "failures": dict(self.failures),
        }


class ReachTask:
    """Random goals, one after the other, and the book-keeping of which were reached.

    Goals are uniform in the box. The next one appears when the tool was within the tolerance and at rest for
    the dwell, or when the timeout has passed. The sequence depends on the seed and on nothing else.

    Args:
        config: Box, tolerance, times.
        seed: Of the goals.
        accept: Refuses goals that it answers False to.

    Raises:
        ConfigError: A field of the configuration is out of its bounds.
    """

    def __init__(
        self, config: ReachConfig | None = None, seed: int = 0, accept: Callable[[_Array], bool] | None = None
    ) -> None:
        self.config = config if config is not None else ReachConfig()
        self.config.validate()
        self._random = np.random.default_rng(seed)
        self._accept = accept
        self._goal: _Array | None = None
        self.goal: _Array = self._draw()  #: (3,) [m]
        self.shown: list[tuple[float, _Array]] = []  #: time [s] and place (3,) [m] of every goal so far
        self.statistics = TaskStatistics()
        self._dwelt = 0.0
        self._last: tuple[float, float, float, float] | None = None  # time, x, y, z
        self._begin(0.0)

    def update(self, time_s: float, tool: _Array) -> bool:
        """Takes the tool's position (3,) [m] at a time [s]; True when a new goal appeared.

        Call it every few milliseconds: the tool's speed comes from two positions in a row.
        """
        config = self.config
        x, y, z = tool.tolist()
        if self._last is None:
            self.shown.clear()
            self._begin(time_s)
            self._last = (time_s, x, y, z)
            return False
        last_time, last_x, last_y, last_z = self._last
        elapsed = time_s - last_time
        if elapsed <= 0.0:
            return False
        self._last = (time_s, x, y, z)
        gx, gy, gz = self._target
        speed = math.sqrt((x - last_x) ** 2 + (y - last_y) ** 2 + (z - last_z) ** 2) / elapsed
        near = (x - gx) ** 2 + (y - gy) ** 2 + (z - gz) ** 2 <= config.tolerance**2
        if near and speed <= config.max_speed:
            self._dwelt += elapsed
        else:
            self._dwelt = 0.0
        reached = self._dwelt >= config.dwell_s - 1e-9
        if not reached and time_s - self._since < config.timeout_s:
            return False
        self.statistics.add(reached, time_s - self._since)
        self.goal = self._draw()
        self._begin(time_s)
        return True

    def _begin(self, time_s: float) -> None:
        self.shown.append((time_s, self.goal))
        self._since = time_s
        self._dwelt = 0.0
        self._target: list[float] = self.goal.tolist()

    def _draw(self) -> _Array:
        for _ in range(1000):
            goal = self._random.uniform(self.config.lower, self.config.upper)
            far = self._goal is None or float(np.linalg.norm(goal - self._goal)) >= self.config.min_distance
            if far and (self._accept is None or self._accept(goal)):
                self._goal = goal
                return goal
        require(
            False, "lower, upper", (self.config.lower, self.config.upper), "no goal of the box can be reached"
        )
        raise AssertionError
