"""DAgger: imitation on the states that the learner itself comes to (Ross, Gordon and Bagnell 2011)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from vla_rt.datasets.feature_statistics import Statistics, of_rows
from vla_rt.errors import ConfigError, error, require
from vla_rt.training.environment import Environment
from vla_rt.training.train_config import TrainConfig
from vla_rt.training.trainer import train

__all__ = ["DaggerConfig", "DaggerIteration", "DaggerResult", "LabelledStates", "dagger"]

#: What the expert would do from an observation on: a chunk (T, D), raw.
Expert = Callable[[Mapping[str, Any]], ArrayLike]


@dataclass(frozen=True)
class DaggerConfig:
    """Settings of ``dagger``.

    Attributes:
        iterations: Rounds of acting, labelling and training.
        episodes: Per round.
        max_steps: After which an episode is cut off.
        beta: In round i the expert acts with probability beta^i, else the learner; so the first round is the
            expert's alone. 0 leaves all further rounds to the learner, 1 is plain cloning.
        first_row: Row of a chunk that the first step executes: 0 for actions that act at once, 1 for
            positions to be at when the step ends, where row 0 is the position for now.
        train: Settings of the training of each round; its folder, if any, gets one folder per round.
        seed: Of episodes, of who acts, and of the learner's noise.
    """

    iterations: int = 5
    episodes: int = 10
    max_steps: int = 200
    beta: float = 0.5
    first_row: int = 0
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=1000, progress=False))
    seed: int = 0

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        for name in ("iterations", "episodes", "max_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be >= 1")
        require(0.0 <= self.beta <= 1.0, "beta", self.beta, "must be in [0, 1]")
        require(self.first_row >= 0, "first_row", self.first_row, "must be >= 0")
        require(self.seed >= 0, "seed", self.seed, "must be >= 0")
        self.train.validate()


@dataclass(frozen=True)
class DaggerIteration:
    """One round.

    Attributes:
        beta: Probability with which the expert acted.
        labels: Labelled states so far.
        mean_return: Sum of the rewards of an episode, mean over the round.
        loss: At the end of the training.
    """

    beta: float
    labels: int
    mean_return: float
    loss: float


@dataclass(frozen=True)
class DaggerResult:
    """What came out.

    Attributes:
        iterations: The rounds.
        dataset: Every state that was visited, with what the expert would have done there.
    """

    iterations: tuple[DaggerIteration, ...]
    dataset: LabelledStates


class LabelledStates:
    """A dataset that grows: observations by feature, and the expert's chunk for each."""

    def __init__(self) -> None:
        self._rows: dict[str, list[NDArray[Any]]] = {}
        self._columns: dict[str, NDArray[Any]] = {}

    def add(self, observation: Mapping[str, Any], action: NDArray[Any], episode: int, frame: int) -> None:
        """Adds one state with the chunk (T, D) that belongs there."""
        row = {
            **observation,
            "action": action,
            "episode_index": np.int64(episode),
            "frame_index": np.int64(frame),
        }
        for name, value in row.items():
            self._rows.setdefault(name, []).append(np.array(value))
        self._columns = {}

    def __len__(self) -> int:
        """Number of states."""
        return len(self._rows.get("action", ()))

    def __getitem__(self, index: int) -> dict[str, NDArray[Any]]:
        """State ``index``."""
        return {name: values[index] for name, values in self._rows.items()}

    def batch(self, indices: ArrayLike) -> dict[str, NDArray[Any]]:
        """States ``indices`` (B,), each value with a leading axis B."""
        if not self._columns:
            self._columns = {name: np.stack(values) for name, values in self._rows.items()}
        at = np.asarray(indices, dtype=np.int64)
        return {name: values[at] for name, values in self._columns.items()}

    @property
    def stats(self) -> dict[str, Statistics]:
        """Statistics by feature; of actions, over all rows of all chunks."""
        columns = {k: v for k, v in self.batch(np.arange(len(self))).items() if not k.endswith("_index")}
        columns["action"] = columns["action"].reshape(-1, columns["action"].shape[-1])
        return {name: of_rows(values) for name, values in columns.items()}


def dagger(
    policy: nn.Module,
    environment: Environment,
    expert: Expert,
    config: DaggerConfig | None = None,
    announce: Callable[[DaggerIteration], None] = lambda iteration: None,
) -> DaggerResult:
    """Trains a policy in place on an expert's answers to the states that it comes to by itself.

    Each round lets the two act, asks the expert at every step, adds the answers to those of all rounds before
    and trains on all of them, from the weights it has, with their statistics. The learner executes
    ``execution_horizon`` rows of each chunk.

    Args:
        policy: A module with ``config``, ``loss`` and ``predict``.
        environment: Where they act.
        expert: What it would do.
        config: Settings; validated here.
        announce: Told of each round.

    Raises:
        ConfigError: A setting is out of bounds, or the expert's chunk has another shape or is not finite.
        ModelError: The loss is no longer finite.
    """
    config = config if config is not None else DaggerConfig()
    config.validate()
    learner: Any = policy
    last = learner.config.horizon - learner.config.execution_horizon
    bound = f"must be 0..horizon - execution_horizon = {last}"
    require(config.first_row <= last, "first_row", config.first_row, bound)
    random = np.random.default_rng(config.seed)
    dataset = LabelledStates()
    rounds: list[DaggerIteration] = []
    for i in range(config.iterations):
        beta = config.beta**i
        returns = []
        for e in range(config.episodes):
            episode = i * config.episodes + e
            returns.append(_act(learner, environment, expert, config, dataset, episode, beta, random))
        folder = config.train.output_dir
        settings = replace(
            config.train,
            seed=config.train.seed + i,
            output_dir=None if folder is None else folder / f"round_{i}",
        )
        if hasattr(policy, "set_statistics"):
            learner.set_statistics(dataset.stats)
        result = train(policy, dataset, settings)
        rounds.append(DaggerIteration(beta, len(dataset), float(np.mean(returns)), result.loss))
        announce(rounds[-1])
    return DaggerResult(tuple(rounds), dataset)


def _act(
    policy: Any,
    environment: Environment,
    expert: Expert,
    config: DaggerConfig,
    dataset: LabelledStates,
    episode: int,
    beta: float,
    random: np.random.Generator,
) -> float:
    """One episode, every step of it labelled; returns the sum of its rewards."""
    shape = (policy.config.horizon, policy.config.action_dim)
    observation = environment.reset(int(random.integers(2**31)))
    plan: list[NDArray[Any]] = []
    total = 0.0
    for step in range(config.max_steps):
        answer = np.asarray(expert(observation), dtype=np.float64)
        where = f"expert (episode {episode}, frame {step})"
        require(answer.shape == shape, f"{where}.shape", answer.shape, f"must be {shape}")
        for at in map(tuple, np.argwhere(~np.isfinite(answer))[:1].tolist()):
            raise error(ConfigError, f"{where}{list(at)}", answer[at], "must be finite")
        dataset.add(observation, answer, episode, step)
        if not plan:
            leads = random.random() < beta
            chunk = answer if leads else policy.predict(observation, seed=int(random.integers(2**31)))
            rows = np.asarray(chunk)[config.first_row :]
            plan = list(rows[: policy.config.execution_horizon])
        observation, reward, over = environment.step(plan.pop(0))
        total += reward
        if over:
            break
    return total
