"""Run a robot as one file says: robot, limits, policy, executor, safety, real time, logging.

The file is YAML (or JSON or TOML), or the name of one that ships with vla_rt: panda, ur5, so101, aloha.
Such a file can be the `base` of one's own.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from vla_rt.cli.result import require_writable, write_json
from vla_rt.errors import ConfigError, error

if TYPE_CHECKING:
    from vla_rt.control_loop import RunReport


@dataclass(frozen=True)
class Arguments:
    """What runs."""

    config: Annotated[Path | None, tyro.conf.Positional] = None
    """The file, or panda, ur5, so101 or aloha."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A change, as executor.mode=rtc; may be given several times."""
    check: bool = False
    """Read and check the configuration, print it in one piece, and do not run."""
    schema: Path | None = None
    """Write the JSON Schema of such files to this file, and do not run."""
    json: Path | None = None
    """Write the report to this file, as logging.report does."""


def run(arguments: Arguments) -> int:
    """Runs; returns 0, or 1 when a limit was broken, the controller faulted or no chunk ever came."""
    from vla_rt.run_config import RunConfig
    from vla_rt.run_sections import schema

    if arguments.schema is not None:
        require_writable(arguments.schema, "schema")
        write_json(arguments.schema, schema())
        return 0
    if arguments.config is None:
        raise error(ConfigError, "config", "", "is missing: a file, or panda, ur5, so101 or aloha")
    config = RunConfig.from_file(arguments.config, arguments.set)
    if arguments.check:
        import json

        print(json.dumps(config.values, indent=2))
        write_json(arguments.json, config.values)
        return 0
    report_file = None if config.logging.report is None else Path(config.logging.report)
    require_writable(report_file, "logging.report")
    recording = None if config.logging.recording is None else Path(config.logging.recording)
    require_writable(recording, "logging.recording")
    from vla_rt.control_loop import ControlLoop

    policy = config.make_policy()
    robot = config.make_robot()
    report = ControlLoop(robot, policy, config.control).run(config.duration_s)
    _print(report, str(arguments.config))
    if recording is not None:
        from vla_rt.run_recording import save_run

        save_run(report, recording, config.robot.joint_names or (), f"{arguments.config}")
    result: dict[str, Any] = {"config": config.values, **report.to_dict()}
    write_json(report_file, result)
    write_json(arguments.json, result)
    is_good = report.limit_violations == 0 and report.fault is None and report.inference["chunks"] > 0
    return 0 if is_good else 1


def _print(report: RunReport, name: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"run of {name}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for what, text in _rows(report):
        table.add_row(what, text)
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def _rows(report: RunReport) -> list[tuple[str, str]]:
    inference = report.inference
    seam = report.seam
    return [
        ("time", f"{report.duration_s:.2f} s, {report.ticks} ticks, {report.deadline_misses} missed"),
        ("ended by", report.fault_text or ("Ctrl-C" if report.interrupted else "its duration")),
        ("safety", f"{report.limit_violations} emitted violations"),
        (
            "compute",
            "  ".join(f"{key} {report.compute_us[key]:.1f}" for key in ("p50", "p99", "max")) + " us",
        ),
        ("wake-up", "  ".join(f"{key} {report.wakeup_us[key]:.1f}" for key in ("p50", "p99", "max")) + " us"),
        (
            "chunks",
            f"{inference['chunks']}, {inference['failures']} failures, {inference['refused']} refused"
            + (f"; last: {inference['last_error']}" if inference["last_error"] else ""),
        ),
        ("status", "  ".join(f"{key} {count}" for key, count in report.status_counts.items() if count)),
        ("seams", f"{seam['count']}, largest {seam['position']:.3g} rad before blending"),
        ("tracking", f"{report.tracking_rms:.3g} rad rms"),
    ]
