"""Pictures of a recorded run, and a page that holds them with its figures."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._drawing import INK, JOINTS, LIMIT, SEAM, save, style
from vla_rt._drawing import figure as new_figure
from vla_rt._files import write_whole
from vla_rt.errors import ConfigError, error
from vla_rt.run_recording import RunRecording

__all__ = ["plot_recording", "write_page"]

_Array = NDArray[np.float64]
_MOST_POINTS = 4000


def plot_recording(run: RunRecording, path: Path) -> None:
    """Draws the emitted motion against its limits, what the policy wished, chunks, and latencies.

    Args:
        run: From `load_run`.
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
        stream = io.BytesIO()
        _drawn(run).savefig(stream, dpi=130, format="png")
    picture = base64.b64encode(stream.getvalue()).decode()
    rows = "\n".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in figures(run)
    )
    title = html.escape(run.title or "run")
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; color: {INK}; margin: 2rem auto; max-width: 76rem }}
h1 {{ font-size: 1.4rem }} img {{ width: 100% }}
table {{ border-collapse: collapse }}
th {{ text-align: left; padding: .2rem 1.5rem .2rem 0; font-weight: 600 }}
td {{ font-variant-numeric: tabular-nums }} tr {{ border-bottom: 1px solid #d0d7de }}
</style></head><body>
<h1>{title}</h1>
<table>
{rows}
</table>
<img alt="motion, limits, chunks and latencies of the run" src="data:image/png;base64,{picture}">
</body></html>
"""

    def write(file: Path) -> None:
        file.write_text(page, encoding="utf-8")

    try:
        write_whole(path, write)
    except OSError as cause:
        raise error(ConfigError, "out", path, f"cannot be written ({cause.strerror})") from cause


def figures(run: RunRecording) -> list[tuple[str, str]]:
    """What a run came to, in words: (what, figures)."""
    r = run.report
    inference, seam = r["inference"], r["seam"]
    latency = inference["latency_ms"]
    return [
        ("time", f"{r['duration_s']:.2f} s, {r['ticks']} ticks, {r['deadline_misses']} deadlines missed"),
        ("ended by", str(r["fault_text"] or ("Ctrl-C" if r["interrupted"] else "its duration"))),
        ("emitted violations", str(r["limit_violations"])),
        (
            "largest share of a limit",
            ", ".join(f"{k} {_percent(v)}" for k, v in r["worst_limit_ratio"].items()),
        ),
        ("wake-up", _quantiles(r["wakeup_us"], "us")),
        ("compute", _quantiles(r["compute_us"], "us")),
        ("inference", _quantiles(latency, "ms")),
        (
            "chunks",
            f"{inference['chunks']}, {inference['failures']} failures, {inference['refused']} refused",
        ),
        ("seams", f"{seam['count']}; largest {_number(seam['position'])} before blending"),
        ("tracking error", f"{_number(r['tracking_rms'])} rms"),
        ("ticks by status", ", ".join(f"{k} {v}" for k, v in r["status_counts"].items() if v)),
    ]


def _percent(value: Any) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}"


def _quantiles(values: dict[str, Any], unit: str) -> str:
    return ", ".join(f"{key} {_number(value)}" for key, value in values.items()) + f" {unit}"


def _drawn(run: RunRecording) -> Any:
    trace, limits = run.trace, run.limits
    time_s = trace["time_s"] - trace["time_s"][0] if len(trace["time_s"]) else trace["time_s"]
    low, high = limits["min_position"], limits["max_position"]
    middle, half = (high + low) / 2, np.maximum((high - low) / 2, 1e-12)
    page = new_figure(13.0, 10.5)
    grid = page.add_gridspec(5, 2, height_ratios=(1.1, 1, 1, 0.8, 0.8))
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
    chunks = page.add_subplot(grid[3, :], sharex=first)
    _draw_chunks(chunks, run)
    chunks.set_xlabel("time [s]")
    for column, (name, title) in enumerate((("wakeup_us", "Wake-up [us]"), ("compute_us", "Compute [us]"))):
        _draw_histogram(page.add_subplot(grid[4, column]), trace[name], title)
    assert first is not None
    handles, labels = first.get_legend_handles_labels()
    page.legend(handles, labels, loc="outside lower left", ncols=8, fontsize=8.5, handlelength=1.4)
    page.suptitle(run.title or "run", x=0.008, ha="left", fontsize=12.5, fontweight="bold")
    return page


def _thin(count: int) -> slice:
    return slice(None, None, max(1, count // _MOST_POINTS))


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


def _draw_chunks(axes: Any, run: RunRecording) -> None:
    axes.set_title("Chunks [ms]: delay after the observation, plan left when they came")
    chunks, time_s = run.handovers, run.trace["time_s"]
    if not len(chunks["time_s"]) or not len(time_s):
        return
    at = chunks["time_s"] - float(time_s[0])
    for name, label, color in (("remaining_s", "plan left", JOINTS[2]), ("delay_s", "delay", JOINTS[0])):
        axes.plot(at, 1e3 * chunks[name], "o", color=color, markersize=3, label=label)
    axes.legend(loc="upper right", ncols=2)


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
            f"{label} {level:.3g}", (level, 0.92 - 0.2 * (share > 0.5)), xycoords=("data", "axes fraction")
        )
