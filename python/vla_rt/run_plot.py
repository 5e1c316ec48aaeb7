"""Pictures of a recorded run, and a page that holds them with its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._drawing import INK, JOINTS, LIMIT, SEAM, save, style
from vla_rt._drawing import figure as new_figure
from vla_rt.report_page import png_of
from vla_rt.report_page import write_page as write_report
from vla_rt.run_figures import sections, verdict
from vla_rt.run_recording import RunRecording

__all__ = ["plot_recording", "write_page"]

_Array = NDArray[np.float64]
_MOST_POINTS = 4000
_FAN_WINDOW_S = 1.5


def plot_recording(run: RunRecording, path: Path) -> None:
    """Draws the emitted motion against its limits, what the policy wished, chunks, and latencies.

    Args:
        run: From `load_run` or `load_flight`.
        path: The picture; its ending chooses the format.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
    """
    with style():
        save(_drawn(run), path)


def write_page(run: RunRecording, path: Path) -> None:
    """Writes one HTML page with the picture and the figures of a run; it needs nothing else to be shown.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
    """
    with style():
        caption = "Motion against limits, chunks, wishes that were changed, latencies"
        pictures = [(caption, png_of(_drawn(run)))]
        if run.pictures:
            pictures.append(("What the policy saw", png_of(_pictures(run))))
    write_report(path, run.title or "run", verdict(run), sections(run), pictures)


def _drawn(run: RunRecording) -> Any:
    trace, limits = run.trace, run.limits
    time_s = trace["time_s"] - trace["time_s"][0] if len(trace["time_s"]) else trace["time_s"]
    low, high = limits["min_position"], limits["max_position"]
    middle, half = (high + low) / 2, np.maximum((high - low) / 2, 1e-12)
    has_fans = len(run.chunks) > 0 and len(time_s) > 0
    has_violations = len(run.violations) > 0
    heights = [1.1, 1.0, 1.0, *[1.2] * has_fans, 0.8, *[0.6] * has_violations, 0.8]
    page = new_figure(13.0, 2.15 * len(heights))
    grid = page.add_gridspec(len(heights), 2, height_ratios=heights)
    seams = time_s[1:][np.diff(trace["chunk_sequence"].astype(np.int64)) > 0] if len(time_s) else time_s
    panels = (
        ("Positions emitted (lines) and wished (dots), share of the range", "position"),
        ("Velocities emitted, share of the limit", "velocity"),
        ("Accelerations emitted, share of the limit", "acceleration"),
    )
    first = None
    for row, (title, kind) in enumerate(panels):
        axes = page.add_subplot(grid[row, :], sharex=first)
        first = first if first is not None else axes
        if kind == "position":
            values = (trace["command_position"] - middle) / half
            _dots(axes, time_s, (trace["target"] - middle) / half)
        else:
            values = trace[f"command_{kind}"] / limits[f"max_{kind}"]
        _lines(axes, time_s, values, seams, title, run.joint_names)
    row = len(panels)
    if has_fans:
        _draw_fans(page.add_subplot(grid[row, :]), run, time_s, seams)
        row += 1
    chunks = page.add_subplot(grid[row, :], sharex=first)
    _draw_chunks(chunks, run)
    row += 1
    if has_violations:
        _draw_violations(page.add_subplot(grid[row, :], sharex=first), run)
        row += 1
    for column, (name, title) in enumerate((("wakeup_us", "Wake-up [us]"), ("compute_us", "Compute [us]"))):
        _draw_histogram(page.add_subplot(grid[row, column]), trace[name], title)
    assert first is not None
    handles, labels = first.get_legend_handles_labels()
    page.legend(handles, labels, loc="outside lower left", ncols=10, fontsize=8.5, handlelength=1.4)
    page.suptitle(run.title or "run", x=0.008, ha="left", fontsize=12.5, fontweight="bold")
    return page


def _thin(count: int) -> slice:
    return slice(None, None, max(1, count // _MOST_POINTS))


def _name(run: RunRecording, joint: int) -> str:
    return run.joint_names[joint] if joint < len(run.joint_names) else f"joint {joint + 1}"


def _dots(axes: Any, time_s: _Array, values: _Array) -> None:
    every = slice(None, None, max(1, len(time_s) // 600))
    for joint in range(values.shape[1]):
        color = JOINTS[joint % len(JOINTS)]
        axes.plot(time_s[every], values[every, joint], ".", color=color, markersize=1.6, alpha=0.5)


def _lines(
    axes: Any, time_s: _Array, values: _Array, seams: _Array, title: str, names: tuple[str, ...]
) -> None:
    axes.vlines(seams, -1.0, 1.0, color=SEAM, linewidth=0.4, alpha=0.3, zorder=1, label="chunk seam")
    for joint in range(values.shape[1]):
        label = names[joint] if joint < len(names) else f"joint {joint + 1}"
        color = JOINTS[joint % len(JOINTS)]
        thin = _thin(len(time_s))
        axes.plot(time_s[thin], values[thin, joint], color=color, linewidth=1.0, label=label)
    for level in (-1.0, 1.0):
        what = "limit" if level > 0 else None
        axes.axhline(level, color=LIMIT, linewidth=1.1, linestyle=(0, (5, 3)), label=what)
    axes.set(ylim=(-1.2, 1.2), title=title)
    if len(time_s):
        axes.set_xlim(0.0, max(float(time_s[-1]), 1e-3))


def _draw_fans(axes: Any, run: RunRecording, time_s: _Array, seams: _Array) -> None:
    """A stretch with much motion: the chunks, each from its observation on, and what came of them."""
    command = run.trace["command_position"]
    window = min(_FAN_WINDOW_S, float(time_s[-1]))
    begins = np.linspace(0.0, max(0.0, float(time_s[-1]) - window), 40)
    inside = [(time_s >= begin) & (time_s <= begin + window) for begin in begins]
    spread = np.array([np.ptp(command[rows], axis=0) for rows in inside])
    at, joint = np.unravel_index(int(spread.argmax()), spread.shape)
    begin, rows = begins[at], inside[at]
    color = JOINTS[0]
    for number, chunk in enumerate(run.chunks):
        start = chunk["start_time_ns"] / 1e9 - float(run.trace["time_s"][0])
        times = start + np.arange(len(chunk["actions"])) * chunk["period_ns"] / 1e9
        if times[-1] < begin or start > begin + window:
            continue
        fan = JOINTS[1 + number % (len(JOINTS) - 1)]
        axes.plot(times, chunk["actions"][:, joint], color=fan, linewidth=0.9, alpha=0.8, marker=".", ms=2.5)
        axes.plot(times[:1], chunk["actions"][:1, joint], "o", color=fan, markersize=4)
    axes.plot([], [], color=SEAM, marker="o", markersize=4, label="chunks, from their observations on")
    axes.plot(time_s[rows], command[rows, joint], color=color, linewidth=2.0, label="emitted")
    measured = run.trace["measured_position"][rows, joint]
    axes.plot(time_s[rows], measured, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), label="measured")
    low, high = axes.get_ylim()
    here = seams[(seams >= begin) & (seams <= begin + window)]
    axes.vlines(here, low, high, color=SEAM, linewidth=0.8, label="chunk seam")
    axes.set(xlim=(begin, begin + window), ylim=(low, high))
    axes.set_title(f"Chunks as fans: {_name(run, int(joint))} [rad or m], {window:.1f} s with much motion")
    axes.legend(loc="best", fontsize=8)


def _draw_chunks(axes: Any, run: RunRecording) -> None:
    axes.set_title("Chunks [ms]: delay after the observation, plan left when they came")
    axes.set_xlabel("time [s]")
    chunks, time_s = run.handovers, run.trace["time_s"]
    if not len(chunks["time_s"]) or not len(time_s):
        return
    at = chunks["time_s"] - float(time_s[0])
    for name, label, color in (("remaining_s", "plan left", JOINTS[2]), ("delay_s", "delay", JOINTS[0])):
        if name in chunks:
            axes.plot(at, 1e3 * chunks[name], "o", color=color, markersize=3, label=label)
    axes.legend(loc="upper right", ncols=2)


def _draw_violations(axes: Any, run: RunRecording) -> None:
    """When which wish could not be granted."""
    causes = sorted({violation["cause"] for violation in run.violations})
    first = float(run.trace["time_s"][0])
    for k, cause in enumerate(causes):
        found = [v for v in run.violations if v["cause"] == cause]
        at = [v["time_ns"] / 1e9 - first for v in found]
        joints = [v["joint"] + 0.12 * (k - (len(causes) - 1) / 2) for v in found]
        axes.plot(at, joints, "|", color=JOINTS[k % len(JOINTS)], markersize=5, label=cause)
    count = run.trace["target"].shape[1]
    axes.set(ylim=(count - 0.5, -0.5), yticks=range(count), xlabel="time [s]")
    axes.set_yticklabels([_name(run, joint) for joint in range(count)])
    axes.set_title(f"Wishes that were changed to keep the limits: {len(run.violations)}")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(causes), fontsize=8)


def _pictures(run: RunRecording) -> Any:
    page = new_figure(13.0, 2.1)
    first = float(run.trace["time_s"][0])
    for k, picture in enumerate(run.pictures):
        axes = page.add_subplot(1, len(run.pictures), k + 1)
        axes.imshow(picture["pixels"])
        axes.axis("off")
        axes.set_title(f"{picture['time_ns'] / 1e9 - first:.2f} s")
    return page


def _draw_histogram(axes: Any, values: _Array, title: str) -> None:
    axes.set_title(title)
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return
    bins = np.geomspace(values.min() * 0.999, values.max() * 1.001, 60)
    axes.hist(values, bins=bins, color=JOINTS[0])
    axes.set(xscale="log", yscale="log")
    for share, label in ((0.5, "p50"), (0.99, "p99"), (1.0, "max")):
        level = float(np.quantile(values, share))
        axes.axvline(level, color=LIMIT, linewidth=0.9)
        axes.annotate(
            f"{label} {level:.4g}", (level, 0.92 - 0.2 * (share > 0.5)), xycoords=("data", "axes fraction")
        )
