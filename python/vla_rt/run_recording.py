"""A run as a file (a NumPy archive): the report with its arrays, for pictures and one's own evaluation."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._files import write_whole
from vla_rt.errors import ConfigError, FormatError, error

if TYPE_CHECKING:
    from vla_rt.control_loop import RunReport

__all__ = ["RunRecording", "load_run", "save_run"]

_GROUPS = ("trace", "handovers", "seams", "limits")
_MOTION = ("measured_position", "command_position", "command_velocity", "command_acceleration", "target")


@dataclass(frozen=True)
class RunRecording:
    """What `save_run` keeps, or what `vla_rt.flight_run.load_flight` makes of a flight recording.

    Attributes:
        report: `RunReport.to_dict()`, or as much of it as a flight recording tells.
        trace: Arrays of `RunReport.trace`, and so on.
        handovers: Of the chunks.
        seams: Between them.
        limits: Of the joints.
        joint_names: In the order of the limits.
        title: What ran.
        chunks: As `FlightRecording` has them; of flight recordings alone, as all that follows.
        violations: Wishes that were not granted, as `FlightFollower` tells them.
        pictures: A few of those that the policy saw.
    """

    report: dict[str, Any]
    trace: dict[str, NDArray[Any]]
    handovers: dict[str, NDArray[Any]]
    seams: dict[str, NDArray[Any]]
    limits: dict[str, NDArray[Any]]
    joint_names: tuple[str, ...]
    title: str
    chunks: tuple[dict[str, Any], ...] = ()
    violations: tuple[dict[str, Any], ...] = ()
    pictures: tuple[dict[str, Any], ...] = ()


def save_run(report: RunReport, path: str | Path, joint_names: tuple[str, ...] = (), title: str = "") -> None:
    """Writes a run as a compressed .npz file, whole or not at all.

    Raises:
        ConfigError: The file cannot be written.
    """
    from vla_rt.cli.result import plain

    about = {"report": plain(report.to_dict()), "joint_names": list(joint_names), "title": title}
    arrays = {f"{group}/{name}": value for group in _GROUPS for name, value in getattr(report, group).items()}
    text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)

    def write(file: Path) -> None:
        with file.open("wb") as stream:
            np.savez_compressed(stream, about=text, **arrays)

    try:
        write_whole(Path(path), write)
    except OSError as cause:
        raise error(ConfigError, "recording", path, f"cannot be written ({cause.strerror})") from cause


def load_run(path: str | Path) -> RunRecording:
    """Reads what `save_run` wrote; nothing in it is run.

    Raises:
        FormatError: No such file, or it is damaged or no recording of a run.
    """
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(arrays.pop("about").tobytes().decode())
        groups: dict[str, dict[str, NDArray[Any]]] = {group: {} for group in _GROUPS}
        for name, value in arrays.items():
            group, _, key = name.partition("/")
            groups[group][key] = value
        found = RunRecording(
            dict(about["report"]),
            groups["trace"],
            groups["handovers"],
            groups["seams"],
            groups["limits"],
            joint_names=tuple(about["joint_names"]),
            title=str(about["title"]),
        )
        _check(found)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as cause:
        reason = " ".join(str(cause).split())[:120] or type(cause).__name__
        raise error(FormatError, str(path), "", f"is no recording of a run: {reason}") from cause
    return found


def _check(run: RunRecording) -> None:
    joints = len(run.limits["max_velocity"])
    ticks = len(run.trace["time_s"])
    for name in _MOTION:
        if run.trace[name].shape != (ticks, joints):
            raise ValueError(f"trace/{name} has shape {run.trace[name].shape}, not {(ticks, joints)}")
    for name in ("min_position", "max_position", "max_acceleration", "max_jerk"):
        if run.limits[name].shape != (joints,):
            raise ValueError(f"limits/{name} has shape {run.limits[name].shape}")
    for name in ("delay_s", "remaining_s"):
        if run.handovers[name].shape != run.handovers["time_s"].shape:
            raise ValueError(f"handovers/{name} has another length than handovers/time_s")
