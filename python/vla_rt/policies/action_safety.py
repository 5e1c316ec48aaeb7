"""Safety in front of a robot: a filter around any policy, and a learned judge of actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from vla_rt import ConstraintEnforcer, JointLimits
from vla_rt.errors import ConfigError, error, require
from vla_rt.policies.checked_config import CheckedConfig
from vla_rt.policies.chunk_policy import batch_entry
from vla_rt.policies.networks.mlp import mlp


@dataclass(frozen=True)
class SafeActionConfig(CheckedConfig):
    """How a ``SafeActionWrapper`` filters.

    Attributes:
        limits: Position, velocity, acceleration and jerk of the N joints, the first N values of an action.
        period_s: Time between two rows [s]; None takes the policy's.
        substeps: Ticks of the filter per row.
        position: Name of the feature whose first N values are the joint positions now.
        action: Key of the actions in an output that is a dict.
    """

    limits: JointLimits
    period_s: float | None = None
    substeps: int = 10
    position: str = "observation.state"
    action: str = "action"

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        self._require_positive("substeps")
        if self.period_s is not None:
            self._require_above_zero("period_s")


@dataclass(frozen=True)
class SafeActionReport:
    """What a ``SafeActionWrapper`` did to one chunk.

    Attributes:
        limited: Rows that were changed (T,).
        deviation: Wish minus given (T, N) [rad].
    """

    limited: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    deviation: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))


class SafeActionWrapper(nn.Module):
    """Any policy over joint positions, its chunks led through a ``ConstraintEnforcer``.

    The filter starts at rest at the observed position and moves by ``substeps`` ticks per row; row k of the
    answer is where the joints are then. It is meant for evaluating a policy by itself: a ``ControlLoop``
    filters every tick already, which is why a wrapper cannot be exported; export the policy inside.

    Args:
        policy: A module with ``predict`` and ``loss``; or one whose outputs are given to ``filter``.
        config: Limits; validated here.

    Attributes:
        report: Of the last chunk.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds, or no period is known.
    """

    def __init__(self, policy: nn.Module, config: SafeActionConfig) -> None:
        super().__init__()
        config.validate()
        self.policy, self.config = policy, config
        self.report = SafeActionReport()
        period_s = config.period_s
        if period_s is None:
            own = getattr(policy, "config", None)
            require(hasattr(own, "period_s"), "period_s", None, "must be given: the policy has none")
            period_s = float(own.period_s)  # type: ignore[union-attr]
        self._enforcer = ConstraintEnforcer(config.limits, period_s / config.substeps)
        self._joints = len(np.asarray(config.limits.max_velocity))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Same as ``loss``."""
        return self.loss(batch)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The policy's."""
        policy: Any = self.policy
        result: Tensor = policy.loss(batch)
        return result

    def predict(
        self,
        observation: Mapping[str, ArrayLike],
        noise: ArrayLike | None = None,
        step_noise: ArrayLike | None = None,
        seed: int = 0,
    ) -> NDArray[np.float64]:
        """The policy's chunk (T, D), filtered; arguments and errors as the policy's ``predict``.

        Raises:
            ConfigError: Also where the observation lacks the joint positions.
        """
        policy: Any = self.policy
        chunk: NDArray[np.float64] = policy.predict(observation, noise, step_noise, seed)
        name = self.config.position
        require(name in observation, name, "missing", "the filter starts at the joint positions")
        position = np.asarray(observation[name], dtype=np.float64).reshape(-1)[: self._joints]
        return self._filtered(chunk, position)

    def filter(self, output: Any, position: ArrayLike) -> Any:
        """An output of a policy, filtered: the same kind of thing comes back.

        Args:
            output: Actions (T, D) or (D,), a tensor or array, or a dict with them.
            position: Joint positions now (N,).

        Raises:
            ConfigError: The shape does not fit, or the dict has no actions.
        """
        if isinstance(output, Mapping):
            require(self.config.action in output, self.config.action, "missing", f"has {sorted(output)}")
            return {**output, self.config.action: self.filter(output[self.config.action], position)}
        raw = output.detach().cpu().numpy() if isinstance(output, Tensor) else np.asarray(output)
        filtered = self._filtered(np.atleast_2d(raw).astype(np.float64), position).reshape(raw.shape)
        if isinstance(output, Tensor):
            return torch.from_numpy(filtered).to(output)
        return filtered

    def _filtered(self, chunk: NDArray[np.float64], position: ArrayLike) -> NDArray[np.float64]:
        require(
            chunk.ndim == 2 and chunk.shape[1] >= self._joints,
            self.config.action,
            f"shape {chunk.shape}",
            f"must be (T, D) with D >= {self._joints}",
        )
        start = np.asarray(position, dtype=np.float64)
        self._enforcer.reset(start)
        wishes = chunk[:, : self._joints]
        steps = self.config.substeps
        before = np.vstack([start, wishes[:-1]])
        parts = (np.arange(steps) + 1.0) / steps
        targets = before[:, None] + (wishes - before)[:, None] * parts[None, :, None]
        run = self._enforcer.run(targets.reshape(-1, self._joints))
        given = run["position"][steps - 1 :: steps]
        limited: NDArray[np.bool_] = np.any(np.asarray(run["limited"]).reshape(-1, steps), axis=1)
        self.report = SafeActionReport(limited, wishes - given)
        return np.hstack([given, chunk[:, self._joints :]])


