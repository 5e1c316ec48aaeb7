"""Learning from reward alone: REINFORCE with a baseline, and advantage actor-critic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Distribution

from vla_rt.errors import ModelError, error, require
from vla_rt.training.environment import Environment

__all__ = ["Actor", "PolicyGradientConfig", "PolicyGradientResult", "actor_critic", "reinforce"]


class Actor(Protocol):
    """What the two need of an ``nn.Module``."""

    def distribution(self, batch: Mapping[str, Tensor]) -> Distribution:
        """Distribution of raw actions, each draw (B, D), for raw observations (B, ...) by name."""

    def value(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Expected return (B,) from there on; only actor-critic asks for it."""


@dataclass(frozen=True)
class PolicyGradientConfig:
    """Settings of ``reinforce`` and ``actor_critic``.

    Attributes:
        iterations: Rounds of acting and one step of the optimiser.
        episodes: Per round.
        max_steps: After which an episode is cut off.
        discount: Of a reward one step later.
        learning_rate: Adam's.
        entropy_weight: Reward for keeping an open mind.
        value_weight: Of the value's squared error; actor-critic.
        trace_decay: lambda of the generalised advantage (Schulman et al. 2016); actor-critic.
        grad_clip: Largest norm of the gradient; 0 does not clip.
        seed: Of episodes and actions.
    """

    iterations: int = 100
    episodes: int = 8
    max_steps: int = 200
    discount: float = 0.99
    learning_rate: float = 3e-3
    entropy_weight: float = 0.0
    value_weight: float = 0.5
    trace_decay: float = 0.95
    grad_clip: float = 1.0
    seed: int = 0

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        for name in ("iterations", "episodes", "max_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be >= 1")
        for name in ("discount", "trace_decay"):
            require(0.0 <= getattr(self, name) <= 1.0, name, getattr(self, name), "must be in [0, 1]")
        rate = self.learning_rate
        require(math.isfinite(rate) and rate > 0.0, "learning_rate", rate, "must be finite and > 0")
        for name in ("entropy_weight", "value_weight", "grad_clip"):
            value = getattr(self, name)
            require(math.isfinite(value) and value >= 0.0, name, value, "must be finite and >= 0")
        require(self.seed >= 0, "seed", self.seed, "must be >= 0")


@dataclass(frozen=True)
class PolicyGradientResult:
    """What came out.

    Attributes:
        returns: Undiscounted return of an episode, mean of each round before its step.
    """

    returns: tuple[float, ...]


@dataclass
class _Episode:
    observations: dict[str, NDArray[Any]]  # (n, ...)
    actions: NDArray[np.float32]  # (n, D)
    rewards: NDArray[np.float64]  # (n,)
    last: Mapping[str, NDArray[Any]] | None  # where it was cut off; None if it ended

    def returns(self, discount: float) -> NDArray[np.float64]:
        """Discounted reward to go (n,)."""
        return _discounted(self.rewards, discount)


Told = Callable[[int, float], None]


def reinforce(
    policy: nn.Module,
    environment: Environment,
    config: PolicyGradientConfig | None = None,
    announce: Told = lambda iteration, mean_return: None,
) -> PolicyGradientResult:
    """Follows the gradient of E[log pi * return] (Williams 1992), in place.

    The baseline of a step is the mean return to go of the round's other episodes at that step, which leaves
    the gradient unbiased; with one episode a round there is none.

    Args:
        policy: A module with ``distribution``, see ``Actor``.
        environment: Where it acts.
        config: Settings; validated here.
        announce: Told of each round's number and mean return.

    Raises:
        ConfigError: A setting is out of bounds.
        ModelError: The loss is no longer finite.
    """

    def loss(episodes: list[_Episode], settings: PolicyGradientConfig) -> Tensor:
        advantages = np.concatenate(_above_the_others([e.returns(settings.discount) for e in episodes]))
        return _policy_loss(policy, episodes, advantages, settings)

    return _learn(policy, environment, config, announce, loss)


