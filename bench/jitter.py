"""Wake-up latency at 1 kHz: RealtimeThread against cyclictest and against a loop in Python.

How late does a periodic thread begin its period, on a machine that is idle otherwise and on one whose other
core is busy? `vla_rt` sleeps until 200 us before the deadline and spins the rest; `vla_rt, no spin` sleeps to
the deadline, as cyclictest does; `time.sleep` is what a control loop in Python does. All run on the same CPU,
one after the other, round by round, idle and busy in turn. The column `error` is the share of the deadlines
that went by without a wake-up. cyclictest counts in whole microseconds, rounded down, and does not say what
it missed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import harness
from vla_rt import measure_wakeup

CASES = IDLE, BUSY = "wake-up, 1 kHz, idle", "wake-up, 1 kHz, other core busy"
PERIOD_S = 0.001
PRIORITY = 80
ROUNDS, ROUND_S = 5, 6.0
QUICK_ROUNDS, QUICK_ROUND_S = 2, 1.0

Summary = dict[str, float]


def vla_rt(duration_s: float, cpu: int, spin_s: float = 0.0002) -> tuple[Summary, list[str]]:
    """The thread of the control loop, and what the kernel refused to it."""
    found = measure_wakeup(duration_s, period_s=PERIOD_S, priority=PRIORITY, cpu=cpu, spin_s=spin_s)
    deadlines = found["count"] + found["missed"]
    summary = {key: found[key] for key in ("p50", "p99", "p999", "max")}
    return {**summary, "missed": found["missed"] / max(deadlines, 1)}, found["grant"]["refused"]


def cyclictest(duration_s: float, cpu: int) -> Summary | str:
    """The peer from rt-tests, same priority, period, CPU and memory locking; a sentence if it cannot run."""
    program = shutil.which("cyclictest")
    if program is None:
        return "cyclictest is not installed (apt install rt-tests)"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cyclictest.json"
        period_us = round(PERIOD_S * 1e6)
        loops = round(duration_s / PERIOD_S)
        words = [
            "-q",
            "-m",
            "-t",
            "1",
            "-p",
            PRIORITY,
            "-a",
            cpu,
            "-i",
            period_us,
            "-l",
            loops,
            "-h",
            100_000,
        ]
        run = subprocess.run(
            [program, *map(str, words), f"--json={file}"], capture_output=True, text=True, check=False
        )
        if run.returncode != 0 or not file.is_file():
            return f"cyclictest failed: {(run.stderr.strip().splitlines() or ['no message'])[-1]}"
        thread = json.loads(file.read_text())["thread"]["0"]
    values = {int(us): n for us, n in thread["histogram"].items()}
    summary = {
        key: _nearest_rank(values, thread["cycles"], percent, thread["max"])
        for key, percent in (("p50", 50.0), ("p99", 99.0), ("p999", 99.9))
    }
    return {**summary, "max": float(thread["max"])}


def _nearest_rank(values: dict[int, int], count: int, percent: float, largest: float) -> float:
    rank, seen = percent / 100.0 * count, 0
    for us in sorted(values):
        seen += values[us]
        if seen >= rank:
            return float(us)
    return float(largest)  # beyond the histogram


def python_sleep(duration_s: float, cpu: int) -> Summary:
    """A loop of time.sleep at ordinary priority."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        late = _sleep_loop(round(duration_s / PERIOD_S))
    finally:
        os.sched_setaffinity(0, allowed)
    p50, p99, p999, largest = np.percentile(late * 1e6, [50, 99, 99.9, 100])
    missed = round(duration_s / PERIOD_S) - late.size
    return {"p50": p50, "p99": p99, "p999": p999, "max": largest, "missed": missed * PERIOD_S / duration_s}


def _sleep_loop(deadlines: int) -> np.ndarray:
    late: list[float] = []
    start = time.monotonic() + PERIOD_S
    index = 0
    while index < deadlines:
        deadline = start + index * PERIOD_S
        time.sleep(max(0.0, deadline - time.monotonic()))
        now = time.monotonic()
        late.append(now - deadline)
        index = max(index + 1, int((now - start) / PERIOD_S) + 1)
    return np.array(late)


def main() -> int:
    """Measure all engines in turn, print the table, write the file."""
    options = harness.parse(__doc__)
    rounds, duration_s = (QUICK_ROUNDS, QUICK_ROUND_S) if options.quick else (ROUNDS, ROUND_S)
    cpu = max(os.sched_getaffinity(0))
    report = harness.Report("jitter")
    absent = ""
    refused: list[str] = []
    found: dict[tuple[str, str], list[Summary]] = {}
    for _ in range(rounds):
        for case in CASES:
            with _load(case, cpu):
                summary, refused = vla_rt(duration_s, cpu)
                found.setdefault((case, "vla_rt"), []).append(summary)
                peer = cyclictest(duration_s, cpu)
                if isinstance(peer, str):
                    absent = peer
                else:
                    found.setdefault((case, "cyclictest"), []).append(peer)
                no_spin, _ = vla_rt(duration_s, cpu, spin_s=0.0)
                found.setdefault((case, "vla_rt, no spin"), []).append(no_spin)
                found.setdefault((case, "time.sleep"), []).append(python_sleep(duration_s, cpu))
    for (case, engine), summaries in sorted(found.items(), key=lambda item: CASES.index(item[0][0])):
        missed = [s["missed"] for s in summaries if "missed" in s]
        share = float(np.mean(missed)) if missed else None
        report.add(harness.from_summaries(case, engine, summaries, error=share))
    for case in CASES if absent else ():
        report.add(harness.missing(case, "cyclictest", absent))
    report.notes += [f"{rounds} rounds of {duration_s:g} s on CPU {cpu}", *refused]
    for case in CASES:
        _ratios(report, case)
    report.finish(options)
    return 0


@contextlib.contextmanager
def _load(case: str, cpu: int) -> Iterator[None]:
    """In the busy case, a process at ordinary priority that never sleeps on every other core."""
    others = sorted(os.sched_getaffinity(0) - {cpu}) if case == BUSY else []
    busy = [
        subprocess.Popen(["taskset", "-c", str(other), sys.executable, "-c", "while True: pass"])
        for other in others
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _ratios(report: harness.Report, case: str) -> None:
    def of(engine: str, column: str) -> Any:
        return getattr(report.row(case, engine), column, None)

    where = case.rsplit(", ", 1)[1]
    for column in ("p50_us", "p99_us"):
        name = f"{where}, {column.removesuffix('_us')}"
        for engine in ("cyclictest", "time.sleep", "vla_rt, no spin"):
            report.ratio(f"{name}: {engine} / vla_rt", of(engine, column), of("vla_rt", column))
        if column == "p99_us":
            plain, peer = of("vla_rt, no spin", column), of("cyclictest", column)
            report.ratio(f"{name}: vla_rt, no spin / cyclictest", plain, peer)


if __name__ == "__main__":
    sys.exit(main())
