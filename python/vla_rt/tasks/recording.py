"""Recording of demonstrations: the expert moves the simulated arm, faster than real time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.datasets.demonstrations import Demonstrations
from vla_rt.datasets.json_files import read_object, write_object
from vla_rt.errors import require
from vla_rt.sim.inverse_kinematics import InverseKinematics
from vla_rt.tasks.blocks import BlocksConfig
from vla_rt.tasks.pick import PickConfig
from vla_rt.tasks.reach import ReachConfig, TaskStatistics
from vla_rt.tasks.reach_expert import ReachExpert, ReachExpertConfig
from vla_rt.tasks.reach_scene import ReachScene
from vla_rt.tasks.scenes import TASKS, TaskConfig, make_scene
from vla_rt.tasks.scripted_expert import ScriptedExpert

if TYPE_CHECKING:
    from vla_rt.datasets import LeRobotDataset

__all__ = ["RecordingConfig", "record_dataset", "record_demonstrations"]

_Array = NDArray[np.float64]
_NOISE_CORRELATION_S = 0.2
_ARM_JOINTS = 7  # what comes after them is the gripper


@dataclass(frozen=True)
class RecordingConfig:
    """What is recorded.

    Attributes:
        episodes: Number of episodes.
        goals_per_episode: Goals in each.
        fps: Frames per second.
        substeps: Updates of the expert per frame.
        horizon: Window of `Demonstrations`.
        seed: Of starts, goals and disturbances; the same seed gives the same recording.
        start_noise: Standard deviation of the start from a rest posture [rad].
        noise: Largest standard deviation of the disturbance of the commanded joint velocity [rad/s]; each
            episode draws its own below it.
        task: What is done; goals of `reach` stricter than the task's own tolerance and dwell, so that the
            tool is seen to settle.
        expert: Rates of the expert of `reach`.
        model_path: As of `make_scene`.
    """

    episodes: int = 200
    goals_per_episode: int = 3
    fps: float = 20.0
    substeps: int = 5
    horizon: int = 16
    seed: int = 0
    start_noise: float = 0.2
    noise: float = 0.08
    task: TaskConfig = field(default_factory=lambda: ReachConfig(tolerance=0.012, dwell_s=0.3))
    expert: ReachExpertConfig = field(default_factory=ReachExpertConfig)
    model_path: str | Path | None = None

    @classmethod
    def of(cls, task: str) -> RecordingConfig:
        """What suits a task: less disturbance where millimetres count, fewer frames where they are pictures.

        Raises:
            ConfigError: No such task.
        """
        require(task in TASKS, "task", repr(task), f"must be one of {', '.join(TASKS)}")
        if task == "pick":
            return cls(noise=0.03, task=PickConfig())
        if task == "blocks":
            return cls(fps=10.0, substeps=10, task=BlocksConfig(dwell_s=0.5))
        return cls()

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        for name in ("episodes", "goals_per_episode", "substeps", "horizon"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be >= 1")
        require(0 < self.fps <= 1000, "fps", self.fps, "must be in (0, 1000]")
        for name in ("start_noise", "noise"):
            require(0 <= getattr(self, name) < np.pi, name, getattr(self, name), "must be in [0, pi)")
        self.task.validate()
        self.expert.validate()


def record_demonstrations(
    config: RecordingConfig | None = None, progress: bool | None = None
) -> tuple[Demonstrations, TaskStatistics]:
    """Lets the expert reach random goals and writes down what it saw and commanded.

    An episode starts at rest in a random posture. At each frame the columns take the measured joints, the
    goal and the tool, and as action the joint positions the expert commands at that moment. What the arm
    executes is disturbed, the label is not (DART: Laskey et al. 2017, "DART: Noise Injection for Robust
    Imitation Learning"), so that the expert is seen to recover.

    Args:
        config: What to record.
        progress: Whether to show a progress bar; None shows it in a terminal.

    Returns:
        The demonstrations, with a segment per goal, and how the expert did.

    Raises:
        ConfigError: The configuration is out of its bounds, or MuJoCo is not installed.
    """
    config = config if config is not None else RecordingConfig()
    config.validate()
    recorder = _Recorder(config)
    for episode in _with_progress(range(config.episodes), progress):
        recorder.record(episode)
    return recorder.take(), recorder.statistics


def record_dataset(
    root: str | Path,
    config: RecordingConfig | None = None,
    progress: bool | None = None,
) -> tuple[LeRobotDataset, TaskStatistics]:
    """As `record_demonstrations`, into a LeRobot dataset on disk with one of its episodes per goal.

    What is there already is continued: killed and called again, it ends with the same frames. More
    ``episodes`` than before make a recording longer.

    Args:
        root: Folder of the dataset.
        config: What to record; ``episodes`` are the expert's, of ``goals_per_episode`` each.
        progress: As of `record_demonstrations`.

    Returns:
        The dataset, and how the expert did in this call.

    Raises:
        ConfigError: As of `record_demonstrations`, or the dataset was recorded with other settings.
        ImportError: pyarrow is not installed.
    """
    config = config if config is not None else RecordingConfig()
    config.validate()
    from vla_rt.datasets import LeRobotDataset

    notes, settings = Path(root) / "meta" / "recording.json", _settings(config)
    recorder = _Recorder(config)
    done = 0
    dataset: LeRobotDataset | None = None
    if (Path(root) / "meta" / "info.json").exists():
        dataset = LeRobotDataset(root)
        require(notes.exists(), "root", root, "holds a dataset that was not recorded by this")
        for name, value in read_object(notes).items():
            require(
                settings.get(name) == value,
                name,
                settings.get(name),
                f"the dataset was recorded with {value}",
            )
        done = dataset.num_episodes
    begin, skip = divmod(done, config.goals_per_episode)
    for episode in _with_progress(range(begin, config.episodes), progress):
        recorder.record(episode)
        goals = recorder.take_goals()
        if dataset is None:
            notes.parent.mkdir(parents=True, exist_ok=True)
            write_object(notes, settings)
            dataset = LeRobotDataset.create(root, config.fps, _features(goals[0][0]), "simulated arm")
        for frames in goals[skip:]:
            for frame in frames:
                names = ("action", "task", *(name for name in frame if name.startswith("observation.")))
                dataset.add_frame({name: frame[name] for name in names})
            dataset.save_episode()
        skip = 0
    assert dataset is not None
    return dataset, recorder.statistics


def _settings(config: RecordingConfig) -> dict[str, Any]:
    """What shapes the frames, as JSON holds it."""
    kind = next(name for name, kind in TASKS.items() if isinstance(config.task, kind))
    settings = {**asdict(config), "model_path": str(config.model_path or ""), "task_name": kind}
    for name in ("episodes", "horizon"):
        del settings[name]
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def _features(frame: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of a dataset with such frames: pictures as they are, numbers as float32."""
    names = ["action", *(name for name in frame if name.startswith("observation."))]
    return {
        name: {
            "dtype": "image" if frame[name].dtype == np.uint8 else "float32",
            "shape": frame[name].shape,
        }
        for name in names
    }


def _with_progress(episodes: range, progress: bool | None) -> Iterable[int]:
    show = sys.stderr.isatty() if progress is None else progress
    if not show or find_spec("tqdm") is None:
        return episodes
    from tqdm import tqdm

    bar: Iterable[int] = tqdm(episodes, desc="recording", unit="episode", dynamic_ncols=True)
    return bar


class _Recorder:
    def __init__(self, config: RecordingConfig) -> None:
        self._config = config
        self._scene = make_scene(config.task, 0, config.model_path)
        if isinstance(self._scene, ReachScene):
            self._expert: ScriptedExpert = ReachExpert(InverseKinematics(config.model_path), config.expert)
        else:
            self._expert = self._scene.expert()
        self._tick_s = 1.0 / (config.fps * config.substeps)
        steps = self._tick_s / self._scene.arm.timestep_s
        self._steps = round(steps)
        require(
            self._steps >= 1 and abs(steps - self._steps) < 1e-6,
            "fps * substeps",
            config.fps * config.substeps,
            f"one update must last a whole number of physics steps of {self._scene.arm.timestep_s} s",
        )
        self.statistics = TaskStatistics()
        self._rows: list[dict[str, Any]] = []

    def take(self) -> Demonstrations:
        """What was recorded since the last call; numbers only."""
        names = [name for name in self._rows[0] if name != "task"]
        columns = {name: np.array([row[name] for row in self._rows]) for name in names}
        columns["episode_index"] -= columns["episode_index"][0]
        segment = columns.pop("segment")
        self._rows = []
        return Demonstrations(columns, self._config.fps, self._config.horizon, segment, ends_at_rest=True)

    def take_goals(self) -> list[list[dict[str, Any]]]:
        """The frames that were recorded since the last call, goal by goal."""
        goals = [list(rows) for _, rows in groupby(self._rows, key=lambda row: row["segment"])]
        self._rows = []
        return goals

    def record(self, episode: int) -> None:
        config, scene, expert = self._config, self._scene, self._expert
        arm, statistics = scene.arm, self.statistics
        random = np.random.default_rng([config.seed, episode])
        seed = int(random.integers(2**63))
        start = scene.random_start(random, config.start_noise)
        scene.reset(start, seed)
        expert.reset(start)
        scene.look()
        amplitude = config.noise * random.uniform() * _disturbed(arm.num_joints)
        keep = float(np.exp(-self._tick_s / _NOISE_CORRELATION_S))
        disturbance = np.zeros(arm.num_joints)
        drift = np.zeros(arm.num_joints)
        frame = 0
        while scene.statistics.attempted < config.goals_per_episode:
            self._write(episode, frame, expert.position - drift)
            drift = np.zeros(arm.num_joints)
            fresh = (
                amplitude * np.sqrt(1 - keep**2) * random.standard_normal((config.substeps, arm.num_joints))
            )
            for kick in fresh:
                disturbance = keep * disturbance + kick
                expert.see(scene.show())
                expert.advance(self._tick_s)
                moved = disturbance * self._tick_s
                expert.position = expert.position + moved
                drift += moved
                # the servos see a staircase: its middle is on time
                arm.command(expert.position - 0.5 * self._tick_s * expert.velocity, expert.velocity)
                arm.step(self._steps)
                scene.look()
            frame += 1
        for name in ("attempted", "reached", "times_s", "outcomes"):
            setattr(statistics, name, getattr(statistics, name) + getattr(scene.statistics, name))
        for reason, count in scene.statistics.failures.items():
            statistics.failures[reason] = statistics.failures.get(reason, 0) + count

    def _write(self, episode: int, frame: int, action: _Array) -> None:
        row = {
            **self._scene.observe(),
            "action": action.copy(),
            "task": self._scene.instruction,
            "episode_index": episode,
            "frame_index": frame,
            "timestamp": frame / self._config.fps,
            "segment": self._scene.statistics.attempted,
        }
        self._rows.append(row)


def _disturbed(num_joints: int) -> _Array:
    """1 for the arm's joints, 0 for the gripper."""
    return (np.arange(num_joints) < _ARM_JOINTS).astype(np.float64)
