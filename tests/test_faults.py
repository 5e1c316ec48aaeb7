"""Whatever the policy does, the arm stays within its limits, the report says why, and the process lives."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vla_rt as vr
from seven_joints import N, Sine, check_safe, good_ticks_after, limits, robot, run


def test_a_policy_that_raises_is_counted_and_asked_again() -> None:
    def trouble(call: int) -> None:
        if 4 <= call <= 6:
            raise RuntimeError(f"no goal in sight ({call})")

    report = run(Sine(trouble), 1.5)
    check_safe(report)
    assert report.inference["failures"] == 3
    assert report.inference["last_error"] == "the policy raised RuntimeError: no goal in sight (6)"
    assert report.inference["chunks"] > 5
    assert report.fault is None


def test_a_policy_that_always_raises_ends_in_the_watchdog() -> None:
    def trouble(call: int) -> None:
        raise SystemExit(3)

    report = run(Sine(trouble), 20.0, watchdog_s=0.5)
    check_safe(report)
    assert report.fault == "watchdog"
    assert report.fault_text is not None
    assert "no fresh chunk" in report.fault_text
    assert "SystemExit: 3" in report.inference["last_error"]
    assert report.duration_s < 5


@pytest.mark.parametrize(
    ("answer", "failures", "text"),
    [
        (np.full((16, N), np.nan), 0, "chunk[0][0] = nan: must be finite"),
        (np.zeros((16, N - 1)), 0, "action_dim"),
        (np.zeros(N), 1, "chunk = shape (7,)"),
        (np.zeros((300, N)), 1, "at most (256, 64)"),
        ("a chunk", 1, "dtype"),
        (np.zeros((0, N)), 1, "horizon = 0"),
    ],
)
def test_a_chunk_of_the_wrong_kind_is_told(answer: Any, failures: int, text: str) -> None:
    report = run(Sine(lambda call: answer if call == 3 else None), 0.8)
    check_safe(report)
    assert report.inference["failures"] == failures
    assert report.inference["refused"] == 1 - failures
    assert text in report.inference["last_error"]
    assert report.inference["chunks"] >= 3


def test_a_flood_of_contradictions_is_counted_and_followed_within_limits() -> None:
    rng = np.random.default_rng(0)

    def contradict(call: int) -> Any:
        kind = call % 4
        if kind == 0:
            return np.full((16, N), np.nan)
        if kind == 1:
            return np.zeros((16, N + 1))
        return np.tile(rng.uniform(-4, 4, N), (16, 1)) if kind == 2 else None  # beyond the limits, too

    policy = Sine(contradict)
    report = run(policy, 1.0, inference_rate_hz=10_000.0)
    check_safe(report)
    assert report.fault is None
    inference = report.inference
    assert policy.calls > 100
    assert inference["failures"] == 0
    assert abs(inference["chunks"] - inference["refused"]) <= 3
    assert policy.calls - 1 <= inference["chunks"] + inference["refused"] <= policy.calls
    assert report.executor["accepted"] == inference["chunks"]


def test_chunks_that_come_after_their_end_are_refused_with_the_reason() -> None:
    report = run(Sine(lambda call: time.sleep(0.2)), 1.0, chunk_period_s=0.01)
    check_safe(report)
    assert report.inference["refused"] >= 2
    assert "after all its rows were over" in report.inference["last_error"]
    assert report.executor["dropped_chunks"] == report.inference["refused"]


def test_a_nan_observation_is_refused_and_forgotten() -> None:
    arm, policy = robot(), Sine()
    loop = vr.ControlLoop(
        arm, policy, vr.ControlConfig(mode="async", inference_rate_hz=10.0, lock_memory=False)
    )

    def spoil() -> None:
        time.sleep(0.3)
        arm.post_feature("goal", np.array([0.0, np.nan]))
        time.sleep(0.3)
        arm.post_feature("goal", np.array([0.0, 0.0]))

    thread = threading.Thread(target=spoil)
    thread.start()
    report = loop.run(1.5)
    thread.join()
    check_safe(report)
    assert report.fault is None
    assert report.inference["refused"] >= 1
    assert report.inference["last_error"] == "observation: goal[1] = nan: must be finite"
    assert report.status_counts["non_finite"] > 100
    assert good_ticks_after(report, vr.Status.NonFinite) > 50


class Driver:
    """A perfect robot driven by a Python thread through the mailbox; `trouble(robot, cycle)` may spoil it."""

    def __init__(self, trouble: Callable[[vr.robots.MailboxRobot, int], np.ndarray | None]) -> None:
        self.robot = vr.robots.MailboxRobot(N)
        self.trouble = trouble
        self.over = False
        self.robot.post_state(np.zeros(N))
        self.thread = threading.Thread(target=self.drive)

    def drive(self) -> None:
        cycle = 0
        while not self.over:
            command = self.robot.latest_command()
            position = np.zeros(N) if command is None else command.position
            spoiled = self.trouble(self.robot, cycle)
            self.robot.post_state(position if spoiled is None else spoiled)
            time.sleep(0.001)
            cycle += 1

    def run(self, duration_s: float, **changes: Any) -> vr.RunReport:
        config = {
            "mode": "async",
            "inference_rate_hz": 10.0,
            "limits": limits(),
            "lock_memory": False,
            "state_timeout_s": 0.3,
        }
        self.thread.start()
        try:
            return vr.ControlLoop(self.robot, Sine(), vr.ControlConfig(**config | changes)).run(duration_s)
        finally:
            self.over = True
            self.thread.join()


def test_a_nan_measurement_stops_the_arm_until_it_is_gone() -> None:
    bad = np.zeros(N)
    bad[3] = math.nan
    report = Driver(lambda arm, cycle: bad if 200 < cycle < 400 else None).run(2.0)
    check_safe(report)
    assert report.fault is None
    assert report.status_counts["non_finite"] > 100
    assert good_ticks_after(report, vr.Status.NonFinite) > 50


def test_a_following_error_latches() -> None:
    off = np.zeros(N)
    off[5] = 1.5
    report = Driver(lambda arm, cycle: off if cycle == 300 else None).run(20.0)
    check_safe(report)
    assert report.fault == "following_error"
    assert report.fault_text is not None
    assert "joint 5" in report.fault_text
    assert report.duration_s < 10


def test_a_driver_error_latches_with_its_reason() -> None:
    report = Driver(lambda arm, cycle: arm.fail("brake engaged") if cycle == 300 else None).run(20.0)
    check_safe(report)
    assert report.fault == "driver_error"
    assert report.fault_text == "driver error: brake engaged"


def test_stopping_the_inference_ends_in_the_watchdog() -> None:
    loop = vr.ControlLoop(
        robot(),
        Sine(),
        vr.ControlConfig(mode="async", inference_rate_hz=10.0, lock_memory=False, watchdog_s=1.2),
    )
    timer = threading.Timer(0.4, loop.stop_inference)
    timer.start()
    report = loop.run(20.0)
    check_safe(report)
    assert report.fault == "watchdog"
    assert report.status_counts["starved"] > 100


def test_an_inference_two_seconds_late_starves_and_recovers() -> None:
    report = run(Sine(lambda call: time.sleep(2) if call == 3 else None), 4.0)
    check_safe(report)
    assert report.fault is None
    assert report.status_counts["starved"] > 1000
    assert report.inference["latency_ms"]["max"] > 1900
    assert good_ticks_after(report, vr.Status.Starved) > 50


def test_a_hanging_policy_does_not_hold_up_the_end() -> None:
    gate = threading.Event()

    def trouble(call: int) -> None:
        if call == 3:
            gate.wait(60)

    begin = time.monotonic()
    report = run(Sine(trouble), 1.2, inference_stop_timeout_s=0.1)
    assert time.monotonic() - begin < 20
    gate.set()
    check_safe(report)
    assert report.inference["abandoned"]
    assert report.inference["chunks"] == 2


PROGRAM = """
import json, sys, threading, time
import numpy as np
import vla_rt as vr
N = 7
one = np.ones(N)
limits = vr.JointLimits(-2.8 * one, 2.8 * one, 2.2 * one, 10 * one, 5000 * one)
begin = time.monotonic()
def policy(observation):
    t = time.monotonic() - begin + 0.05 * np.arange(16)
    print("asked", flush=True)
    {trouble}
    return np.repeat(0.3 * np.sin(2 * np.pi * 0.4 * t)[:, None], N, axis=1)
