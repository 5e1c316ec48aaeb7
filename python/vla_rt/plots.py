"""Pictures of runs and trainings (matplotlib, loaded on first use; no display needed)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._drawing import GRID, INK, JOINTS, LIMIT, SEAM, save, style
from vla_rt._drawing import figure as new_figure
from vla_rt.limit_plot import limits

if TYPE_CHECKING:
    from vla_rt.demo import DemoResult

__all__ = ["limits", "plot_run", "plot_training"]

_Array = NDArray[np.float64]


def plot_training(log: Path, path: Path) -> None:
    """Draws the loss of a training log.

    Args:
        log: The CSV file that ``vla_rt.training.train`` writes.
        path: The picture; its ending chooses the format.
    """
    from vla_rt.training.training_log import read_log

    rows = read_log(log)
    with style():
        figure = new_figure(7.0, 3.6)
        axes = figure.add_subplot()
        axes.plot([r["step"] for r in rows], [r["loss"] for r in rows], color=JOINTS[0], linewidth=1.5)
        axes.set(yscale="log", xlabel="step", ylabel="loss", title="Training loss")
        save(figure, path)


def plot_run(result: DemoResult, path: Path) -> None:
    """Draws a run: the emitted commands against their limits, the way to the goals, latencies and seams.

    Args:
        result: Of ``vla_rt.demo.run_policy``.
        path: The picture; its ending chooses the format.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    trace, limits = result.report.trace, result.limits
    time_s: _Array = (
        np.asarray(trace["time_s"]) - float(trace["time_s"][0]) if len(trace["time_s"]) else np.zeros(0)
    )
    seams = time_s[1:][np.diff(trace["chunk_sequence"].astype(np.int64)) > 0] if len(time_s) else time_s
    low, high = np.asarray(limits.min_position), np.asarray(limits.max_position)
    middle, half = (high + low) / 2, (high - low) / 2
    with style():
        figure = new_figure(13.5, 10.0)
        grid = figure.add_gridspec(5, 3, width_ratios=(1.0, 1.0, 1.05), height_ratios=(1, 1, 1, 0.8, 0.7))
        motion = [figure.add_subplot(grid[row, :2]) for row in range(5)]
        for axes in motion[1:]:
            axes.sharex(motion[0])
        signals = (
            ("Joint positions", "of the range", (trace["command_position"] - middle) / half),
            ("Joint velocities", "of the limit", trace["command_velocity"] / np.asarray(limits.max_velocity)),
            (
                "Joint accelerations",
                "of the limit",
                trace["command_acceleration"] / np.asarray(limits.max_acceleration),
            ),
        )
        for axes, (title, unit, values) in zip(motion, signals, strict=False):
            _draw_signal(axes, time_s, values, seams, f"{title} emitted, as a share {unit}")
        _draw_distance(motion[3], result, time_s, seams)
        _draw_chunks(motion[4], result)
        _draw_tool_path(figure.add_subplot(grid[:2, 2], projection="3d"), result, time_s)
        _draw_latency(figure.add_subplot(grid[2, 2]), result)
        _draw_figures(figure.add_subplot(grid[3:, 2]), result)
        figure.legend(
            *motion[0].get_legend_handles_labels(),
            loc="outside lower left",
            ncols=9,
            fontsize=8.5,
            handlelength=1.4,
        )
        figure.suptitle(_headline(result), x=0.008, ha="left", fontsize=12.5, fontweight="bold")
        save(figure, path)