@dataclass(frozen=True)
class ActionSafetyConfig(CheckedConfig):
    """Sizes of an ``ActionSafetyValidator``.

    Attributes:
        action_dim: D.
        hidden: Widths of the critic's hidden layers.
        constraint_hidden: Hidden width of the position and velocity networks.
        threshold: Mean score from which an action is safe.
        shrink: Factor by which an unsafe action is made smaller.
        max_shrinks: How often, before the answer is 0.
    """

    action_dim: int = 7
    hidden: tuple[int, ...] = (128, 64, 32)
    constraint_hidden: int = 64
    threshold: float = 0.8
    shrink: float = 0.8
    max_shrinks: int = 20

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        self._require_positive("action_dim", "hidden", "constraint_hidden", "max_shrinks")
        for name in ("threshold", "shrink"):
            value = getattr(self, name)
            require(0.0 < value < 1.0, name, value, "must be in (0, 1)")


class ActionSafetyValidator(nn.Module):
    """Learned scores of actions in [-1, 1]: a critic D -> 128 -> 64 -> 32 -> 1, position, velocity.

    It learns what examples called safe; the limits themselves are kept by a ``ConstraintEnforcer``, which
    needs no learning.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    def __init__(self, config: ActionSafetyConfig | None = None) -> None:
        super().__init__()
        config = config if config is not None else ActionSafetyConfig()
        config.validate()
        self.config = config
        self.critic = mlp([config.action_dim, *config.hidden, 1])
        self.position = mlp([config.action_dim, config.constraint_hidden, 1])
        self.velocity = mlp([config.action_dim, config.constraint_hidden, 1])

    def scores(self, action: Tensor) -> Tensor:
        """Scores in [0, 1] of critic, position and velocity: (..., D) to (..., 3)."""
        return self._logits(action).sigmoid()

    def is_safe(self, action: Tensor) -> Tensor:
        """Whether the mean score reaches the threshold: (..., D) to bool (...)."""
        return self.scores(action).mean(dim=-1) >= self.config.threshold

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Same as ``loss``."""
        return self.loss(batch)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Binary cross entropy of the three scores.

        Args:
            batch: ``action`` (B, D) and ``safe`` (B,), 0 or 1; optionally ``position_safe`` and
                ``velocity_safe`` (B,), which are ``safe`` where they are missing.

        Raises:
            ConfigError: A key is missing, or a shape or label is wrong.
        """
        action = batch_entry(batch, "action")
        bound = f"must be (B, {self.config.action_dim})"
        fits = action.dim() == 2 and action.shape[1] == self.config.action_dim
        require(fits, "action", f"shape {tuple(action.shape)}", bound)
        safe = batch_entry(batch, "safe")
        labels = [safe, batch.get("position_safe", safe), batch.get("velocity_safe", safe)]
        for name, label in zip(("safe", "position_safe", "velocity_safe"), labels, strict=True):
            require(label.shape == action.shape[:1], name, tuple(label.shape), f"must be ({len(action)},)")
            bad = torch.nonzero((label < 0) | (label > 1))
            if bad.numel():
                at = int(bad[0])
                raise error(ConfigError, f"{name}[{at}]", label[at].item(), "must be in [0, 1]")
        logits = self._logits(action)
        return F.binary_cross_entropy_with_logits(logits, torch.stack(labels, dim=1).to(logits))

    @torch.no_grad()
    def safe_action_generation(self, action: Tensor) -> Tensor:
        """The action (..., D) clamped to [-1, 1] and shrunk until it is safe; 0 where it never is."""
        clamped = action.clamp(-1.0, 1.0)
        result, found = torch.zeros_like(clamped), torch.zeros_like(clamped[..., 0], dtype=torch.bool)
        for k in range(self.config.max_shrinks + 1):
            smaller = clamped * self.config.shrink**k
            now = self.is_safe(smaller) & ~found
            result = torch.where(now[..., None], smaller, result)
            found = found | now
        return result

    def _logits(self, action: Tensor) -> Tensor:
        parts = [network(action) for network in (self.critic, self.position, self.velocity)]
        return torch.cat(parts, dim=-1)
