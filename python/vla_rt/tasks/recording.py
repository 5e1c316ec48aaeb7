"""Recording of demonstrations: the expert moves the simulated arm, faster than real time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.datasets.demonstrations import Demonstrations
from vla_rt.datasets.json_files import read_object, write_object
from vla_rt.errors import require
from vla_rt.sim.arm import ArmSimulation
from vla_rt.sim.inverse_kinematics import InverseKinematics
from vla_rt.tasks.reach import ReachConfig, ReachTask, TaskStatistics, reach_observation
from vla_rt.tasks.reach_expert import ReachExpert, ReachExpertConfig

if TYPE_CHECKING:
    from vla_rt.datasets import LeRobotDataset

__all__ = ["RecordingConfig", "record_dataset", "record_demonstrations"]

_Array = NDArray[np.float64]
_NOISE_CORRELATION_S = 0.2


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
        task: Goals; stricter than the task's own tolerance and dwell, so that the tool is seen to settle.
        expert: Rates of the expert.
        model_path: As of `ArmSimulation`.
    """

    episodes: int = 200
    goals_per_episode: int = 3
    fps: float = 20.0
    substeps: int = 5
    horizon: int = 16
    seed: int = 0
    start_noise: float = 0.2
    noise: float = 0.08
    task: ReachConfig = field(default_factory=lambda: ReachConfig(tolerance=0.012, dwell_s=0.3))
    expert: ReachExpertConfig = field(default_factory=ReachExpertConfig)
    model_path: str | Path | None = None

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
    task: str = "bring the tool to the goal",
    progress: bool | None = None,
) -> tuple[LeRobotDataset, TaskStatistics]:
    """As `record_demonstrations`, into a LeRobot dataset on disk with one of its episodes per goal.

    What is there already is continued: killed and called again, it ends with the same frames. More
    ``episodes`` than before make a recording longer.

    Args:
        root: Folder of the dataset.
        config: What to record; ``episodes`` are the expert's, of ``goals_per_episode`` each.
        task: What the robot was told.
        progress: As of `record_demonstrations`.

    Returns:
        The dataset, and how the expert did in this call.

    Raises:
        ConfigError: As of `record_demonstrations`, or the dataset was recorded with other settings.
        ImportError: pyarrow is not installed.
    """
    config = config if config is not None else RecordingConfig()
    config.validate()
    notes, settings = Path(root) / "meta" / "recording.json", _settings(config, task)
    recorder = _Recorder(config)
    done = 0
    dataset: LeRobotDataset | None = None
    if (Path(root) / "meta" / "info.json").exists():
        from vla_rt.datasets import LeRobotDataset

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
        demonstrations = recorder.take()
        if dataset is None:
            notes.parent.mkdir(parents=True, exist_ok=True)
            write_object(notes, settings)
            dataset = demonstrations.to_lerobot(root, task, robot_type="simulated arm")
        else:
            demonstrations.append_to(dataset, task, skip)
        skip = 0
    assert dataset is not None
    return dataset, recorder.statistics


def _settings(config: RecordingConfig, task: str) -> dict[str, Any]:
    """What shapes the frames, as JSON holds it."""
    settings = {**asdict(config), "model_path": str(config.model_path or ""), "task_text": task}
    for name in ("episodes", "horizon"):
        del settings[name]
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


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
        self._arm = ArmSimulation(config.model_path)
        self._kinematics = InverseKinematics(config.model_path)
        self._expert = ReachExpert(InverseKinematics(config.model_path), config.expert)
        self._tick_s = 1.0 / (config.fps * config.substeps)
        steps = self._tick_s / self._arm.timestep_s
        self._steps = round(steps)
        require(
            self._steps >= 1 and abs(steps - self._steps) < 1e-6,
            "fps * substeps",
            config.fps * config.substeps,
            f"one update must last a whole number of physics steps of {self._arm.timestep_s} s",
        )
        self.statistics = TaskStatistics()
        self._rows: list[dict[str, Any]] = []

    def take(self) -> Demonstrations:
        """What was recorded since the last call."""
        columns = {name: np.array([row[name] for row in self._rows]) for name in self._rows[0]}
        columns["episode_index"] -= columns["episode_index"][0]
        segment = columns.pop("segment")
        self._rows = []
        return Demonstrations(columns, self._config.fps, self._config.horizon, segment, ends_at_rest=True)

    def record(self, episode: int) -> None:
        config, arm, expert = self._config, self._arm, self._expert
        random = np.random.default_rng([config.seed, episode])
        task = ReachTask(config.task, seed=int(random.integers(2**63)))
        start = self._start(random)
        arm.reset(start)
        expert.reset(start)
        expert.set_goal(task.goal)
        task.update(0.0, arm.tool)
        amplitude = config.noise * random.uniform()
        keep = float(np.exp(-self._tick_s / _NOISE_CORRELATION_S))
        disturbance = np.zeros(arm.num_joints)
        drift = np.zeros(arm.num_joints)
        frame = 0
        while task.statistics.attempted < config.goals_per_episode:
            self._write(episode, frame, task, expert.position - drift)
            drift = np.zeros(arm.num_joints)
            fresh = (
                amplitude * np.sqrt(1 - keep**2) * random.standard_normal((config.substeps, arm.num_joints))
            )
            for kick in fresh:
                disturbance = keep * disturbance + kick
                expert.advance(self._tick_s)
                moved = disturbance * self._tick_s
                expert.position = expert.position + moved
                drift += moved
                # the servos see a staircase: its middle is on time
                arm.command(expert.position - 0.5 * self._tick_s * expert.velocity, expert.velocity)
                arm.step(self._steps)
                if task.update(arm.time_s, arm.tool):
                    expert.set_goal(task.goal)
            frame += 1
        self.statistics.attempted += task.statistics.attempted
        self.statistics.reached += task.statistics.reached
        self.statistics.times_s += task.statistics.times_s
        self.statistics.outcomes += task.statistics.outcomes

    def _start(self, random: np.random.Generator) -> _Array:
        arm, config = self._arm, self._config
        margin = 0.05 * (arm.max_position - arm.min_position)
        for _ in range(100):
            rest = self._kinematics.solve(random.uniform(config.task.lower, config.task.upper))
            start = rest + config.start_noise * random.standard_normal(arm.num_joints)
            start = np.clip(start, arm.min_position + margin, arm.max_position - margin)
            arm.reset(start)
            if not arm.num_contacts:
                return start
        return rest

    def _write(self, episode: int, frame: int, task: ReachTask, action: _Array) -> None:
        row = {
            **reach_observation(self._arm.position, task.goal, self._arm.tool),
            "action": action.copy(),
            "episode_index": episode,
            "frame_index": frame,
            "timestamp": frame / self._config.fps,
            "segment": task.statistics.attempted,
        }
        self._rows.append(row)
