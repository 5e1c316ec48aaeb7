"""What a recorded run came to, in words: its report, and its motion in the figures of `vla-rt eval`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vla_rt._core import Status
from vla_rt.metrics import integrated_squared_jerk, path_length, rising_edges, spectral_arc_length
from vla_rt.report_page import Sections
from vla_rt.run_recording import RunRecording

__all__ = ["sections", "verdict"]

_Rows = list[tuple[str, str]]


def verdict(run: RunRecording) -> tuple[bool, str]:
    """Whether the run went well, and in a few words how."""
    report = run.report
    violations, fault = report["limit_violations"], report["fault_text"]
    words = f"{violations} limit violations in {report['ticks']} commands"
    return violations == 0 and not fault, words + (f"; ended by {fault}" if fault else "")


def sections(run: RunRecording) -> Sections:
    """Tables: (title, rows of (what, figures))."""
    return [
        ("Run", _run(run.report)),
        ("Safety", _safety(run)),
        ("Motion", _motion(run)),
        ("Policy", _policy(run.report)),
        ("Real time", _real_time(run.report)),
    ]


def _run(r: dict[str, Any]) -> _Rows:
    ended = str(r["fault_text"] or ("Ctrl-C" if r["interrupted"] else "its duration"))
    rows = [("time", f"{r['duration_s']:.2f} s, {r['ticks']} ticks"), ("ended by", ended)]
    if r.get("unrecorded"):
        rows.append(("not recorded", f"{r['unrecorded']} ticks"))
    return [*rows, ("ticks by status", ", ".join(f"{k} {v}" for k, v in r["status_counts"].items() if v))]


def _safety(run: RunRecording) -> _Rows:
    r = run.report
    shares = ", ".join(f"{k} {_percent(v)}" for k, v in r["worst_limit_ratio"].items())
    rows = [("emitted violations", str(r["limit_violations"])), ("largest share of a limit", shares)]
    changed = rising_edges(np.asarray(run.trace["status"]) == int(Status.Limited))
    minutes = max(r["duration_s"], 1e-9) / 60
    rows.append(("wishes to limit", f"{changed / minutes:.1f} a minute"))
    if run.violations:
        causes = [violation["cause"] for violation in run.violations]
        counts = {cause: causes.count(cause) for cause in sorted(set(causes))}
        rows.append(("by cause", ", ".join(f"{k} {v}" for k, v in counts.items())))
    return rows


def _motion(run: RunRecording) -> _Rows:
    """Of the emitted joints: a recording knows no tool."""
    command, time_s = run.trace["command_position"], run.trace["time_s"]
    rows = [("tracking error", f"{_number(run.report['tracking_rms'])} rad rms")]
    if len(time_s) < 4 or not np.isfinite(command).all():
        return rows
    period_s = float(np.median(np.diff(time_s)))
    seconds = len(command) * period_s
    speed = np.linalg.norm(np.diff(command, axis=0), axis=1) / period_s
    smoothness = spectral_arc_length(speed, period_s)
    jerk = integrated_squared_jerk(command, period_s) / seconds
    return [
        *rows,
        ("path", f"{path_length(command):.3f} rad, through the space of the joints"),
        ("spectral arc length", "-" if math.isnan(smoothness) else f"{smoothness:.2f} (joint speed)"),
        ("squared jerk", f"{jerk:.3g} rad²/s⁶"),
    ]


def _policy(r: dict[str, Any]) -> _Rows:
    inference, seam = r["inference"], r["seam"]
    more = ", ".join(f"{inference[name]} {name}" for name in ("failures", "refused") if name in inference)
    rows = [
        ("chunks", f"{inference['chunks']}, {more}"),
        ("inference", _quantiles(inference["latency_ms"], "ms")),
    ]
    if inference.get("delay_ms"):
        rows.append(("observation to chunk", _quantiles(inference["delay_ms"], "ms")))
    if seam["count"] is not None:
        rows.append(("seams", f"{seam['count']}; largest {_number(seam['position'])} before blending"))
    return rows


def _real_time(r: dict[str, Any]) -> _Rows:
    return [
        ("deadlines missed", str(r["deadline_misses"])),
        ("wake-up", _quantiles(r["wakeup_us"], "µs")),
        ("compute", _quantiles(r["compute_us"], "µs")),
    ]


def _percent(value: Any) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}"


def _quantiles(values: dict[str, Any], unit: str) -> str:
    return ", ".join(f"{key} {_number(value)}" for key, value in values.items()) + f" {unit}"
