"""The process under test: a ControlLoop at 1 kHz that flies as it is told, line by line on standard input.

Words are JSON: `{"fly": SECONDS, "record": PATH}` answers with the report when the run is over;
`{"fault": KIND}` spoils the policy's next answer, `{"end_inference": true}` takes the worker away,
`{"land": true}` ends the flight, `{"clock": true}` answers with what the wall clock says.
"""

from __future__ import annotations

import collections
import json
import queue
import sys
import threading
import time
from typing import Any

import numpy as np

import vla_rt as vr
from limits import JOINTS, LIMITS

ROWS, ROW_S = 16, 0.05
THINKING_S = 0.02
LATE_S = ROWS * ROW_S + 0.4
LEAK_BYTES = 1 << 21
#: The planted breach: limits that are this much too wide.
TOO_WIDE = 1.02


class Policy:
    """A slow dance of all joints, from wherever the arm is; spoiled as asked, one answer at a time."""

    def __init__(self, leaks: bool) -> None:
        self.faults: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.leaks = leaks
        self.kept: list[np.ndarray] = []
        self.spoiled: collections.Counter[str] = collections.Counter()
        self.begin = time.monotonic()
        self.rng = np.random.default_rng(0)

    def __call__(self, observation: dict[str, np.ndarray]) -> Any:
        kind = "" if self.faults.empty() else self.faults.get()
        self.spoiled[kind] += 1
        if kind != "early_chunk":
            time.sleep(LATE_S if kind == "late_chunk" else THINKING_S)
        if self.leaks:
            self.kept.append(np.ones(LEAK_BYTES // 8))
        t = time.monotonic() - self.begin + ROW_S * np.arange(ROWS)
        rows = np.sin(2 * np.pi * 0.3 * t)[:, None] * np.linspace(0.3, 0.9, JOINTS)
        if kind == "nan_chunk":
            rows[5, 3] = np.nan
        elif kind == "crash_worker":
            raise RuntimeError("the policy crashed")
        elif kind == "exit_worker":
            raise SystemExit(3)
        elif kind == "shape_chunk":
            rows = rows[:, :-1]
        elif kind == "wild_chunk":
            rows = np.full(rows.shape, 3.0) + self.rng.normal(0, 0.3, rows.shape)
        elif kind == "no_memory_worker":
            rows = np.empty((1 << 40, JOINTS))
        return rows


def main() -> None:
    """Fly until standard input ends."""
    options = json.loads(sys.argv[1])
    policy = Policy(options["plant"] == "leak")
    limits = LIMITS
    if options["plant"] == "breach":
        speed, force = TOO_WIDE * LIMITS.max_velocity, TOO_WIDE * LIMITS.max_acceleration
        limits = vr.JointLimits(LIMITS.min_position, LIMITS.max_position, speed, force, LIMITS.max_jerk)
    flights: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    loops: list[vr.ControlLoop] = []

    def listen() -> None:
        for line in sys.stdin:
            word = json.loads(line)
            if "fly" in word:
                flights.put(word)
            elif "fault" in word:
                policy.faults.put(word["fault"])
            elif "clock" in word:
                print(json.dumps({"clock": time.time()}), flush=True)
            elif "land" in word:
                loops[-1].request_stop()
            else:
                loops[-1].stop_inference()
        for loop in loops:
            loop.request_stop()
        flights.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while (word := flights.get()) is not None:
        while not policy.faults.empty():  # of a flight that ended before it was asked again
            policy.faults.get()
        robot = vr.robots.SharedMemoryRobot(options["segment"], timeout_s=1.0)
        config = vr.ControlConfig(
            mode="async", chunk_period_s=ROW_S, inference_rate_hz=10, watchdog_s=1.8, limits=limits,
            record=word["record"], record_max_mb=6, trace_s=0,
        )  # fmt: skip
        loops[:] = [vr.ControlLoop(robot, policy, config)]
        report = loops[-1].run(word["fly"]).to_dict()
        report["refused_states"], report["spoiled"] = robot.refused, dict(policy.spoiled)
        policy.spoiled.clear()
        loops.clear()
        del robot
        print(json.dumps({"report": report}), flush=True)


if __name__ == "__main__":
    main()
