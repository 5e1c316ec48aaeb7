"""From nothing to a policy package: record the expert, train, export, try it in simulated time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.demo.cache import CacheEntry, cache_key, default_cache_dir
from vla_rt.errors import FormatError, ModelError, require

if TYPE_CHECKING:
    from vla_rt.datasets import Demonstrations
    from vla_rt.policies import FlowMatchingPolicy

_RESULT = "preparation.json"
_GOALS = "goals.npy"
_PACKAGE = "package"
_TRAINING = "training"
_RECORDING = "demonstrations.npz"

#: Told what is being done, as it begins.
Announce = Callable[[str], None]


@dataclass(frozen=True)
class PreparationConfig:
    """What the policy of the demonstration is made of.

    Attributes:
        episodes: Demonstrations to record, of three goals each.
        steps: Training steps.
        batch_size: Samples per step.
        learning_rate: Peak of the schedule.
        hidden: Width of the velocity network.
        encoder_hidden: Widths of the observation encoder.
        seed: Of recording, weights and training.
        evaluation_s: Simulated time of the trial after the export [s]; 0 leaves it out.
    """

    episodes: int = 200
    steps: int = 3000
    batch_size: int = 256
    learning_rate: float = 2e-3
    hidden: int = 256
    encoder_hidden: tuple[int, ...] = (256,)
    seed: int = 0
    evaluation_s: float = 20.0

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        for name in ("episodes", "steps", "batch_size", "hidden"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be >= 1")
        require(
            np.isfinite(self.learning_rate) and self.learning_rate > 0,
            "learning_rate",
            self.learning_rate,
            "must be > 0",
        )
        require(self.seed >= 0, "seed", self.seed, "must be >= 0")
        require(
            np.isfinite(self.evaluation_s) and self.evaluation_s >= 0,
            "evaluation_s",
            self.evaluation_s,
            "must be >= 0",
        )

    def key(self) -> str:
        """Name in the cache of what these settings give with the code and the versions installed."""
        settings = asdict(self)
        del settings["evaluation_s"]
        return cache_key(settings, {name: _version(name) for name in ("torch", "numpy", "mujoco")})


@dataclass(frozen=True)
class Preparation:
    """A policy package and where it comes from.

    Attributes:
        package: Folder of the package.
        goals: Every goal that was shown in training (G, 3) [m].
        cached: Whether it was there already.
        info: Figures of recording, training and trial, as JSON holds them.
    """

    package: Path
    goals: NDArray[np.float64]
    cached: bool
    info: dict[str, Any]


def prepare(
    config: PreparationConfig | None = None,
    cache_dir: Path | None = None,
    retrain: bool = False,
    announce: Announce = lambda text: None,
    progress: bool | None = None,
) -> Preparation:
    """Finds the package in the cache, or makes it; an interrupted training goes on where it was.

    Args:
        config: What to make.
        cache_dir: The cache; ``default_cache_dir()`` when None.
        retrain: Make it anew even if it is there.
        announce: Told of each stage.
        progress: Whether to show progress bars; None shows them in a terminal.

    Raises:
        ConfigError: The configuration is out of its bounds, the cache cannot be written, or the simulator is
            not installed.
        ModelError: The policy cannot be trained or exported.
    """
    config = config if config is not None else PreparationConfig()
    config.validate()
    entry = CacheEntry(cache_dir if cache_dir is not None else default_cache_dir(), config.key())
    with entry.locked():
        if retrain:
            entry.discard()
        if entry.complete:
            found = _load(entry)
            if found is not None:
                return found
            announce("the cached package is damaged and will be made again")
            entry.discard()
        _make(config, entry, announce, progress)
    made = _load(entry)
    if made is None:
        raise ModelError(f"package = {entry.path}: cannot be read back")
    return Preparation(made.package, made.goals, False, made.info)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _load(entry: CacheEntry) -> Preparation | None:
    from vla_rt import _core

    package = entry.path / _PACKAGE
    try:
        _core.read_policy_spec(package)
        info = json.loads((entry.path / _RESULT).read_text(encoding="utf-8"))
        goals = np.load(entry.path / _GOALS, allow_pickle=False)
    except (OSError, ValueError, FormatError):
        return None
    return Preparation(package, goals, True, info)


def _make(config: PreparationConfig, entry: CacheEntry, announce: Announce, progress: bool | None) -> None:
    work = entry.begin()
    begin = time.perf_counter()
    demonstrations, recording = _record(config, work, announce, progress)
    recorded = time.perf_counter()
    policy, training = _train(config, demonstrations, work / _TRAINING, announce, progress)
    trained = time.perf_counter()
    from vla_rt.export import export_policy

    announce("exporting the policy package")
    export_policy(policy, work / _PACKAGE)
    exported = time.perf_counter()
    trial = _try(work / _PACKAGE, config, announce)
    goals = np.unique(demonstrations.columns["observation.environment_state"][:, :3], axis=0)
    np.save(work / _GOALS, goals)
    seconds = {
        "record": recorded - begin,
        "train": trained - recorded,
        "export": exported - trained,
        "trial": time.perf_counter() - exported,
    }
    info = {
        "config": asdict(config),
        "recording": recording,
        "training": training,
        "trial": trial,
        "seconds": seconds,
        "goals": len(goals),
    }
    (work / _RECORDING).unlink(missing_ok=True)
    (work / _TRAINING / "checkpoint.pt").unlink(missing_ok=True)
    (work / _RESULT).write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
    entry.finish()


def _record(
    config: PreparationConfig, work: Path, announce: Announce, progress: bool | None
) -> tuple[Demonstrations, dict[str, Any]]:
    from vla_rt.datasets import Demonstrations
    from vla_rt.tasks import RecordingConfig, record_demonstrations

    file, notes = work / _RECORDING, work / "recording.json"
    if file.exists() and notes.exists():
        announce("going on with the demonstrations that an interrupted run recorded")
        return Demonstrations.load(file), json.loads(notes.read_text(encoding="utf-8"))
    announce(f"recording {config.episodes} demonstrations of the scripted expert in the simulator")
    recording = RecordingConfig(episodes=config.episodes, seed=config.seed)
    demonstrations, statistics = record_demonstrations(recording, progress)
    figures = {"frames": len(demonstrations), "episodes": config.episodes, **statistics.to_dict()}
    partial = file.with_suffix(".partial")
    demonstrations.save(partial)
    notes.write_text(json.dumps(figures), encoding="utf-8")
    partial.replace(file)
    return demonstrations, figures


def _train(
    config: PreparationConfig,
    demonstrations: Demonstrations,
    directory: Path,
    announce: Announce,
    progress: bool | None,
) -> tuple[FlowMatchingPolicy, dict[str, Any]]:
    import sys

    import torch

    from vla_rt.policies import FeatureSpec, FlowMatchingConfig, FlowMatchingPolicy
    from vla_rt.training import BatchSource, TrainConfig, fastest_num_threads, train

    announce(f"training a flow matching policy on {len(demonstrations)} frames")
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        policy = FlowMatchingPolicy(
            FlowMatchingConfig(
                observation=tuple(FeatureSpec(n, s) for n, s in demonstrations.observation_features.items()),
                horizon=demonstrations.horizon,
                action_dim=demonstrations.columns["action"].shape[1],
                period_s=1.0 / demonstrations.fps,
                execution_horizon=2,
                hidden=config.hidden,
                encoder_hidden=config.encoder_hidden,
                prediction="action",
            )
        )
    policy.set_statistics(demonstrations.stats)
    names = [*demonstrations.observation_features, "action"]
    batch = BatchSource(demonstrations, names, config.batch_size, config.seed).batch(0)
    settings = TrainConfig(
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        warmup_steps=min(200, config.steps // 10),
        ema_decay=0.999,
        seed=config.seed,
        output_dir=directory,
        checkpoint_every=500,
        resume=True,
        num_threads=fastest_num_threads(policy, batch),
        progress=sys.stderr.isatty() if progress is None else progress,
    )
    try:
        result = train(policy, demonstrations, settings)
    except FormatError:  # a checkpoint that cannot be read is no reason to give up
        (directory / "checkpoint.pt").unlink(missing_ok=True)
        result = train(policy, demonstrations, settings)
    return policy, {
        "steps": result.steps,
        "loss": result.loss,
        "parameters": sum(p.numel() for p in policy.parameters()),
    }


def _try(package: Path, config: PreparationConfig, announce: Announce) -> dict[str, Any] | None:
    if config.evaluation_s == 0:
        return None
    from vla_rt.package import load_policy
    from vla_rt.tasks import EvaluationConfig, evaluate

    announce(f"trying the package for {config.evaluation_s:g} s of simulated time")
    trial = EvaluationConfig(duration_s=config.evaluation_s, seed=config.seed + 1_000_003)
    return evaluate(load_policy(package), trial).to_dict()