config = vr.ControlConfig(
    mode="async", inference_rate_hz=10.0, lock_memory=False, inference_stop_timeout_s=0.05
)
loop = vr.ControlLoop(vr.robots.SimulatedRobot(limits, np.zeros(N)), policy, config)
report = loop.run({duration})
print(json.dumps(report.to_dict()), flush=True)
{end}
"""


def program(duration: float, trouble: str = "pass", end: str = "") -> subprocess.Popen[str]:
    text = textwrap.dedent(PROGRAM).format(duration=duration, trouble=trouble, end=end)
    return subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


#: A module whose object takes a second to die, while the interpreter is being taken down.
LATE_END = """
import time
class Late:
    def __del__(self, sleep=time.sleep):
        sleep(1.0)
late = Late()
"""


def test_ctrl_c_ends_in_the_certified_stop_and_a_report() -> None:
    process = program(60)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline() == "asked\n"
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    report = json.loads(output.splitlines()[-1])
    assert report["interrupted"]
    assert report["limit_violations"] == 0
    assert report["ticks"] > 100
    assert report["duration_s"] < 30


def test_a_second_ctrl_c_does_not_cost_the_report() -> None:
    process = program(60)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline() == "asked\n"
    for _ in range(3):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.02)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    report = json.loads(output.splitlines()[-1])
    assert report["interrupted"]
    assert report["limit_violations"] == 0


def test_the_end_of_the_process_stops_a_run_in_a_daemon_thread(tmp_path: Path) -> None:
    in_a_thread = """
def run():
    core = loop._core.run(60)
    open({told!r}, "w").write(json.dumps(core.to_dict()))
threading.Thread(target=run, daemon=True).start()
time.sleep(0.5)
sys.exit(0)
"""
    told = tmp_path / "report.json"
    text = textwrap.dedent(PROGRAM).format(duration=60, trouble="pass", end="")
    assert "report = loop.run(60)" in text
    text = text.replace("report = loop.run(60)", in_a_thread.format(told=str(told)))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("trouble", "end"),
    [
        ("time.sleep(60)", ""),
        # The policy comes back while the interpreter is being taken down.
        ("time.sleep(0.6)", "import late_end"),
        ("exec('while True: pass')", ""),
    ],
    ids=["asleep", "returns at the end", "busy"],
)
def test_a_hanging_policy_does_not_spoil_the_exit(trouble: str, end: str, tmp_path: Path) -> None:
    (tmp_path / "late_end.py").write_text(LATE_END)
    begin = time.monotonic()
    process = program(0.3, trouble, f"sys.path.insert(0, {str(tmp_path)!r})\n{end}")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert time.monotonic() - begin < 50
    assert json.loads(output.splitlines()[-1])["inference"]["abandoned"]
    assert errors == ""
