"""Action tokens one after the other, from a context that a backbone computed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.networks.attention import TransformerBlock, causal_mask
from vla_rt.policies.networks.context_tokens import ContextTokens
from vla_rt.policies.token_policy import TokenChunkPolicy, TokenPolicyConfig


@dataclass(frozen=True)
class ActionTokenPredictorConfig(TokenPolicyConfig):
    """Sizes of an ``ActionTokenPredictor``.

    Attributes:
        width: Of the tokens.
        layers: Decoder blocks.
        heads: Of every attention.
        dropout: On every branch.
    """

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("context", (213, 512)),)
    horizon: int = 1
    execution_horizon: int = 1
    unnormalized: tuple[str, ...] = ("context",)
    width: int = 512
    layers: int = 6
    heads: int = 8
    dropout: float = 0.1

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("width", "layers", "heads")
        self._require_multiple("width", "heads")
        self._require_fraction("dropout")
        self._require_tokens_of_context()


class ActionTokenPredictor(TokenChunkPolicy):
    """A causal transformer over action tokens that attends to the context.

    Position i answers token i from a start token and the tokens before i, in training (all at once, the true
    tokens) and when generating (one at a time, its own tokens, keys and values kept).

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: ActionTokenPredictorConfig

    def __init__(self, config: ActionTokenPredictorConfig | None = None) -> None:
        config = config if config is not None else ActionTokenPredictorConfig()
        super().__init__(config)
        width = config.width
        self.start_token = config.vocabulary_size
        self.context = ContextTokens(config.observation, width)
        self.tokens = nn.Embedding(config.vocabulary_size + 1, width)
        self.positions = nn.Parameter(torch.randn(config.num_tokens, width) * 0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, config.heads, 4 * width, config.dropout, has_memory=True)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.vocabulary_size)

    def encode(self, *observation: Tensor) -> Tensor:
        """Context tokens (B, L, width)."""
        context: Tensor = self.context(*observation)
        return context

    def logits(self, tokens: Tensor, context: Tensor) -> Tensor:
        """Logits (B, N, V) of every token given those before it in ``tokens`` (B, N): teacher forcing."""
        start = torch.full_like(tokens[:, :1], self.start_token)
        h = self.tokens(torch.cat([start, tokens[:, :-1]], dim=1)) + self.positions
        visible = causal_mask(h.shape[1], h.device)
        for block in self.blocks:
            h = block(h, context, visible)
        logits: Tensor = self.head(self.norm(h))
        return logits

    def cache_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Keys and values of every block: (heads, N, width / heads)."""
        c = self.config
        return ((c.heads, c.num_tokens, c.width // c.heads),) * (2 * c.layers)

    def next_token_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], context: Tensor
    ) -> Tensor:
        """Logits (1, V) of the token at ``position`` (1,), given the one before it, ``token`` (1,)."""
        h = (self.tokens(token) + self.positions.index_select(0, position))[:, None]
        for block, keys, values in zip(self.blocks, caches[::2], caches[1::2], strict=True):
            assert isinstance(block, TransformerBlock)
            h = block.step(h, position, (keys, values), context)
        logits: Tensor = self.head(self.norm(h[:, 0]))
        return logits