def _draw_signal(axes: Any, time_s: _Array, values: _Array, seams: _Array, title: str) -> None:
    step = max(1, len(time_s) // 5000)
    axes.vlines(seams, -1.0, 1.0, color=SEAM, linewidth=0.4, alpha=0.35, zorder=1, label="chunk seam")
    for joint in range(values.shape[1] if values.ndim == 2 else 0):
        color = JOINTS[joint % len(JOINTS)]
        axes.plot(
            time_s[::step],
            values[::step, joint],
            color=color,
            linewidth=1.0,
            label=f"joint {joint + 1}",
            zorder=2,
        )
    for level in (-1.0, 1.0):
        label = "limit" if level > 0 else None
        axes.axhline(level, color=LIMIT, linewidth=1.1, linestyle=(0, (5, 3)), zorder=3, label=label)
    axes.set(ylim=(-1.18, 1.18), yticks=(-1, -0.5, 0, 0.5, 1), title=title)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f} %" if value else "0")
    axes.tick_params(labelbottom=False)
    if len(time_s):
        axes.set_xlim(0.0, time_s[-1])


def _draw_distance(axes: Any, result: DemoResult, time_s: _Array, seams: _Array) -> None:
    tool = _tool(result)
    goals = _goals_over(result, time_s)
    if len(time_s) and goals is not None:
        distance = np.linalg.norm(tool - goals, axis=1)
        axes.semilogy(time_s, np.maximum(1e3 * distance, 0.1), color=JOINTS[0], linewidth=1.2)
    for begin, _ in result.shown:
        axes.axvline(begin, color=JOINTS[2], linewidth=1.0, alpha=0.7)
    axes.axhline(1e3 * result.tolerance_m, color=JOINTS[2], linewidth=1.1, linestyle=(0, (5, 3)))
    axes.vlines(seams, 0.0, 0.03, transform=axes.get_xaxis_transform(), color=SEAM, linewidth=0.4)
    reach = f"{1e3 * result.tolerance_m:.0f} mm"
    axes.set(title=f"Tool to goal [mm]; a line for each new goal, reached within {reach}")
    axes.tick_params(labelbottom=False)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw_chunks(axes: Any, result: DemoResult) -> None:
    chunks, time_s = result.report.handovers, result.report.trace["time_s"]
    axes.set(xlabel="time [s]", title="Chunks [ms]: delay after the observation, plan left when they came")
    if not len(chunks["time_s"]) or not len(time_s):
        return
    at = chunks["time_s"] - float(time_s[0])
    parts = (
        ("remaining_s", "plan left", JOINTS[2], "o"),
        ("delay_s", "delay", JOINTS[0], "o"),
        ("expected_delay_s", "delay expected", JOINTS[1], "_"),
    )
    for name, label, color, marker in parts:
        axes.scatter(at, 1e3 * chunks[name], s=14, color=color, marker=marker, linewidth=1.0, label=label)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(bottom=0.0, top=axes.get_ylim()[1] * 8)  # room for the legend
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(loc="upper right", fontsize=8, ncols=3)


def _draw_tool_path(axes: Any, result: DemoResult, time_s: _Array) -> None:
    tool = _tool(result)
    axes.set_title("Tool path and goals [m]")
    if len(tool):
        step = max(1, len(tool) // 2000)
        axes.plot(*tool[::step].T, color=JOINTS[0], linewidth=1.2)
        axes.scatter(*tool[0], color=INK, s=16, label="start")
    goals = np.array([goal for begin, goal in result.shown if not len(time_s) or begin <= time_s[-1]])
    if len(goals):
        axes.scatter(
            *goals.T,
            color=JOINTS[2],
            s=42,
            alpha=0.55,
            edgecolor="none",
            label="goal, never seen in training",
        )
    if len(tool) or len(goals):
        axes.legend(loc="upper left", fontsize=8)
    axes.set(xlabel="x", ylabel="y", zlabel="z")
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1.0, 1.0, 1.0, 1.0))
        axis._axinfo["grid"].update(color=GRID, linewidth=0.5)
    axes.tick_params(labelsize=7, pad=0)
    axes.view_init(elev=24, azim=-128)
    axes.set_box_aspect(None, zoom=1.05)


