"""The task `reach`, its expert and the recording of demonstrations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.datasets import Demonstrations
from vla_rt.robots.panda import PANDA_MAX_ACCELERATION, PANDA_MAX_VELOCITY

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
from vla_rt.sim import ArmSimulation, InverseKinematics
from vla_rt.tasks import (
    ReachConfig,
    ReachExpert,
    ReachExpertConfig,
    ReachTask,
    RecordingConfig,
    record_demonstrations,
)


@pytest.fixture(scope="module")
def recording() -> tuple[Demonstrations, object]:
    return record_demonstrations(RecordingConfig(episodes=12, seed=3), progress=False)


def test_goals_are_in_the_box_apart_and_repeat_with_the_seed():
    config = ReachConfig()
    tasks = [ReachTask(config, seed=s) for s in (5, 5, 6)]
    goals = np.array([[_next_goal(task, k) for k in range(50)] for task in tasks])
    np.testing.assert_array_equal(goals[0], goals[1])
    assert not np.allclose(goals[0], goals[2])
    assert np.all((goals >= config.lower) & (goals <= config.upper))
    assert np.linalg.norm(np.diff(goals, axis=1), axis=-1).min() >= config.min_distance


def _next_goal(task: ReachTask, k: int) -> np.ndarray:
    """The present goal, then lets it time out."""
    goal = task.goal.copy()
    if k == 0:
        task.update(0.0, np.zeros(3))
    assert task.update(10.0 * (k + 1), np.zeros(3))
    return goal


def test_a_goal_counts_only_near_at_rest_and_for_the_dwell():
    task = ReachTask(ReachConfig(dwell_s=0.1, timeout_s=2.0), seed=0)
    goal = task.goal.copy()
    task.update(0.0, goal)
    for k in range(1, 20):  # near, but shaken at 1 m/s
        assert not task.update(0.01 * k, goal + 0.005 * (-1) ** k)
    for k in range(20, 29):  # short of the dwell
        assert not task.update(0.01 * k, goal + 0.005)
    assert not task.update(0.30, goal + 0.05)  # away: the dwell starts anew
    assert not task.update(0.31, goal + 0.05)
    times = np.arange(0.4, 0.6, 0.01)
    changed = [task.update(float(t), goal) for t in times]
    assert sum(changed) == 1
    assert task.statistics.reached == 1
    assert task.statistics.success_rate == 1.0
    assert task.statistics.times_s == [pytest.approx(times[changed.index(True)])]


def test_a_timeout_counts_as_failure():
    task = ReachTask(ReachConfig(timeout_s=1.0), seed=0)
    for k in range(250):
        task.update(0.01 * k, np.zeros(3))
    assert (task.statistics.attempted, task.statistics.reached) == (2, 0)
    assert task.statistics.to_dict()["mean_time_s"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lower": (0.7, -0.3, 0.2)}, r"upper\[0\]"),
        ({"upper": (0.6, float("nan"), 0.5)}, r"upper\[1\]"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"timeout_s": 0.05}, "dwell_s"),
        ({"min_distance": 3.0}, "min_distance"),
    ],
)
def test_a_bad_task_is_refused(change: dict[str, object], field: str):
    with pytest.raises(vr.ConfigError, match=field):
        ReachTask(replace(ReachConfig(), **change))


def test_goals_are_reachable():
    kinematics, arm = InverseKinematics(), ArmSimulation()
    task = ReachTask(seed=11)
    for k in range(100):
        arm.reset(kinematics.solve(_next_goal(task, k)))
        assert arm.num_contacts == 0


def test_the_expert_reaches_98_percent_within_the_rates():
    """60 goals of the task as it is, executed by the servos; rates by differences of the reference."""
    arm, expert, task = ArmSimulation(), ReachExpert(InverseKinematics()), ReachTask(seed=21)
    expert.reset(arm.position)
    expert.set_goal(task.goal)
    task.update(0.0, arm.tool)
    config = ReachExpertConfig()
    positions = []
    while task.statistics.attempted < 60:
        expert.advance(0.01)
        positions.append(expert.position)
        arm.command(expert.position - 0.005 * expert.velocity, expert.velocity)
        arm.step(10)
        if task.update(arm.time_s, arm.tool):
            expert.set_goal(task.goal)
        assert arm.num_contacts == 0
    assert task.statistics.success_rate >= 0.98
    velocity = np.diff(positions, axis=0) / 0.01
    acceleration = np.diff(velocity, axis=0) / 0.01
    assert np.all(np.abs(velocity) <= config.velocity_fraction * PANDA_MAX_VELOCITY + 1e-9)
    assert np.all(np.abs(acceleration) <= config.acceleration_fraction * PANDA_MAX_ACCELERATION + 1e-9)


def test_recordings_repeat_bit_for_bit_with_the_seed(recording: tuple[Demonstrations, object]):
    config = RecordingConfig(episodes=3, seed=3)
    again, _ = record_demonstrations(config, progress=False)
    other, _ = record_demonstrations(replace(config, seed=4), progress=False)
    for name, values in again.columns.items():
        np.testing.assert_array_equal(values, recording[0].columns[name][: len(again)], err_msg=name)
    assert not np.array_equal(other.columns["action"][:5], again.columns["action"][:5])


def test_recorded_columns(recording: tuple[Demonstrations, object]):
    demonstrations, statistics = recording
    assert statistics.success_rate >= 0.98
    assert demonstrations.num_episodes == 12
    assert demonstrations.observation_features == {
        "observation.state": (7,),
        "observation.environment_state": (6,),
    }
    columns = demonstrations.columns
    np.testing.assert_allclose(columns["timestamp"], columns["frame_index"] / 20.0)
    # the label is what is commanded now: the arm is there but for the servo's lag and one frame's disturbance
    assert np.abs(columns["action"] - columns["observation.state"]).max() < 0.05
    # every goal of an episode ends with the tool on it
    ends = np.flatnonzero(np.diff(demonstrations.segment) != 0)
    goal, tool = np.split(columns["observation.environment_state"][ends], 2, axis=1)
    assert np.linalg.norm(goal - tool, axis=1).max() < 0.025


def test_the_disturbance_moves_the_arm_and_not_the_label():
    """With and without it the first labels agree while the executed motion differs."""
    config = RecordingConfig(episodes=1, seed=8)
    noisy, _ = record_demonstrations(replace(config, noise=0.3), progress=False)
    clean, _ = record_demonstrations(replace(config, noise=0.0), progress=False)
    label = np.abs(noisy.columns["action"][1] - clean.columns["action"][1]).max()
    moved = np.abs(noisy.columns["observation.state"][1] - clean.columns["observation.state"][1]).max()
    assert moved > 3 * label


def test_the_progress_bar_is_shown_on_demand(capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("tqdm")
    record_demonstrations(RecordingConfig(episodes=1, goals_per_episode=1), progress=True)
    assert "recording" in capsys.readouterr().err
    record_demonstrations(RecordingConfig(episodes=1, goals_per_episode=1), progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"episodes": 0}, "episodes"),
        ({"fps": 0.0}, "fps"),
        ({"fps": 30.0}, "substeps"),
        ({"noise": -1.0}, "noise"),
    ],
)
def test_a_bad_recording_is_refused(change: dict[str, object], field: str):
    with pytest.raises(vr.ConfigError, match=field):
        record_demonstrations(RecordingConfig(**change), progress=False)


def test_demonstrations_survive_a_file(recording: tuple[Demonstrations, object], tmp_path: Path):
    path = tmp_path / "demonstrations.npz"
    recording[0].save(path)
    loaded = Demonstrations.load(path)
    for name, values in recording[0].columns.items():
        np.testing.assert_array_equal(loaded.columns[name], values)
    np.testing.assert_array_equal(loaded.segment, recording[0].segment)
    for name in ("fps", "horizon", "ends_at_rest"):
        assert getattr(loaded, name) == getattr(recording[0], name)
