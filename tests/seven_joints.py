"""A seven-joint simulated robot under a slow sine: what the tests of the control loop share."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import vla_rt as vr

N = 7
Observation = dict[str, np.ndarray]


def limits() -> vr.JointLimits:
    one = np.ones(N)
    return vr.JointLimits(-2.8 * one, 2.8 * one, 2.2 * one, 10 * one, 5000 * one)


def robot() -> vr.robots.SimulatedRobot:
    return vr.robots.SimulatedRobot(limits(), np.zeros(N))


def sine(time_s: float, rows: int = 16) -> np.ndarray:
    t = time_s + 0.05 * np.arange(rows)
    return np.repeat(0.3 * np.sin(2 * np.pi * 0.4 * t)[:, None], N, axis=1)


class Sine:
    """A slow sine through the present; `trouble(call)` runs first."""

    period_s = 0.05

    def __init__(self, trouble: Callable[[int], Any] = lambda call: None) -> None:
        self.trouble = trouble
        self.calls = 0
        self.begin = time.monotonic()
        self.threads: set[int] = set()

    def __call__(self, observation: Observation) -> np.ndarray:
        self.calls += 1
        self.threads.add(threading.get_ident())
        answer = self.trouble(self.calls)
        return sine(time.monotonic() - self.begin) if answer is None else answer


def run(policy: Any, duration_s: float, **changes: Any) -> vr.RunReport:
    config = {"mode": "async", "inference_rate_hz": 10.0, "lock_memory": False} | changes
    return vr.ControlLoop(robot(), policy, vr.ControlConfig(**config)).run(duration_s)


def check_safe(report: vr.RunReport) -> None:
    assert report.limit_violations == 0
    assert not report.trace["command_velocity"][-1].any()
    assert not report.trace["command_acceleration"][-1].any()


def good_ticks_after(report: vr.RunReport, bad: vr.Status) -> int:
    """Ticks that followed their wish after the last one of status `bad`."""
    status = report.trace["status"]
    last = np.flatnonzero(status == bad.value)
    return int(np.sum(status[last[-1] :] <= vr.Status.Limited.value)) if len(last) else 0
