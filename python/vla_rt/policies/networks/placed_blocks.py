"""Transformer blocks whose positions go into queries and keys alone, normalised after each branch.

As in DETR (Carion et al. 2020), whose decoder ACT took over.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vla_rt.policies.networks.attention import Attention


class PlacedEncoderBlock(nn.Module):
    """Self attention and feed-forward."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.norm = Attention(width, heads, dropout), nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, feed_forward), nn.ReLU(), nn.Dropout(dropout), nn.Linear(feed_forward, width)
        )
        self.feed_norm, self.drop = nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, h: Tensor, positions: Tensor, visible: Tensor | None = None) -> Tensor:
        """H (B, n, width), positions (n, width) or (B, n, width), ``visible`` as ``Attention`` takes it."""
        seen = self.attention(h + positions, self.attention.keys_values(h, positions), visible)
        h = self.norm(h + self.drop(seen))
        result: Tensor = self.feed_norm(h + self.drop(self.feed(h)))
        return result


class PlacedDecoderBlock(PlacedEncoderBlock):
    """Self attention, attention to a memory, feed-forward."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__(width, heads, feed_forward, dropout)
        self.memory_attention, self.memory_norm = Attention(width, heads, dropout), nn.LayerNorm(width)

    def decode(self, h: Tensor, positions: Tensor, memory: Tensor, memory_positions: Tensor) -> Tensor:
        """H (B, n, width) at ``positions``, memory (B, m, width) at ``memory_positions``."""
        seen = self.attention(h + positions, self.attention.keys_values(h, positions))
        h = self.norm(h + self.drop(seen))
        keys_values = self.memory_attention.keys_values(memory, memory_positions)
        h = self.memory_norm(h + self.drop(self.memory_attention(h + positions, keys_values)))
        result: Tensor = self.feed_norm(h + self.drop(self.feed(h)))
        return result


def sine_positions(length: int, width: int) -> Tensor:
    """Positions 0..length-1: sin and cos in turn at falling frequencies (length, width)."""
    exponents = torch.arange(0, width, 2, dtype=torch.float32) / width
    angles = torch.arange(length)[:, None] / 10_000.0**exponents
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


def image_positions(height: int, width: int, channels: int) -> Tensor:
    """Positions of the pixels row-major, half the channels for y, half for x: (height * width, channels).

    Counted from 1 and scaled to 2 pi at the last, as in DETR.
    """
    half = channels // 2
    exponents = 2.0 * (torch.arange(half, dtype=torch.float32) // 2) / half

    def embedded(count: int) -> Tensor:
        places = torch.arange(1, count + 1) / (count + 1e-6) * 2.0 * math.pi
        angles = places[:, None] / 10_000.0**exponents
        return torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=2).flatten(1)

    y = embedded(height)[:, None].expand(height, width, half)
    x = embedded(width)[None].expand(height, width, half)
    return torch.cat([y, x], dim=2).reshape(height * width, channels)
