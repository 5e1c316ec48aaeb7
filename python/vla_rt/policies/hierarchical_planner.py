"""High-level actions, each with low-level ones of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from vla_rt.errors import require
from vla_rt.policies.feature_normalizer import NormalizationMode
from vla_rt.policies.features import FeatureSpec, observation_tensors
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.observation_encoder import joined
from vla_rt.policies.token_policy import TokenChunkPolicy, TokenPolicyConfig


@dataclass(frozen=True)
class HierarchicalActionPlannerConfig(TokenPolicyConfig):
    """Sizes of a ``HierarchicalActionPlanner``; an action is (high-level, low-level), both indices.

    Attributes:
        high_actions: Number of high-level actions.
        low_actions: Number of low-level actions, at least ``high_actions``.
        high_hidden: Hidden widths of the high-level network.
        low_hidden: Hidden widths of the low-level networks.
        update_hidden: Hidden width of the network that updates the features.
    """

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("vision", (512,)), FeatureSpec("text", (512,)))
    horizon: int = 5
    execution_horizon: int = 5
    action_dim: int = 2
    observation_normalization: NormalizationMode = "identity"
    action_normalization: NormalizationMode = "identity"
    vocabulary: str = "index"  # type: ignore[assignment]
    vocabulary_size: int = 50
    high_actions: int = 10
    low_actions: int = 50
    high_hidden: tuple[int, ...] = (512, 256)
    low_hidden: tuple[int, ...] = (256, 128)
    update_hidden: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("high_hidden", "low_hidden"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_numbers()
        self._require_positive("high_actions", "low_actions", "high_hidden", "low_hidden", "update_hidden")
        require(self.action_dim == 2, "action_dim", self.action_dim, "must be 2: high-level, low-level")
        require(self.vocabulary == "index", "vocabulary", self.vocabulary, "must be index")
        for name, bound in (
            ("vocabulary_size", f"must be low_actions = {self.low_actions}"),
            ("high_actions", f"must be at most low_actions = {self.low_actions}"),
        ):
            value = getattr(self, name)
            fits = value == self.low_actions if name == "vocabulary_size" else value <= self.low_actions
            require(fits, name, value, bound)


class ActionSequence(NamedTuple):
    """What ``HierarchicalActionPlanner.get_action_sequence`` answers, n actions.

    Attributes:
        high: Chosen high-level actions (n,).
        low: Chosen low-level actions (n,).
        high_probabilities: (n, high_actions).
        low_probabilities: (n, low_actions) under the chosen high-level action.
        features: (n, F) that each choice was made from; the first are the observation's.
    """

    high: Tensor
    low: Tensor
    high_probabilities: Tensor
    low_probabilities: Tensor
    features: Tensor


class HierarchicalActionPlanner(TokenChunkPolicy):
    """10 high-level actions, each with a network of its own for 50 low-level ones; features follow them.

    Tokens are the high-level and the low-level action in turn; after both the features are updated. Training
    takes the true actions for that, generating its own.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: HierarchicalActionPlannerConfig
    _eye: Tensor

    def __init__(self, config: HierarchicalActionPlannerConfig | None = None) -> None:
        config = config if config is not None else HierarchicalActionPlannerConfig()
        super().__init__(config)
        c = config
        self._width = sum(spec.size for spec in c.observation)
        self.high = mlp([self._width, *c.high_hidden, c.high_actions])
        self.low = nn.ModuleList(
            mlp([self._width + c.high_actions, *c.low_hidden, c.low_actions]) for _ in range(c.high_actions)
        )
        self.update = mlp([self._width + c.high_actions + c.low_actions, c.update_hidden, self._width])
        self.register_buffer("_eye", torch.eye(c.low_actions), persistent=False)

    def encode(self, *observation: Tensor) -> Tensor:
        """The features side by side: (B, F)."""
        return joined(observation)

    def logits(self, tokens: Tensor, context: Tensor) -> Tensor:
        """Logits (B, 2 T, V) of every token given those before it in ``tokens`` (B, 2 T)."""
        answers, features = [], context
        for row in tokens.reshape(len(tokens), -1, 2).unbind(dim=1):
            high, low = row.unbind(dim=1)
            answers += [self._high_logits(features), self._low_logits(features, high)]
            features = self._updated(features, high, low)
        return torch.stack(answers, dim=1)

    def cache_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The features and the high-level action that is being carried out."""
        return ((self._width,), (1,))

    def next_token_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], context: Tensor
    ) -> Tensor:
        """Logits (1, V) of the token at ``position`` (1,): even ones are high-level actions."""
        features, high = caches
        is_high = (position % 2 == 0)[:, None]
        before = high[:, 0].long()
        updated = torch.where(is_high, self._updated(features, before, token), features)
        current = torch.where((position == 0)[:, None], context, updated)
        chosen = token.clamp(max=self.config.high_actions - 1)
        answer = torch.where(is_high, self._high_logits(current), self._low_logits(current, chosen))
        chosen_now = torch.where(is_high, high, chosen[:, None].to(high.dtype))
        features.copy_(current)
        high.copy_(chosen_now)
        return answer

    @torch.inference_mode()
    def get_action_sequence(
        self, observation: Mapping[str, ArrayLike], length: int | None = None
    ) -> ActionSequence:
        """The likeliest actions one after the other, with what led to them.

        Args:
            observation: Raw features by name, unbatched.
            length: Number of actions; None takes the horizon.

        Raises:
            ConfigError: A feature is missing, has another shape or is not finite; ``length`` is below 1.
        """
        steps = self.config.horizon if length is None else length
        require(steps >= 1, "length", steps, "must be >= 1")
        features = self.encode(*self._normalized(observation_tensors(observation, self.config.observation)))
        rows: list[tuple[Tensor, ...]] = []
        with self._evaluating():
            for _ in range(steps):
                high_probabilities = self._high_logits(features)[:, : self.config.high_actions].softmax(dim=1)
                high = high_probabilities.argmax(dim=1)
                low_probabilities = self._low_logits(features, high).softmax(dim=1)
                low = low_probabilities.argmax(dim=1)
                rows.append((high, low, high_probabilities, low_probabilities, features))
                features = self._updated(features, high, low)
        return ActionSequence(*(torch.cat(column) for column in zip(*rows, strict=True)))

    def _high_logits(self, features: Tensor) -> Tensor:
        """(B, F) to (B, V); what is no high-level action is out of reach."""
        spare = self.config.vocabulary_size - self.config.high_actions
        return F.pad(self.high(features), (0, spare), value=-1e9)

    def _low_logits(self, features: Tensor, high: Tensor) -> Tensor:
        """(B, F) and the high-level action (B,) to (B, V)."""
        one_hot = self._eye[high][:, : self.config.high_actions]
        inputs = torch.cat([features, one_hot], dim=1)
        answers = torch.stack([network(inputs) for network in self.low], dim=1)
        return (answers * one_hot[:, :, None]).sum(dim=1)

    def _updated(self, features: Tensor, high: Tensor, low: Tensor) -> Tensor:
        """Features (B, F) after the actions (B,) each."""
        done = torch.cat([self._eye[high][:, : self.config.high_actions], self._eye[low]], dim=1)
        result: Tensor = features + self.update(torch.cat([features, done], dim=1))
        return result
