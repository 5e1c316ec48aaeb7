"""What a flight came to, read off its recording, by other code than made the commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vla_rt as vr
from limits import LIMITS

PERIOD_S = 0.001
#: Rounding of positions of 1 rad in differences over one period, relative to what the limits allow.
ROUNDING = (1e-12, 1e-9, 1e-7, 1e-5)
#: How long after a fault its effect still shows, and how soon the plan must be followed again.
SHOWS_S, RECOVERY_S = 0.3, 2.5
#: Speed in units of its limit.
REST = 1e-3
OK = (0, 1)  # ok, limited
STATUSES = ("ok", "limited", "starved", "stale", "non_finite", "fault")


@dataclass(frozen=True)
class Window:
    """Around a fault: ticks by status while it shows, and whether the plan was followed again soon after."""

    statuses: dict[str, int]
    recovers: bool


@dataclass(frozen=True)
class Verdict:
    """Of one flight.

    Attributes:
        ticks: That were judged.
        breaches: Numbers beyond their limit; `worst` is {quantity: largest in units of its limit}.
        at_rest: The motion has ended.
        difference: Of the replay, None where it is bit-exact.
        windows: Around each fault.
    """

    ticks: int
    breaches: int
    worst: dict[str, float]
    at_rest: bool
    difference: object
    windows: list[Window]


def judge(path: Path, faults_ns: Sequence[tuple[int, int]] = ()) -> Verdict:
    """The recording at `path` and the part before it; `faults_ns` are begin and end of each fault."""
    parts = [p for p in (path.with_name(path.name + ".1"), path) if p.exists()]
    recordings = [vr.FlightRecording(part) for part in parts]
    columns = [recording.ticks() for recording in recordings]
    ticks = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    breaches, worst = _limits(ticks["tick"], ticks["command_position"])
    last_speed = np.abs(np.diff(ticks["command_position"][-2:], axis=0)) / PERIOD_S
    differences = [recording.replay()["difference"] for recording in recordings]
    return Verdict(
        ticks=ticks["tick"].size,
        breaches=breaches,
        worst=worst,
        at_rest=bool((last_speed < REST * np.asarray(LIMITS.max_velocity)).all()),
        difference=next((d for d in differences if d is not None), None),
        windows=[_window(ticks, *fault) for fault in faults_ns],
    )


def _limits(tick: NDArray[np.int64], position: NDArray[np.float64]) -> tuple[int, dict[str, float]]:
    """Positions, and their differences between ticks that follow each other, against the limits."""
    middle = (np.asarray(LIMITS.max_position) + LIMITS.min_position) / 2
    reach = (np.asarray(LIMITS.max_position) - LIMITS.min_position) / 2
    breaches, worst = 0, {}
    bounds = (reach, LIMITS.max_velocity, LIMITS.max_acceleration, LIMITS.max_jerk)
    for order, (name, bound) in enumerate(
        zip(("position", "velocity", "acceleration", "jerk"), bounds, strict=True)
    ):
        values = position - middle if order == 0 else np.diff(position, order, axis=0) / PERIOD_S**order
        whole = tick[order:] - tick[: tick.size - order] == order  # no record is missing in between
        share = np.abs(values[whole]) / np.asarray(bound)
        breaches += int((~(share <= 1 + ROUNDING[order])).sum())
        worst[name] = float(share.max(initial=0.0))
    return breaches, worst


def _window(ticks: dict[str, NDArray[Any]], begin_ns: int, end_ns: int) -> Window:
    time_ns, status = ticks["time_ns"], ticks["status"]
    during = status[(time_ns >= begin_ns) & (time_ns <= end_ns + SHOWS_S * 1e9)]
    after = (time_ns >= end_ns) & (time_ns <= end_ns + RECOVERY_S * 1e9)
    follows = np.isin(status, OK) & (ticks["follows_plan"] != 0)
    return Window(
        statuses={name: int((during == code).sum()) for code, name in enumerate(STATUSES)},
        recovers=bool(follows[after].any()),
    )
