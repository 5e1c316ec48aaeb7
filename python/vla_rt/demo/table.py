"""What the demonstration prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from vla_rt.demo.safe_run import DemoResult


def result_table(result: DemoResult) -> Table:
    """The figures of a run, good ones green, bad ones red."""
    report, task = result.report, result.task
    table = Table(title="vla-rt demo", title_style="bold", show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()

    def row(name: str, text: str, good: bool | None = None) -> None:
        table.add_row(name, Text(text, style={None: "", True: "green", False: "bold red"}[good]))

    if task.attempted:
        mean = f", {sum(task.times_s) / len(task.times_s):.1f} s each" if task.times_s else ""
        row("success", f"{task.reached} of {task.attempted} goals reached{mean}", task.success_rate >= 0.9)
    else:
        row("success", "no goal was decided in this time")
    if result.nearest_training_goal_m == result.nearest_training_goal_m:
        row(
            "goals",
            f"never seen: {1e3 * result.nearest_training_goal_m:.0f} mm or more from any in training",
            True,
        )
    rate = report.ticks / report.duration_s if report.duration_s else 0.0
    row("control", f"{report.ticks} ticks in {report.duration_s:.2f} s, {rate:.0f} Hz")
    row("limit violations", _violations(report), report.limit_violations == 0)
    row("deadline misses", f"{report.deadline_misses}", None if report.deadline_misses else True)
    row("wake-up latency", _microseconds(report.wakeup_us))
    row("tick compute", _microseconds(report.compute_us))
    inference = report.inference
    latency = inference["latency_ms"]
    row(
        "inference",
        f"{inference['chunks']} chunks, {inference['chunks'] / max(report.duration_s, 1e-9):.1f} Hz; "
        f"p50 {latency['p50']:.2f}  p99 {latency['p99']:.2f}  max {latency['max']:.2f} ms",
        False if inference["failures"] or inference["refused"] else None,
    )
    if inference["last_error"]:
        row(
            "inference trouble",
            f"{inference['failures']} failed, {inference['refused']} refused: {inference['last_error']}",
            False,
        )
    row("tracking error", f"{1e3 * report.tracking_rms:.2f} mrad rms, measured against commanded")
    seam = report.seam
    row(
        "chunk seams",
        f"{seam['count']} blended; largest jump before blending {1e3 * seam['position']:.1f} mrad, "
        f"{seam['velocity']:.2f} rad/s, {seam['acceleration']:.1f} rad/s²",
    )
    for name, text, good in _realtime(report.realtime):
        row(name, text, good)
    row("status", _statuses(report.status_counts))
    if report.fault is not None:
        row("fault", report.fault_text or report.fault, False)
    if report.interrupted:
        row("interrupted", "stopped on request, within the limits")
    return table


def _violations(report: Any) -> str:
    worst = ", ".join(f"{name} {100 * ratio:.0f} %" for name, ratio in report.worst_limit_ratio.items())
    return f"{report.limit_violations} in {report.ticks} commands (most used: {worst} of the limit)"


def _microseconds(latency: dict[str, float]) -> str:
    return (
        "  ".join(
            f"{name} {latency[key]:.3g}"
            for name, key in (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999"), ("max", "max"))
        )
        + " µs"
    )


def _realtime(grant: dict[str, Any]) -> list[tuple[str, str, bool | None]]:
    names = {
        "fifo": f"SCHED_FIFO {grant.get('priority')}",
        "affinity": f"CPU {grant.get('cpu')}",
        "memory_locked": "memory locked",
        "stack_prefaulted": "stack prefaulted",
        "cpu_awake": "CPU kept awake",
    }
    granted = [text for name, text in names.items() if grant.get(name)]
    rows: list[tuple[str, str, bool | None]] = [("real time granted", ", ".join(granted) or "nothing", None)]
    refused = [str(reason) for reason in grant.get("refused", [])]
    if refused:
        rows.append(("real time refused", "; ".join(refused), None))
    return rows


def _statuses(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)
