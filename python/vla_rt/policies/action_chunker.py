"""Features of a backbone to a chunk, one action after the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vla_rt.policies.action_decoder import FeaturePolicyConfig
from vla_rt.policies.direct_policy import RegressionPolicy
from vla_rt.policies.networks.action_head import ActionHead
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.observation_encoder import joined


@dataclass(frozen=True)
class ActionChunkerConfig(FeaturePolicyConfig):
    """Sizes of an ``ActionChunker``.

    Attributes:
        update_hidden: Hidden width of the network that updates the features.
    """

    horizon: int = 10
    execution_horizon: int = 10
    update_hidden: int = 256

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("update_hidden")


class ActionChunker(RegressionPolicy):
    """Decodes an action, updates the features with it, and repeats.

    Training sees the same: every action follows from those the network itself predicted.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: ActionChunkerConfig

    def __init__(self, config: ActionChunkerConfig | None = None) -> None:
        config = config if config is not None else ActionChunkerConfig()
        super().__init__(config)
        features = config.feature_size
        self.decoder = ActionHead(features, config.hidden, config.action_dim)
        self.update = mlp([features + config.action_dim, config.update_hidden, features])

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D) in normalised units."""
        features = joined(observation)
        actions: list[Tensor] = []
        for _ in range(self.config.horizon):
            if actions:
                features = features + self.update(torch.cat([features, actions[-1]], dim=1))
            actions.append(self.decoder(features))
        return torch.stack(actions, dim=1)


@dataclass(frozen=True)
class LSTMActionChunkerConfig(FeaturePolicyConfig):
    """Sizes of an ``LSTMActionChunker``; ``hidden`` are the layers between the LSTM and the action.

    Attributes:
        lstm_width: Of the hidden state.
        lstm_layers: Number of layers.
    """

    horizon: int = 10
    execution_horizon: int = 10
    hidden: tuple[int, ...] = ()
    lstm_width: int = 256
    lstm_layers: int = 2

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("lstm_width", "lstm_layers")


class LSTMActionChunker(RegressionPolicy):
    """A two-layer LSTM reads the features at each of T steps and answers one action per step.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: LSTMActionChunkerConfig

    def __init__(self, config: LSTMActionChunkerConfig | None = None) -> None:
        config = config if config is not None else LSTMActionChunkerConfig()
        super().__init__(config)
        width = config.lstm_width
        self.lstm = nn.LSTM(config.feature_size, width, config.lstm_layers, batch_first=True)
        self.decoder = ActionHead(width, config.hidden, config.action_dim)

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D) in normalised units."""
        features = joined(observation)[:, None].expand(-1, self.config.horizon, -1)
        states, _ = self.lstm(features)
        actions: Tensor = self.decoder(states)
        return actions
