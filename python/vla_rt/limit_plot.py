"""The picture of a run against its limits (matplotlib, loaded on first use)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt import _drawing as drawing
from vla_rt._core import JointLimits
from vla_rt.config_file import LIMIT_FIELDS
from vla_rt.control_loop import RunReport
from vla_rt.errors import ConfigError, error, require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["limits"]

_Array = NDArray[np.float64]
_ROWS = (
    ("position", "Position", "of the range"),
    ("velocity", "Velocity", "of its limit"),
    ("acceleration", "Acceleration", "of its limit"),
    ("jerk", "Jerk, mean of a tick,", "of its limit"),
)


def limits(
    report: RunReport | Mapping[str, Any],
    path: str | Path | None = None,
    *,
    limits: JointLimits | None = None,
    period_s: float = 0.001,
) -> Figure:
    """Draws commands against their limits: position, velocity, acceleration and jerk of every joint.

    Args:
        report: Of `ControlLoop.run`, or the dictionary of `ConstraintEnforcer.run`.
        path: The picture, if it is to be written; its ending chooses the format.
        limits: Of the joints; needed with a dictionary, a report has its own.
        period_s: Time between the rows of a dictionary [s].

    Returns:
        The matplotlib figure.

    Raises:
        ConfigError: Nothing to draw, limits missing or of another number of joints, matplotlib not installed,
            or a path that cannot be written.
    """
    if isinstance(report, RunReport):
        time_s, motion, limited = _of_report(report)
        bounds = report.limits if limits is None else _bounds(limits)
    else:
        require(isinstance(report, Mapping), "report", type(report).__name__, "must be a RunReport or a dict")
        require(limits is not None, "limits", "None", "must be given with a dict")
        assert limits is not None
        time_s, motion, limited = _of_run(report, period_s)
        bounds = _bounds(limits)
    rows, joints = motion["position"].shape
    require(rows > 0, "report", "no rows", "must hold ticks: a run with trace_s > 0")
    found = len(bounds["max_velocity"])
    require(found == joints, "limits", f"{found} joints", f"must be of the {joints} joints of the report")
    counts = report.limited_ticks if isinstance(report, RunReport) else None
    with drawing.style():
        page = drawing.figure(10.0, 9.0 if counts else 7.6)
        grid = page.add_gridspec(5 if counts else 4, 1)
        all_axes = [page.add_subplot(grid[k]) for k in range(4)]
        for axes, (name, title, unit) in zip(all_axes, _ROWS, strict=True):
            shares = _shares(name, motion[name], bounds)
            _draw(axes, time_s, shares, limited, f"{title} as a share {unit}: at most {_most(shares)}")
            axes.sharex(all_axes[0])
            axes.tick_params(labelbottom=axes is all_axes[-1])
        if "target" in motion:
            _draw_wish(all_axes[0], time_s, _shares("position", motion["target"], bounds))
        all_axes[-1].set_xlabel("time [s]")
        handles, labels = all_axes[0].get_legend_handles_labels()
        page.legend(handles, labels, loc="outside lower left", ncols=8, fontsize=8, handlelength=1.4)
        if counts:
            _draw_counts(page.add_subplot(grid[4]), counts, len(time_s))
        if path is not None:
            drawing.save(page, Path(path))
    figure: Figure = page
    return figure


def _of_report(report: RunReport) -> tuple[_Array, dict[str, _Array], NDArray[np.bool_]]:
    trace = report.trace
    time_s = np.asarray(trace["time_s"], np.float64)
    motion = {name: np.asarray(trace[f"command_{name}"]) for name, _, _ in _ROWS[:3]}
    motion["target"] = np.asarray(trace["target"])
    motion["jerk"] = np.zeros_like(motion["acceleration"])
    if len(time_s) > 1:  # by nominal time, as the commands advance; rows that were lost leave a gap
        period_s = float(np.median(np.diff(time_s)))
        steps = np.maximum(np.rint(np.diff(time_s) / period_s), 1.0)[:, None]
        motion["jerk"][1:] = np.diff(motion["acceleration"], axis=0) / (steps * period_s)
    return time_s - (time_s[0] if len(time_s) else 0.0), motion, np.asarray(trace["status"]) == 1


def _of_run(run: Mapping[str, Any], period_s: float) -> tuple[_Array, dict[str, _Array], NDArray[np.bool_]]:
    motion = {}
    for name, _, _ in _ROWS:
        require(name in run, f"report[{name!r}]", "", "is missing")
        motion[name] = np.asarray(run[name], np.float64)
        require(motion[name].ndim == 2, f"report[{name!r}]", motion[name].shape, "must have shape (n, N)")
    rows = len(motion["position"])
    limited: NDArray[np.bool_] = np.asarray(run.get("limited", np.zeros(rows)), bool)
    if len(limited) and rows % len(limited) == 0:
        limited = np.repeat(limited, rows // len(limited))
    require(len(limited) == rows, "report['limited']", len(limited), f"must have {rows} rows")
    time_s = np.asarray(np.arange(1, rows + 1) * period_s, np.float64)
    return time_s, motion, limited


def _bounds(limits: JointLimits) -> dict[str, _Array]:
    if not isinstance(limits, JointLimits):
        raise error(ConfigError, "limits", type(limits).__name__, "must be a JointLimits")
    return {name: np.asarray(getattr(limits, name)) for name in LIMIT_FIELDS}


def _shares(name: str, values: _Array, bounds: Mapping[str, _Array]) -> _Array:
    if name != "position":
        return np.asarray(values / bounds[f"max_{name}"])
    low, high = bounds["min_position"], bounds["max_position"]
    return np.asarray((values - (high + low) / 2) / ((high - low) / 2))


def _most(shares: _Array) -> str:
    return f"{100 * float(np.max(np.abs(shares))):.1f} %"


def _draw(axes: Any, time_s: _Array, shares: _Array, limited: NDArray[np.bool_], title: str) -> None:
    for joint in range(shares.shape[1]):
        color = drawing.JOINTS[joint % len(drawing.JOINTS)]
        drawn = _thinned(time_s, shares[:, joint])
        axes.plot(*drawn, color=color, linewidth=1.0, label=f"joint {joint + 1}", zorder=2)
    for level in (-1.0, 1.0):
        label = "limit" if level > 0 else None
        axes.axhline(level, color=drawing.LIMIT, linewidth=1.1, linestyle=(0, (5, 3)), zorder=3, label=label)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], limited.astype(np.int8), [0]))))
    spans = [(time_s[i], time_s[min(k, len(time_s) - 1)] - time_s[i]) for i, k in edges.reshape(-1, 2)]
    axes.broken_barh(spans, (-1.3, 0.1), color=drawing.SEAM, zorder=1, label="a wish was changed")
    axes.set(ylim=(-1.3, 1.3), yticks=(-1, 0, 1), title=title)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f} %" if value else "0")
    axes.set_xlim(0.0, max(time_s[-1], 1e-9))


def _draw_wish(axes: Any, time_s: _Array, shares: _Array) -> None:
    for joint in range(shares.shape[1]):
        color = drawing.JOINTS[joint % len(drawing.JOINTS)]
        drawn = _thinned(time_s, np.clip(shares[:, joint], -1.25, 1.25))
        axes.plot(*drawn, color=color, linewidth=0.8, linestyle=":", alpha=0.7, zorder=1)
    axes.plot([], [], color=drawing.INK, linewidth=0.8, linestyle=":", label="wish")


def _thinned(time_s: _Array, values: _Array, most: int = 2000) -> tuple[_Array, _Array]:
    """At most `2 * most` points that keep every extreme: the least and the largest of each stretch."""
    if len(values) <= 2 * most:
        return time_s, values
    edges = np.linspace(0, len(values), most + 1).astype(int)
    low = [i + int(np.argmin(values[i:k])) for i, k in itertools.pairwise(edges)]
    high = [i + int(np.argmax(values[i:k])) for i, k in itertools.pairwise(edges)]
    kept = np.sort(np.concatenate((low, high)))
    return time_s[kept], values[kept]


def _draw_counts(axes: Any, counts: Mapping[str, list[int]], ticks: int) -> None:
    left = np.zeros(len(counts))
    joints = len(next(iter(counts.values())))
    for joint in range(joints):
        part = np.array([counts[name][joint] for name in counts], np.float64)
        color = drawing.JOINTS[joint % len(drawing.JOINTS)]
        axes.barh(range(len(counts)), part, left=left, color=color, height=0.7)
        left += part
    for place, total in enumerate(left):
        axes.text(total, place, f" {total:.0f}", va="center", fontsize=7.5)
    axes.set_yticks(range(len(counts)), [name.replace("_", " ") for name in counts])
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, float(np.max(left)) * 1.08))
    axes.set_title("Ticks in which each cause changed a wish, summed over the joints; the whole run")
    axes.grid(visible=False, axis="y")
    axes.set_axisbelow(True)