def actor_critic(
    policy: nn.Module,
    environment: Environment,
    config: PolicyGradientConfig | None = None,
    announce: Told = lambda iteration, mean_return: None,
) -> PolicyGradientResult:
    """Follows the policy gradient with the advantage over a learnt value (Mnih et al. 2016), in place.

    The advantage is the generalised one; an episode that is cut off goes on with the value of where it was.

    Args:
        policy: A module with ``distribution`` and ``value``, see ``Actor``.
        environment: Where it acts.
        config: Settings; validated here.
        announce: Told of each round's number and mean return.

    Raises:
        ConfigError: A setting is out of bounds.
        ModelError: The loss is no longer finite.
    """
    value_of: Any = policy.value

    def loss(episodes: list[_Episode], settings: PolicyGradientConfig) -> Tensor:
        values = value_of(_batch(episodes))
        known = values.detach().numpy().astype(np.float64)
        advantages, begin = [], 0
        for episode in episodes:
            own = known[begin : begin + len(episode.rewards)]
            begin += len(own)
            after = 0.0 if episode.last is None else _value_of_one(value_of, episode.last)
            surprise = episode.rewards + settings.discount * np.r_[own[1:], after] - own
            advantages.append(_discounted(surprise, settings.discount * settings.trace_decay))
        advantage = np.concatenate(advantages)
        target = torch.from_numpy((advantage + known).astype(np.float32))
        scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        error_of_value: Tensor = (values - target).square().mean()
        return _policy_loss(policy, episodes, scaled, settings) + settings.value_weight * error_of_value

    return _learn(policy, environment, config, announce, loss)


def _learn(
    policy: nn.Module,
    environment: Environment,
    config: PolicyGradientConfig | None,
    announce: Told,
    loss_of: Callable[[list[_Episode], PolicyGradientConfig], Tensor],
) -> PolicyGradientResult:
    config = config if config is not None else PolicyGradientConfig()
    config.validate()
    random = np.random.default_rng(config.seed)
    optimizer = torch.optim.Adam(policy.parameters(), lr=config.learning_rate)
    returns = []
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        for iteration in range(config.iterations):
            episodes = [_act(policy, environment, config, random) for _ in range(config.episodes)]
            returns.append(float(np.mean([episode.rewards.sum() for episode in episodes])))
            announce(iteration, returns[-1])
            loss = loss_of(episodes, config)
            if not bool(torch.isfinite(loss)):
                raise error(ModelError, "loss", float(loss.detach()), f"is not finite in round {iteration}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if config.grad_clip:
                nn.utils.clip_grad_norm_(policy.parameters(), config.grad_clip)
            optimizer.step()
    return PolicyGradientResult(tuple(returns))


@torch.no_grad()
def _act(
    policy: Any, environment: Environment, config: PolicyGradientConfig, random: np.random.Generator
) -> _Episode:
    observation = environment.reset(int(random.integers(2**31)))
    seen: list[dict[str, NDArray[Any]]] = []
    actions: list[NDArray[np.float32]] = []
    rewards: list[float] = []
    over = False
    while not over and len(rewards) < config.max_steps:
        action = policy.distribution(_one(observation)).sample()[0].numpy()
        seen.append({name: np.array(value) for name, value in observation.items()})
        actions.append(action)
        observation, reward, over = environment.step(action)
        rewards.append(float(reward))
    stacked = {name: np.stack([row[name] for row in seen]) for name in seen[0]}
    return _Episode(stacked, np.stack(actions), np.array(rewards), None if over else observation)


def _policy_loss(
    policy: Any, episodes: list[_Episode], advantages: NDArray[np.float64], config: PolicyGradientConfig
) -> Tensor:
    distribution = policy.distribution(_batch(episodes))
    actions = torch.from_numpy(np.concatenate([episode.actions for episode in episodes]))
    likelihood = distribution.log_prob(actions)
    likelihood = likelihood.reshape(len(actions), -1).sum(1)  # independent dimensions
    loss: Tensor = -(likelihood * torch.from_numpy(advantages.astype(np.float32))).mean()
    if config.entropy_weight:
        loss = loss - config.entropy_weight * distribution.entropy().reshape(len(actions), -1).sum(1).mean()
    return loss


def _above_the_others(returns: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Returns to go less the mean of the other episodes' at the same step; an episode that is over has 0."""
    if len(returns) == 1:
        return returns
    longest = max(map(len, returns))
    padded = np.stack([np.pad(r, (0, longest - len(r))) for r in returns])
    others = (padded.sum(0) - padded) / (len(returns) - 1)
    return [r - others[i, : len(r)] for i, r in enumerate(returns)]


def _discounted(values: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Sum of what follows, each step further by the factor less."""
    total = np.empty_like(values)
    ahead = 0.0
    for i in range(len(values) - 1, -1, -1):
        ahead = values[i] + factor * ahead
        total[i] = ahead
    return total


def _batch(episodes: list[_Episode]) -> dict[str, Tensor]:
    parts = {name: [episode.observations[name] for episode in episodes] for name in episodes[0].observations}
    return {name: torch.from_numpy(np.concatenate(values)) for name, values in parts.items()}


def _one(observation: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.asarray(value)[None]) for name, value in observation.items()}


@torch.no_grad()
def _value_of_one(value_of: Any, observation: Mapping[str, NDArray[Any]]) -> float:
    return float(value_of(_one(observation))[0])
