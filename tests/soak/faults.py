"""What goes wrong in a soak: by what it is brought about, and what shows that it really happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Report = dict[str, Any]
Statuses = dict[str, int]
Evidence = Callable[[Report, Statuses], bool]


@dataclass(frozen=True)
class Fault:
    """A passing one: the run goes on, and follows its plan again afterwards.

    Attributes:
        where: "policy", "peer" or "machine": who brings it about.
        seconds: How long it lasts.
        seen: What the flight's report, and its ticks by status at that time, must show of it.
        answers: How many of the policy's are spoiled.
    """

    where: str
    seconds: float
    seen: Evidence
    answers: int = 1


@dataclass(frozen=True)
class End:
    """One that a run does not survive: the certified stop, and the report says why."""

    where: str
    faults: tuple[str | None, ...]


def _told(_: Report, __: Statuses) -> bool:
    return True  # who brings it about measures it


def _policy(kind: str, counted: str = "", status: str = "") -> tuple[str, float, Evidence]:
    """Given by the policy, counted by the worker, seen by the tick."""

    def seen(report: Report, statuses: Statuses) -> bool:
        return bool(
            report["spoiled"].get(kind)
            and (not counted or report["inference"][counted])
            and (not status or statuses[status])
        )

    return "policy", 1.4 if status == "starved" else 0.3, seen


def _peer(seconds: float, status: str, refused: bool) -> Fault:
    """Refused by the robot, seen by the tick."""
    return Fault("peer", seconds, lambda r, s: s[status] > 0 and (not refused or r["refused_states"] > 0))


PASSING: dict[str, Fault] = {
    "late_chunk": Fault(*_policy("late_chunk", status="starved")),
    "early_chunk": Fault(*_policy("early_chunk"), answers=5),
    "nan_chunk": Fault(*_policy("nan_chunk", "refused", "non_finite")),
    "wild_chunk": Fault("policy", 1.5, lambda r, _: sum(r["limited_ticks"]["position"]) > 0, answers=15),
    "shape_chunk": Fault(*_policy("shape_chunk", "refused")),
    "crash_worker": Fault(*_policy("crash_worker", "failures")),
    "exit_worker": Fault(*_policy("exit_worker", "failures")),
    "no_memory_worker": Fault(*_policy("no_memory_worker", "failures")),
    "peer_clock_back": _peer(0.4, "stale", refused=True),
    "peer_clock_ahead": Fault("peer", 0.2, lambda r, _: r["refused_states"] > 0),
    "peer_freezes": _peer(0.4, "stale", refused=False),
    "peer_writes_torn": _peer(0.4, "stale", refused=True),
    "peer_measures_nan": _peer(0.2, "non_finite", refused=False),
    "wall_clock_step": Fault("machine", 0.3, _told),
    "cpu_load": Fault("machine", 1.0, _told),
    "memory_pressure": Fault("machine", 0.5, _told),
    "disk_full": Fault("machine", 0.7, lambda r, _: r["unrecorded"] > 0),
}
ENDS: dict[str, End] = {
    "duration": End("pilot", (None,)),
    "worker_gone": End("pilot", ("watchdog",)),
    "peer_dies": End("peer", ("driver_error",)),
    "peer_babbles": End("peer", ("driver_error", "following_error")),
    "peer_fails": End("peer", ("driver_error",)),
    "peer_slips": End("peer", ("following_error",)),
    "controller_dies": End("pilot", ()),
}
