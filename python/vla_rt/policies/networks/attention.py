"""Transformer blocks that run over whole sequences or, with caches of keys and values, token by token."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Cache = tuple[Tensor, Tensor]


class Attention(nn.Module):
    """Multi-head scaled dot-product attention.

    Args:
        width: Of queries, keys, values and the output; a multiple of ``heads``.
        heads: Number of heads.
        dropout: Probability on the attention weights.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def keys_values(self, values: Tensor, positions: Tensor | None = None) -> Cache:
        """Keys of ``values`` (+ ``positions``) and values, each (B, heads, n, width / heads)."""
        placed = values if positions is None else values + positions
        return self._split(self.key(placed)), self._split(self.value(values))

    def forward(self, queries: Tensor, keys_values: Cache, visible: Tensor | None = None) -> Tensor:
        """What ``queries`` (B, n, width) see: (B, n, width).

        Args:
            queries: Before their projection.
            keys_values: Of ``keys_values``, m of them.
            visible: Bool, broadcast to (B, heads, n, m): which keys a query sees. None: all.
        """
        keys, values = keys_values
        seen = F.scaled_dot_product_attention(
            self._split(self.query(queries)),
            keys,
            values,
            attn_mask=visible,
            dropout_p=self.dropout if self.training else 0.0,
        )
        joined: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return joined

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class TransformerBlock(nn.Module):
    """Self attention, attention to a memory where it is asked for, feed-forward; normalised before each.

    Args:
        width: Of the tokens.
        heads: Of every attention.
        feed_forward: Hidden width of the feed-forward part.
        dropout: On every branch.
        has_memory: Whether it attends to a memory.
    """

    def __init__(
        self, width: int, heads: int, feed_forward: int, dropout: float = 0.0, has_memory: bool = False
    ) -> None:
        super().__init__()
        self.self_norm, self.self_attention = nn.LayerNorm(width), Attention(width, heads, dropout)
        self.memory_norm = nn.LayerNorm(width) if has_memory else None
        self.memory_attention = Attention(width, heads, dropout) if has_memory else None
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, feed_forward), nn.ReLU(), nn.Dropout(dropout), nn.Linear(feed_forward, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, h: Tensor, memory: Tensor | None = None, visible: Tensor | None = None) -> Tensor:
        """Whole sequences: h (B, n, width), memory (B, m, width), ``visible`` of the self attention."""
        return self.advance(h, self.keys_values(h), visible, memory)

    def step(self, h: Tensor, position: Tensor, cache: Cache, memory: Tensor | None = None) -> Tensor:
        """One token h (B, 1, width) at ``position`` (1,), which sees those before it through the cache."""
        self.remember(h, position, cache)
        visible = torch.arange(cache[0].shape[2], device=h.device)[None] <= position
        return self.advance(h, cache, visible, memory)

    def keys_values(self, h: Tensor) -> Cache:
        """What later tokens see of h (B, n, width)."""
        return self.self_attention.keys_values(self.self_norm(h))

    def remember(self, h: Tensor, position: Tensor, cache: Cache) -> None:
        """Writes key and value of h (B, 1, width) into ``cache`` (B, heads, N, width / heads), in place."""
        key, value = self.keys_values(h)
        cache[0].index_copy_(2, position, key)
        cache[1].index_copy_(2, position, value)

    def advance(
        self, h: Tensor, keys_values: Cache, visible: Tensor | None = None, memory: Tensor | None = None
    ) -> Tensor:
        """Tokens h (B, n, width) that see what ``keys_values`` holds, their own included, and the memory."""
        h = h + self.drop(self.self_attention(self.self_norm(h), keys_values, visible))
        return self._after_self(h, memory)

    def _after_self(self, h: Tensor, memory: Tensor | None) -> Tensor:
        if self.memory_attention is not None and self.memory_norm is not None:
            assert memory is not None
            seen = self.memory_attention(self.memory_norm(h), self.memory_attention.keys_values(memory))
            h = h + self.drop(seen)
        result: Tensor = h + self.drop(self.feed(self.feed_norm(h)))
        return result


def causal_mask(length: int, device: torch.device) -> Tensor:
    """Bool (n, n): position i sees 0..i."""
    return torch.ones((length, length), dtype=torch.bool, device=device).tril()
