"""Picture of an evaluation (matplotlib, loaded on first use; no display needed)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vla_rt import _drawing as drawing
from vla_rt.report_page import Sections, png_of, write_page

if TYPE_CHECKING:
    from vla_rt.tasks import EvaluationResult

__all__ = ["plot_evaluation", "write_evaluation_page"]

_REACHED, _FAILED = drawing.JOINTS[2], drawing.LIMIT


def plot_evaluation(result: EvaluationResult, path: Path, title: str, tolerance_m: float | None) -> None:
    """Draws how the goals were approached, how long it took, how fast the tool was and what inference took.

    Args:
        result: Of ``vla_rt.tasks.evaluate``.
        path: The picture; its ending chooses the format.
        title: Headline.
        tolerance_m: Within which a goal is reached [m]; None where something else decides.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with drawing.style():
        drawing.save(_drawn(result, title, tolerance_m), path)


def write_evaluation_page(
    result: EvaluationResult, path: Path, title: str, tolerance_m: float | None, tables: Sections
) -> None:
    """Writes one HTML page with the picture and tables of figures; it needs nothing else to be shown.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
    """
    violations = result.limit_violations
    words = f"{violations} limit violations, {result.task.success_rate:.0%} reached"
    with drawing.style():
        pictures = [("Ways, times, speed and latency", png_of(_drawn(result, title, tolerance_m)))]
    write_page(path, title, (violations == 0, words), tables, pictures)


def _drawn(result: EvaluationResult, title: str, tolerance_m: float | None) -> Any:
    figure = drawing.figure(12.0, 7.0)
    axes = figure.subplots(2, 3, width_ratios=(1.25, 1.0, 1.0))
    _draw_approach(axes[0, 0], result, tolerance_m)
    _draw_speed(axes[1, 0], result)
    _draw_places(axes[0, 1], result)
    _draw_times(axes[1, 1], result)
    _draw_latency(axes[0, 2], result)
    _draw_figures(axes[1, 2], result)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12.5, fontweight="bold")
    return figure


def _ways(result: EvaluationResult) -> list[tuple[bool, Any, Any]]:
    """Of each decided goal: whether it was reached, where it is, and the tool's way."""
    trace, first = result.trace, result.trace.goals[0][0]
    ways = []
    for k, reached in enumerate(result.task.outcomes):
        begin, end = (round((trace.goals[i][0] - first) / trace.look_s) for i in (k, k + 1))
        ways.append((reached, trace.goals[k][1], trace.tool[begin : end + 1]))
    return ways


def _draw_approach(axes: Any, result: EvaluationResult, tolerance_m: float | None) -> None:
    axes.set(title="Tool to goal [mm] after a goal appeared", xlabel="time [s]", yscale="log")
    for reached, goal, way in _ways(result):
        distance = 1e3 * np.linalg.norm(way - goal, axis=1)
        time_s = np.arange(len(way)) * result.trace.look_s
        axes.plot(
            time_s,
            np.maximum(distance, 0.1),
            color=_REACHED if reached else _FAILED,
            linewidth=0.8,
            alpha=0.5,
        )
    for reached, color in ((True, _REACHED), (False, _FAILED)):
        count = sum(outcome == reached for outcome in result.task.outcomes)
        axes.plot([], [], color=color, label=f"{count} {'reached' if reached else 'failed'}")
    if tolerance_m is not None:
        label = f"tolerance, {1e3 * tolerance_m:g} mm"
        axes.axhline(1e3 * tolerance_m, color=drawing.INK, linewidth=1.0, linestyle=(0, (5, 3)), label=label)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(loc="upper right", fontsize=8)


def _draw_speed(axes: Any, result: EvaluationResult) -> None:
    axes.set(title="Speed of the tool [m/s] after a goal appeared", xlabel="time [s]")
    for reached, _, way in _ways(result):
        speed = np.linalg.norm(np.diff(way, axis=0), axis=1) / result.trace.look_s
        time_s = np.arange(len(speed)) * result.trace.look_s
        axes.plot(time_s, speed, color=_REACHED if reached else _FAILED, linewidth=0.8, alpha=0.4)
    axes.set_ylim(bottom=0.0)


def _draw_places(axes: Any, result: EvaluationResult) -> None:
    axes.set(title="Goals and ways from the front [m]", xlabel="y", ylabel="z")
    for reached, goal, way in _ways(result):
        color = _REACHED if reached else _FAILED
        axes.plot(way[:, 1], way[:, 2], color=color, linewidth=0.6, alpha=0.35)
        axes.scatter(goal[1], goal[2], color=color, s=14, edgecolor="none", zorder=3)
    axes.set_aspect("equal", adjustable="datalim")


def _draw_times(axes: Any, result: EvaluationResult) -> None:
    axes.set(title="Time to reach a goal", xlabel="time [s]", ylabel="goals")
    if result.task.times_s:
        axes.hist(result.task.times_s, bins=20, color=_REACHED, alpha=0.7)


def _draw_latency(axes: Any, result: EvaluationResult) -> None:
    axes.set(title="Inference", xlabel="ms", ylabel="calls", xscale="log")
    values = np.maximum(1e3 * np.asarray(result.trace.latency_s[1:]), 1e-3)
    if len(values):
        bins = np.geomspace(values.min() * 0.95, values.max() * 1.05, 40)
        axes.hist(values, bins=bins, color=drawing.JOINTS[0], alpha=0.7)
        axes.axvline(result.inference_ms["p50"], color=drawing.INK, linewidth=1.0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw_figures(axes: Any, result: EvaluationResult) -> None:
    low, high = result.success_interval
    rate = result.task.reached / max(1, result.task.attempted)
    lines = (
        ("success", f"{100 * rate:.1f} %  ({100 * low:.1f} to {100 * high:.1f})"),
        ("path", f"{result.path_length_m:.3f} m, {result.path_ratio:.2f} of the shortest"),
        ("arc length", f"{result.spectral_arc_length:.2f} (spectral, tool)"),
        ("squared jerk", f"{result.squared_jerk:.3g} rad²/s⁶"),
        ("wishes to limit", f"{result.violation_wishes_per_min:.1f} a minute"),
        ("violations", f"{result.limit_violations} emitted"),
        ("inference", f"p50 {result.inference_ms['p50']:.2f}, p99 {result.inference_ms['p99']:.2f} ms"),
        ("simulated", f"{result.duration_s:.1f} s"),
    )
    axes.axis("off")
    for i, (name, text) in enumerate(lines):
        y = 1.0 - (i + 0.5) / len(lines)
        axes.text(0.0, y, name, transform=axes.transAxes, color="#57606a", va="center")
        axes.text(0.36, y, text, transform=axes.transAxes, va="center", fontweight="bold")