def _draw_latency(axes: Any, result: DemoResult) -> None:
    trace = result.report.trace
    axes.set(title="Latency of the control tick", xlabel="µs", ylabel="ticks", xscale="log", yscale="log")
    parts = (("wakeup_us", "wake-up", JOINTS[0]), ("compute_us", "compute", JOINTS[1]))
    samples = {key: np.maximum(np.asarray(trace[key], dtype=np.float64), 1e-2) for key, _, _ in parts}
    if any(len(values) for values in samples.values()):
        lowest = min(values.min() for values in samples.values())
        highest = max(values.max() for values in samples.values())
        bins = np.geomspace(lowest * 0.9, max(highest * 1.1, lowest * 2), 70)
        for key, name, color in parts:
            summary = getattr(result.report, key)
            label = f"{name}: p50 {summary['p50']:.2g}, p99.9 {summary['p999']:.3g}"
            axes.hist(samples[key], bins=bins, color=color, alpha=0.55, label=label)
        axes.set_ylim(top=axes.get_ylim()[1] * 12)  # room for the legend
        axes.legend(loc="upper right", fontsize=8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw_figures(axes: Any, result: DemoResult) -> None:
    report, task = result.report, result.task
    latency, seam, worst = report.inference["latency_ms"], report.seam, report.worst_limit_ratio
    delay, late = report.inference["delay_ms"], report.inference["later_than_expected"]
    remaining, executor, p99 = report.inference["remaining_plan_ms"], report.executor, seam["p99"]
    refused = list(report.realtime.get("refused", []))
    lines = (
        ("goals reached", f"{task.reached} of {task.attempted}"),
        ("limit violations", f"{report.limit_violations} in {report.ticks} commands"),
        ("limits used", "  ".join(f"{name} {100 * ratio:.0f} %" for name, ratio in worst.items())),
        ("deadline misses", f"{report.deadline_misses}"),
        (
            "inference",
            f"{report.inference['chunks']} chunks, p50 {latency['p50']:.2f} ms, max {latency['max']:.2f} ms",
        ),
        ("tracking error", f"{1e3 * report.tracking_rms:.2f} mrad rms"),
        ("chunk delay", f"p50 {delay['p50']:.1f} ms, max {delay['max']:.1f} ms; {late} later than expected"),
        (
            "plan left",
            f"{remaining['min']:.0f} ms or more; starved {executor['starved_s']:.2f} s",
        ),
        (
            "seams",
            f"p99 {1e3 * p99['position']:.1f} mrad, {p99['velocity']:.2f} rad/s, before blending",
        ),
        ("real time", "everything granted" if not refused else f"{len(refused)} privileges refused"),
    )
    axes.axis("off")
    for i, (name, text) in enumerate(lines):
        y = 1.0 - (i + 0.5) / len(lines)
        axes.text(0.0, y, name, transform=axes.transAxes, color="#57606a", va="center")
        axes.text(0.29, y, text, transform=axes.transAxes, va="center", fontweight="bold")


def _headline(result: DemoResult) -> str:
    report = result.report
    rate = report.inference["chunks"] / report.duration_s if report.duration_s else 0.0
    seconds = f"{report.duration_s:.1f} s on goals never seen"
    return f"A learned policy at {rate:.0f} Hz, safe commands at 1 kHz: {seconds}"


def _tool(result: DemoResult) -> _Array:
    """Measured position of the tool (n, 3) [m]."""
    from vla_rt.robots.panda import PANDA_FLANGE_OFFSET, PANDA_TOOL_OFFSET, panda_forward

    position = np.asarray(result.report.trace["measured_position"])
    if not len(position):
        return np.zeros((0, 3))
    return np.asarray(panda_forward(position, PANDA_FLANGE_OFFSET + PANDA_TOOL_OFFSET)[:, :3, 3])


def _goals_over(result: DemoResult, time_s: _Array) -> _Array | None:
    """The goal at each time (n, 3) [m]; None without goals."""
    if not result.shown:
        return None
    begins = np.array([begin for begin, _ in result.shown])
    at = np.clip(np.searchsorted(begins, time_s, side="right") - 1, 0, None)
    return np.array([goal for _, goal in result.shown])[at]
