"""What each setting of the real-time thread is worth on this machine: wake-up latency at 1 kHz.

Once with all of them, then with one taken away at a time: the busy wait, the core to stay on, the privileges
of root (SCHED_FIFO, locked memory and no deep idle states together). On a machine that is idle otherwise, and
with two processes on every core that never sleep. Settings of the kernel's own (PREEMPT_RT, isolated cores,
interrupts, frequency) are compared by running this before and after.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import harness

CASES = IDLE, BUSY = "idle", "every core busy"
ROUNDS, ROUND_S = 5, 3.0
QUICK_ROUNDS, QUICK_ROUND_S = 2, 0.5
PROGRAM = (
    "import json, sys; from vla_rt import measure_wakeup; "
    "print(json.dumps(measure_wakeup(**json.loads(sys.argv[1]))))"
)
PLAIN_USER = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "prlimit", "--rtprio=0", "--memlock=65536"]


def engines(cpu: int) -> dict[str, tuple[list[str], dict[str, object]]]:
    """By name: what the program is started through, and the arguments of `measure_wakeup`."""
    found: dict[str, tuple[list[str], dict[str, object]]] = {
        "all": ([], {"cpu": cpu}),
        "without busy wait": ([], {"cpu": cpu, "spin_s": 0.0}),
        "without a core of its own": ([], {}),
    }
    if shutil.which("setpriv") and os.geteuid() == 0:
        found["without privileges"] = (PLAIN_USER, {"cpu": cpu})
    return found


def measure(through: list[str], options: dict[str, object], duration_s: float) -> dict[str, float]:
    """Percentiles [us] and the share of the deadlines that were missed."""
    words = [*through, sys.executable, "-c", PROGRAM, json.dumps({"duration_s": duration_s, **options})]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    missed = found["missed"] / max(found["count"] + found["missed"], 1)
    return {**{key: found[key] for key in ("p50", "p99", "p999", "max")}, "missed": missed}


@contextlib.contextmanager
def load(case: str) -> Iterator[None]:
    """Two processes at ordinary priority per core, in the busy case."""
    count = 2 * len(os.sched_getaffinity(0)) if case == BUSY else 0
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> int:
    """Measure round by round, print the table, write the file."""
    options = harness.parse(__doc__)
    rounds, duration_s = (QUICK_ROUNDS, QUICK_ROUND_S) if options.quick else (ROUNDS, ROUND_S)
    cpu = max(os.sched_getaffinity(0))
    report = harness.Report("realtime_settings")
    rows: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(rounds):
        for case in CASES:
            with load(case):
                for engine, how in engines(cpu).items():
                    rows.setdefault((case, engine), []).append(measure(*how, duration_s))
    for (case, engine), found in sorted(rows.items(), key=lambda row: CASES.index(row[0][0])):
        share = sum(row["missed"] for row in found) / len(found)
        report.add(harness.from_summaries(case, engine, found, error=share))
    report.notes.append(f"{rounds} rounds of {duration_s:g} s on CPU {cpu}; error: share of deadlines missed")
    report.finish(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
