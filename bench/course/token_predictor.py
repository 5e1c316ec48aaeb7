"""(e) ActionTokenPredictor: a causal decoder over seven action tokens with cross attention to the context."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course.policy import ACTION_DIM, CourseConfig, CoursePolicy

VOCABULARY = 256


class Attention(nn.Module):
    """Multi-head attention whose keys and values can be computed apart from its queries."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def split(self, h: Tensor) -> Tensor:
        """(B, heads, n, width per head)."""
        return h.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(self, h: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        seen = F.scaled_dot_product_attention(self.split(self.query(h)), keys, values, attn_mask=mask)
        answer: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return answer


class DecoderLayer(nn.Module):
    """Self attention, cross attention, feed-forward; norms after each."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.own, self.cross = Attention(width, heads), Attention(width, heads)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm_own, self.norm_cross, self.norm_out = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, h: Tensor, keys: Tensor, values: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """For keys and values of the tokens so far, `mask` (n, keys) True where they may be seen."""
        h = self.norm_own(h + self.own(h, keys, values, mask))
        cross = self.cross
        h = self.norm_cross(h + cross(h, cross.split(cross.key(memory)), cross.split(cross.value(memory))))
        result: Tensor = self.norm_out(h + self.narrow(F.relu(self.widen(h))))
        return result


class TokenPredictor(CoursePolicy):
    """Vocabulary 256, one token per action dimension, context of 213 vectors."""

    def __init__(self, width: int = 512, layers: int = 6, heads: int = 8, context: int = 213) -> None:
        super().__init__()
        self.config = CourseConfig(
            (("context", (context, width), "float32"),), horizon=1, execution_horizon=1
        )
        self.embedding, self.places = nn.Embedding(VOCABULARY + 1, width), nn.Embedding(ACTION_DIM, width)
        self.layers = nn.ModuleList(DecoderLayer(width, heads) for _ in range(layers))
        self.head = nn.Linear(width, VOCABULARY)
        self._cache_shape = (heads, ACTION_DIM, width // heads)

    def sampler_spec(self) -> dict[str, Any]:
        """Greedy, one token for each dimension."""
        return {
            "type": "autoregressive",
            "num_tokens": ACTION_DIM,
            "mode": "greedy",
            "temperature": 1.0,
            "top_k": 0,
            "top_p": 1.0,
            "stop_token": None,
            "parallel": False,
            "vocab_size": VOCABULARY,
            "start_token": VOCABULARY,
        }

    def tokenizer_spec(self) -> dict[str, Any]:
        """Equal bins of [-1, 1]."""
        return {"type": "uniform", "low": [-1.0], "high": [1.0], "num_bins": VOCABULARY}

    def cache_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Keys and values of every layer."""
        return (self._cache_shape,) * (2 * len(self.layers))

    def next_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], context: Tensor
    ) -> Tensor:
        """Logits (1, V) of the token at `position`, which follows `token`."""
        h = (self.embedding(token) + self.places(position))[:, None]
        mask = (torch.arange(ACTION_DIM, device=h.device) <= position)[None]
        for layer, keys, values in zip(self.layers, caches[::2], caches[1::2], strict=True):
            keys.index_copy_(2, position, layer.own.split(layer.own.key(h)))
            values.index_copy_(2, position, layer.own.split(layer.own.value(h)))
            h = layer(h, keys, values, context, mask)
        logits: Tensor = self.head(h[:, 0])
        return logits

    def all_logits(self, tokens: Tensor, context: Tensor) -> Tensor:
        """Logits (B, n + 1, V) of every position, without caches, from the tokens (B, n) before."""
        start = torch.full((tokens.shape[0], 1), VOCABULARY, device=tokens.device)
        h = self.embedding(torch.cat([start, tokens], dim=1))
        n = h.shape[1]
        h = h + self.places.weight[:n]
        mask = torch.ones((n, n), dtype=torch.bool, device=h.device).tril()
        for layer in self.layers:
            own = layer.own
            h = layer(h, own.split(own.key(h)), own.split(own.value(h)), context, mask)
        logits: Tensor = self.head(h)
        return logits
