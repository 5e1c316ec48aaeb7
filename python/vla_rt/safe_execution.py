"""Single actions through the runtime's executor and filter, with an answer to each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt._core import ChunkExecutor, ConfigError, ConstraintEnforcer
from vla_rt.errors import require

__all__ = ["ActionFeedback", "SafeExecution"]

_Array = NDArray[np.float64]
_ROWS = 32  # of the chunk that leads to an action, after the one for now
#: Takes a command: positions and velocities (N,).
Send = Callable[[_Array, _Array], object]


@dataclass(frozen=True)
class ActionFeedback:
    """What became of an action.

    Attributes:
        verdict: ``executed``: as it was asked for. ``modified``: a limit changed the motion or its end.
            ``refused``: it is no action, and the robot stays where it is.
        wanted: Joint positions that were asked for (N,), as given; None where they were no numbers.
        reached: Joint positions commanded at the end (N,) [rad].
        deviation: Largest distance of a joint's command from what was asked for at the end [rad]; NaN when
            refused.
        causes: What changed the motion: position, velocity, acceleration, jerk, workspace, collision.
        clearance_m: Least distance from the end to a wall or an obstacle [m]; inf without any.
        message: All this in one sentence.
    """

    verdict: Literal["executed", "modified", "refused"]
    wanted: _Array | None
    reached: _Array
    deviation: float
    causes: tuple[str, ...]
    clearance_m: float
    message: str


class SafeExecution:
    """Executes one action after the other: the joint positions to be at after a given time.

    Each goes through a `ChunkExecutor` (a minimum-jerk motion from where the command is) and a
    `ConstraintEnforcer` (within every limit), as in a `ControlLoop`, tick by tick; after it the command comes
    to rest. It keeps no time: ``send`` may wait for the clock, or step a simulation.

    Args:
        enforcer: With limits, and walls and obstacles where there are any.
        period_s: Of its ticks [s].
        position: Where the robot stands at rest (N,) [rad].
        send: Given each command: position and velocity (N,).
        tolerance: An action counts as executed when every joint comes as near to it as this [rad].

    Raises:
        ConfigError: The robot stands outside the limits, or an argument is out of its bounds.
    """

    def __init__(
        self,
        enforcer: ConstraintEnforcer,
        period_s: float,
        position: ArrayLike,
        send: Send = lambda position, velocity: None,
        tolerance: float = 1e-3,
    ) -> None:
        require(tolerance > 0, "tolerance", tolerance, "must be > 0")
        self._enforcer, self._period_s, self._send, self._tolerance = enforcer, period_s, send, tolerance
        self._position: _Array = np.array(position, dtype=np.float64)
        enforcer.reset(self._position)

    @property
    def position(self) -> _Array:
        """The command (N,) [rad]."""
        return self._position.copy()

    def execute(self, action: ArrayLike, duration_s: float = 1.0, settle_s: float = 1.0) -> ActionFeedback:
        """Executes one action and answers what became of it.

        Args:
            action: Joint positions (N,) [rad].
            duration_s: When to be there, from now [s].
            settle_s: How long to wait after that for the command to be there, at most [s].

        Raises:
            ConfigError: A time is not > 0; whatever is wrong with the action is an answer, not an error.
        """
        require(duration_s > 0, "duration_s", duration_s, "must be > 0")
        require(settle_s >= 0, "settle_s", settle_s, "must be >= 0")
        begin = self._position.copy()
        executor = ChunkExecutor(len(begin), duration_s / _ROWS, interpolation="quintic", blend_s=0.0)
        executor.reset(begin)
        try:
            wanted = np.asarray(action, dtype=np.float64)
            require(wanted.shape == begin.shape, "action.shape", wanted.shape, f"must be {begin.shape}")
            s = np.linspace(0.0, 1.0, _ROWS + 1)[:, None]
            with np.errstate(invalid="ignore"):  # infinity is the executor's to refuse
                executor.push(begin + s**3 * (10.0 - 15.0 * s + 6.0 * s**2) * (wanted - begin), 0.0)
        except (ConfigError, TypeError, ValueError) as cause:
            message = f"refused: {' '.join(str(cause).split())}"
            return ActionFeedback("refused", None, begin, float("nan"), (), self._clearance, message)
        causes: set[str] = set()
        moving = round(duration_s / self._period_s)
        for tick in range(1, moving + round(settle_s / self._period_s) + 1):
            target, velocity, _ = executor.at(min(tick * self._period_s, duration_s))
            if tick >= moving:
                target, velocity = wanted, np.zeros_like(wanted)
            command, report = self._enforcer.apply(target, velocity)
            causes |= set(report.limited)
            at_rest = tick > moving and bool(np.abs(command - self._position).max() < 1e-9)
            self._position, self._report = command, report
            self._send(command, self._enforcer.velocity)
            if at_rest:
                break
        deviation = float(np.abs(self._position - wanted).max())
        done = deviation <= self._tolerance and not causes
        how = "executed" if done else f"modified by {', '.join(sorted(causes)) or 'lack of time'}"
        message = f"{how}: ends {deviation:.3g} rad from what was asked for"
        verdict: Literal["executed", "modified"] = "executed" if done else "modified"
        return ActionFeedback(
            verdict, wanted, self._position.copy(), deviation, tuple(sorted(causes)), self._clearance, message
        )

    @property
    def _clearance(self) -> float:
        report = getattr(self, "_report", None)
        if report is None:
            return float("inf")
        distances = report.distance_to_limit
        return float(min(np.min(distances[name]) for name in ("workspace", "collision")))
