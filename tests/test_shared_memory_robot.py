"""A robot in another process: Python, C, and the deaths of either side."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr

ROOT = Path(__file__).resolve().parent.parent
LIMITS = vr.JointLimits([-2.8] * 7, [2.8] * 7, [2.0] * 7, [10.0] * 7, [1000.0] * 7)


@pytest.fixture(scope="module")
def driver_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C driver of the examples, built as it says at its top."""
    include = subprocess.run(
        [sys.executable, "-m", "vla_rt", "--include-dir"], capture_output=True, text=True, check=True
    )
    program = tmp_path_factory.mktemp("driver") / "driver"
    source = ROOT / "examples/shared_memory_driver/shared_memory_driver.c"
    compiler = shutil.which("cc") or "gcc"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{include.stdout.strip()}"]
    subprocess.run([compiler, *flags, source, "-o", program, "-lm", "-lrt"], check=True)
    return program


@pytest.fixture
def name() -> Iterator[str]:
    chosen = f"vla_rt_pytest_{os.getpid()}_{time.monotonic_ns()}"
    yield chosen
    Path(f"/dev/shm/{chosen}").unlink(missing_ok=True)


def opened(name: str) -> vr.robots.SharedMemoryRobot:
    deadline = time.monotonic() + 10
    while True:
        try:
            return vr.robots.SharedMemoryRobot(name, timeout_s=0.2)
        except vr.VlaRtError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def towards(goal: float):
    return lambda o: o["observation.state"] + np.linspace(0, goal, 16)[:, None] * np.ones(7)


CONFIG = vr.ControlConfig(chunk_period_s=0.05, inference_rate_hz=10, mode="async", lock_memory=False)


@pytest.mark.parametrize("language", ["c", "python"])
def test_an_example_of_a_driver_is_the_robot_until_it_is_killed(
    language: str, request: pytest.FixtureRequest, name: str
) -> None:
    if language == "c":
        program = [request.getfixturevalue("driver_program")]
    else:
        program = [sys.executable, ROOT / "examples/shared_memory_driver/shared_memory_driver.py"]
    driver = subprocess.Popen([*program, name, "30"], stdout=subprocess.DEVNULL)
    try:
        robot = opened(name)
        np.testing.assert_array_equal(robot.limits.max_velocity, [2.0] * 7)
        report = vr.ControlLoop(robot, towards(0.2), CONFIG).run(0.5)
        assert report.fault is None
        assert report.limit_violations == 0
        assert report.trace["measured_position"][-1].min() > 0.02
        assert report.tracking_rms < 0.05

        threading.Timer(0.4, driver.kill).start()
        report = vr.ControlLoop(robot, towards(0.2), CONFIG).run(10)
        assert report.fault == "driver_error"
        assert "heartbeat" in str(report.fault_text)
        assert report.limit_violations == 0
        assert not report.trace["command_velocity"][-1].any()
    finally:
        driver.kill()
        driver.wait()


def test_the_driver_in_c_comes_to_rest_when_the_controller_is_killed(driver_program: Path, name: str) -> None:
    driver = subprocess.Popen([driver_program, name, "30"], stdout=subprocess.PIPE, text=True)
    script = (
        "import numpy as np, vla_rt as vr, sys\n"
        "policy = lambda o: o['observation.state'] + np.linspace(0, 0.3, 16)[:, None] * np.ones(7)\n"
        "config = vr.ControlConfig(chunk_period_s=0.05, inference_rate_hz=10, lock_memory=False)\n"
        f"vr.ControlLoop(vr.robots.SharedMemoryRobot({name!r}), policy, config).run(30)\n"
    )
    try:
        opened(name)
        controller = subprocess.Popen([sys.executable, "-c", script])
        assert driver.stdout is not None
        assert driver.stdout.readline() == "hold\n"
        assert driver.stdout.readline() == "follow\n"
        time.sleep(0.5)
        controller.kill()
        controller.wait()
        said = driver.stdout.readline()
        while said == "follow\n":  # late for a moment before, on a busy machine
            said = driver.stdout.readline()
        assert said == "stop\n"
        time.sleep(0.5)
        driver.send_signal(signal.SIGTERM)
        assert driver.stdout.read() == "at rest: yes\n"
    finally:
        driver.kill()
        driver.communicate()


def test_a_driver_in_python_hands_over_both_ways(name: str) -> None:
    with vr.robots.SharedMemoryDriver(name, LIMITS, late_s=0.05, timeout_s=0.5) as driver:
        robot = vr.robots.SharedMemoryRobot(name, timeout_s=1.0)
        assert robot.num_joints == driver.num_joints == 7
        assert driver.follow() == ("hold", None, None)
        position, stopping = np.zeros(7), threading.Event()

        def drive() -> None:
            nonlocal position
            while not stopping.is_set():
                driver.post_state(position)
                _, found, _ = driver.follow()
                position = position if found is None else found
                time.sleep(0.001)

        thread = threading.Thread(target=drive)
        thread.start()
        try:
            report = vr.ControlLoop(robot, towards(0.3), CONFIG).run(0.5)
        finally:
            stopping.set()
            thread.join()
        assert report.fault is None
        assert position.min() > 0.02
        assert robot.refused == 0
    with pytest.raises(vr.VlaRtError, match="cannot be opened"):
        vr.robots.SharedMemoryRobot(name)
    with pytest.raises(vr.VlaRtError, match="closed"):
        driver.post_state(np.zeros(7))


def test_a_driver_that_fails_says_so(name: str) -> None:
    with vr.robots.SharedMemoryDriver(name, LIMITS) as driver:
        robot = vr.robots.SharedMemoryRobot(name, timeout_s=5.0)
        driver.post_state(np.zeros(7))
        driver.fail(42)
        with pytest.raises(vr.VlaRtError, match="error 42"):
            vr.ControlLoop(robot, towards(0.1), CONFIG).run(0.1)


@pytest.mark.parametrize("bad", ["", "a/b", ".", "x" * 300])
def test_names_are_checked(bad: str) -> None:
    with pytest.raises(vr.ConfigError, match="name"):
        vr.robots.SharedMemoryRobot(bad)
    with pytest.raises(vr.ConfigError, match="name"):
        vr.robots.SharedMemoryDriver(bad, LIMITS)


def test_bytes_that_are_no_segment_are_refused(name: str) -> None:
    from vla_rt import _core

    file = Path(f"/dev/shm/{name}")
    with vr.robots.SharedMemoryDriver(name, LIMITS):
        good = file.read_bytes()
    rng = np.random.default_rng(0)
    for case in range(200):
        data = bytearray(good)
        if case < 50:
            data = data[: int(rng.integers(0, len(good)))]
        else:  # the header alone decides whether it is one
            for at in rng.integers(0, 8 * (8 + 5 * 64), size=8):
                data[at] = int(rng.integers(0, 256))
        file.write_bytes(data)
        try:
            robot = _core.SharedMemoryRobot(name)
        except vr.FormatError:
            continue
        assert 1 <= robot.num_joints <= 64
        limits = robot.limits
        assert np.isfinite(limits.max_jerk).all()
        assert (limits.max_position > limits.min_position).all()
