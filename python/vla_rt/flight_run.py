"""A flight recording as the record of a run: the same arrays and figures, from what the file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._core import FlightFollower, Status, ViolationCounter
from vla_rt.config_file import LIMIT_FIELDS
from vla_rt.errors import ConfigError, FormatError, error
from vla_rt.run_recording import RunRecording

__all__ = ["is_flight", "load_flight"]

_MAGIC = b"VLARTFR1"
_SETTLING_TICKS = 4  # until differences of a stretch that begins in motion are its own
_RATES = ("velocity", "acceleration", "jerk")
_PICTURES_SHOWN = 6


def is_flight(path: Path) -> bool:
    """Whether a file begins as a flight recording."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def load_flight(path: Path) -> RunRecording:
    """Reads a flight recording, its chunks, seams, violations and some of its pictures.

    Executor and enforcer are run again for seams and violations.

    Raises:
        ConfigError: The file cannot be read.
        FormatError: It is no recording, or holds no tick.
    """
    try:
        path.open("rb").close()
    except OSError as cause:
        raise error(ConfigError, "recording", path, f"cannot be read: {cause.strerror}") from cause
    follower = FlightFollower(path)
    parts = []
    while True:
        part = follower.read(is_over=True)
        if part is None:
            raise error(FormatError, str(path), "", "is no recording of a run: its set-up is cut")
        parts.append(part)
        if not part["has_more"]:
            break
    ticks = {name: np.concatenate([part["ticks"][name] for part in parts]) for name in parts[0]["ticks"]}
    if not len(ticks["time_ns"]):
        raise error(FormatError, str(path), "", "is no recording of a run: it holds no tick")

    def gathered(name: str) -> list[dict[str, Any]]:
        return [entry for part in parts for entry in part[name]]

    chunks, seams, pictures = gathered("chunks"), gathered("seams"), gathered("pictures")
    limits = {name: np.asarray(getattr(follower.limits, name)) for name in LIMIT_FIELDS}
    report = {
        **_figures_of_ticks(ticks, follower),
        "inference": _figures_of_chunks(chunks),
        "seam": _figures_of_seams(seams, follower),
    }
    taken = [chunk for chunk in chunks if chunk["result"] == "accepted"]
    shown = pictures[:: max(1, -(-len(pictures) // _PICTURES_SHOWN))]
    return RunRecording(
        report=report,
        trace=_trace(ticks),
        handovers={
            "time_s": np.array([chunk["time_ns"] / 1e9 for chunk in taken]),
            "delay_s": np.array([(chunk["time_ns"] - chunk["start_time_ns"]) / 1e9 for chunk in taken]),
        },
        seams={"time_s": np.array([seam["time_ns"] / 1e9 for seam in seams])},
        limits=limits,
        joint_names=(),
        title=path.name,
        chunks=tuple(taken) if not follower.has_tool_actions else (),
        violations=tuple(gathered("violations")),
        pictures=tuple(shown),
    )


def _trace(ticks: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    columns = ("measured_position", "measured_velocity", "target", "status", "chunk_sequence")
    commands = ("command_position", "command_velocity", "command_acceleration")
    return {
        "time_s": ticks["time_ns"] / 1e9,
        "wakeup_us": ticks["wakeup_ns"] / 1e3,
        "compute_us": ticks["compute_ns"] / 1e3,
        **{name: ticks[name] for name in (*columns, *commands)},
    }


def _figures_of_ticks(ticks: dict[str, NDArray[Any]], follower: FlightFollower) -> dict[str, Any]:
    time_ns = ticks["time_ns"]
    missing = int(ticks["tick"][-1] - ticks["tick"][0]) + 1 - len(time_ns)
    periods = round((time_ns[-1] - time_ns[0]) / (follower.period_s * 1e9)) + 1
    behind = (ticks["measured_position"][1:] - ticks["command_position"][:-1])[np.diff(ticks["tick"]) == 1]
    behind = behind[np.isfinite(behind).all(axis=1)]
    last = int(ticks["status"][-1])
    return {
        "ticks": len(time_ns),
        "duration_s": (time_ns[-1] - time_ns[0]) / 1e9 + follower.period_s,
        "deadline_misses": max(0, periods - len(time_ns) - missing),
        "unrecorded": missing,
        "wakeup_us": _quantiles(ticks["wakeup_ns"] / 1e3),
        "compute_us": _quantiles(ticks["compute_ns"] / 1e3),
        "fault_text": "a fault" if last == int(Status.Fault) else None,
        "interrupted": False,
        "status_counts": {
            str(status).rsplit(".", 1)[-1].lower(): int((ticks["status"] == int(status)).sum())
            for status in Status.__members__.values()
        },
        "tracking_rms": float(np.sqrt((behind**2).mean())) if behind.size else None,
        **_judged(ticks, follower),
    }


def _judged(ticks: dict[str, NDArray[Any]], follower: FlightFollower) -> dict[str, Any]:
    """The emitted positions against the limits, stretch by stretch where ticks are missing."""
    total, worst = 0, [0.0] * len(_RATES)
    edges = np.flatnonzero(np.diff(ticks["tick"]) != 1) + 1
    for k, stretch in enumerate(np.split(ticks["command_position"], edges)):
        counter = ViolationCounter(follower.limits, follower.period_s)
        counter.reset(stretch[0])
        counter.add(stretch[:_SETTLING_TICKS])
        if k > 0 or ticks["tick"][0] != 0:  # it begins in motion
            counter.forgive()
        counter.add(stretch[_SETTLING_TICKS:])
        total += counter.total
        worst = [max(ratio, counter.worst_ratio(order)) for order, ratio in enumerate(worst, 1)]
    return {"limit_violations": total, "worst_limit_ratio": dict(zip(_RATES, worst, strict=True))}


def _figures_of_chunks(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    accepted = [chunk for chunk in chunks if chunk["result"] == "accepted"]
    delay = [(chunk["time_ns"] - chunk["start_time_ns"]) / 1e6 for chunk in accepted]
    return {
        "chunks": len(accepted),
        "refused": len(chunks) - len(accepted),
        "latency_ms": _quantiles([chunk["inference_ns"] / 1e6 for chunk in chunks]),
        "delay_ms": _quantiles(delay),
    }


def _figures_of_seams(seams: list[dict[str, Any]], follower: FlightFollower) -> dict[str, Any]:
    if follower.has_tool_actions:
        return {"count": None, "position": None}
    largest = max((float(np.abs(seam["position"]).max()) for seam in seams), default=0.0)
    return {"count": len(seams), "position": largest}


def _quantiles(values: Any) -> dict[str, float | None]:
    array = np.asarray(values, dtype=np.float64)
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    if not array.size:
        return dict.fromkeys(shares)
    return {name: float(np.quantile(array, share, method="inverted_cdf")) for name, share in shares.items()}
