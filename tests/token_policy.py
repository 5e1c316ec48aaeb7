"""A small decoder transformer over tokens, once with caches and once with torch's own modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import vla_rt as vr

VOCABULARY, START, POSITIONS, LAYERS, WIDTH, HEADS = 12, 12, 6, 2, 16, 2


@dataclass(frozen=True)
class TokenConfig:
    observation: tuple[tuple[str, tuple[int, ...], str], ...] = (
        ("observation.state", (3,), "float32"),
        ("words", (5,), "int64"),
    )
    horizon: int = 3
    action_dim: int = 2
    period_s: float = 0.05
    execution_horizon: int = 3


class SmallTokenPolicy(nn.Module):
    """Self attention over the tokens before, cross attention to a state and five words."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.config = TokenConfig()
        self.state, self.words = nn.Linear(3, WIDTH), nn.Embedding(7, WIDTH)
        self.token, self.position = nn.Embedding(VOCABULARY + 1, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(WIDTH, HEADS, 24, dropout=0.1, batch_first=True) for _ in range(LAYERS)
        )
        self.head = nn.Linear(WIDTH, VOCABULARY)
        for name, parameter in self.named_parameters():  # so that no layer repeats another
            offset = 1.0 if "norm" in name and "weight" in name else 0.0
            nn.init.normal_(parameter, offset, 0.4 if parameter.dim() > 1 else 0.1)

    @property
    def normalizers(self) -> dict[str, vr.Normalizer]:
        return {
            "observation.state": vr.Normalizer("mean_std", mean=[1, 2, 3], std=[0.5, 1, 2]),
            "action": vr.Normalizer("min_max", min=[-2.0, 10.0], max=[3.0, 11.0]),
        }

    def sampler_spec(self) -> dict[str, Any]:
        return {
            "type": "autoregressive",
            "num_tokens": POSITIONS,
            "mode": "greedy",
            "temperature": 1.0,
            "top_k": 0,
            "top_p": 1.0,
            "stop_token": None,
            "parallel": False,
            "vocab_size": VOCABULARY,
            "start_token": START,
        }

    def tokenizer_spec(self) -> dict[str, Any]:
        return {"type": "uniform", "low": [-1.0], "high": [1.0], "num_bins": VOCABULARY}

    def memory(self, state: Tensor, words: Tensor) -> Tensor:
        return torch.cat([self.state(state)[:, None], self.words(words)], dim=1)

    def forward(self, tokens: Tensor, state: Tensor, words: Tensor) -> Tensor:
        """Logits (B, n, V) of every position from the tokens (B, n - 1) before it, all recomputed."""
        start = torch.full((tokens.shape[0], 1), START)
        h = self.token(torch.cat([start, tokens], dim=1))
        h = h + self.position.weight[: h.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(h.shape[1])
        memory = self.memory(state, words)
        for layer in self.layers:
            h = layer(h, memory, tgt_mask=mask, tgt_is_causal=True)
        return self.head(h)

    def cache_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((HEADS, POSITIONS, WIDTH // HEADS),) * (2 * LAYERS)

    def next_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], *observation: Tensor
    ) -> Tensor:
        memory = self.memory(*observation)
        visible = (torch.arange(POSITIONS) <= position)[None]
        h = (self.token(token) + self.position(position))[:, None]
        for layer, (keys, values) in zip(
            self.layers, zip(caches[::2], caches[1::2], strict=True), strict=True
        ):
            assert isinstance(layer, nn.TransformerDecoderLayer)
            query, key, value = _projected(layer.self_attn, h, h)
            keys.index_copy_(2, position, key)
            values.index_copy_(2, position, value)
            seen = F.scaled_dot_product_attention(query, keys, values, attn_mask=visible)
            h = layer.norm1(h + _joined(layer.self_attn, seen))
            seen = F.scaled_dot_product_attention(*_projected(layer.multihead_attn, h, memory))
            h = layer.norm2(h + _joined(layer.multihead_attn, seen))
            h = layer.norm3(h + layer.linear2(F.relu(layer.linear1(h))))
        return self.head(h[:, 0])


def _projected(attention: nn.MultiheadAttention, h: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value, each (B, heads, n, width per head)."""
    projected = []
    for source, weight, bias in zip(
        (h, memory, memory), attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True
    ):
        heads = F.linear(source, weight, bias).unflatten(2, (HEADS, -1))
        projected.append(heads.transpose(1, 2))
    return projected[0], projected[1], projected[2]


def _joined(attention: nn.MultiheadAttention, seen: Tensor) -> Tensor:
    joined: Tensor = attention.out_proj(seen.transpose(1, 2).flatten(2))
    return joined
