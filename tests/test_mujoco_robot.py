"""The simulated arm as a driver: its thread, its mailbox, its clock."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.robots.mujoco_robot import MujocoRobot
from vla_rt.sim import DEFAULT_MODEL
from vla_rt.tasks.reach import ReachConfig

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "vla_rt-mujoco"]


def _wait_for(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_start_and_stop_are_idempotent_and_leave_no_thread():
    robot = MujocoRobot()
    robot.stop()
    for _ in range(3):
        robot.start()
        robot.start()
        assert robot.running
        assert len(_threads()) == 1
        robot.stop()
        robot.stop()
        assert not robot.running
        assert _threads() == []


def test_it_simulates_in_step_with_the_clock():
    with MujocoRobot() as robot:
        assert _wait_for(lambda: robot.driver_statistics.cycles >= 300)
        begin, cycles = time.monotonic(), robot.driver_statistics.cycles
        time.sleep(0.5)
        done = robot.driver_statistics.cycles - cycles
        elapsed = time.monotonic() - begin
    statistics = robot.driver_statistics
    assert statistics.wakeups <= statistics.cycles
    lost = statistics.lost_s
    assert done * 1e-3 <= elapsed + 0.1  # never ahead of the clock by more than what it had to make up
    assert lost > 0 or done * 1e-3 >= elapsed - 0.1
    assert (statistics.real_time_factor < 1.0) == (lost > 0)


def test_its_limits_are_known_for_the_arm_that_ships_only(tmp_path: Path):
    assert MujocoRobot().limits.num_joints == 7
    own = tmp_path / "own.xml"
    own.write_text(DEFAULT_MODEL.read_text())
    assert MujocoRobot(model_path=own).limits is None


def test_it_stands_still_without_commands_and_counts_no_goals():
    with MujocoRobot(config=ReachConfig(timeout_s=0.2)) as robot:
        assert _wait_for(lambda: robot.driver_statistics.cycles > 500)
    assert robot.task_statistics.attempted == 0
    np.testing.assert_allclose(robot._arm.position, robot._arm.home, atol=1e-6)


def test_goals_repeat_with_the_seed():
    first, again, other = (MujocoRobot(seed=s).shown_goals[0][1] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_diverged_simulation_is_a_driver_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warnings to a file there
    robot = MujocoRobot()
    robot.start()
    robot._arm.data.qvel[:] = np.nan
    assert _wait_for(lambda: not robot.running)
    with pytest.raises(vr.VlaRtError, match="physics diverged"):
        robot.start()
    robot.stop()
    assert _threads() == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"task": "dance"}, "task"),
        ({"seed": -1}, "seed"),
        ({"model_path": "/no/such/file.xml"}, "model_path"),
        ({"config": ReachConfig(tolerance=-1.0)}, "tolerance"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, field: str):
    with pytest.raises(vr.ConfigError, match=field):
        MujocoRobot(**arguments)


def test_a_process_that_forgets_to_stop_it_ends():
    code = "import vla_rt as vr; r = vr.robots.MujocoRobot(); r.start(); print('started')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "started\n", "")
