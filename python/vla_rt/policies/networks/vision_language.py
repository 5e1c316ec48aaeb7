"""A small vision-language model: image patches and words in one causal transformer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vla_rt.errors import require
from vla_rt.policies.checked_config import CheckedConfig
from vla_rt.policies.networks.attention import Cache, TransformerBlock, causal_mask


@dataclass(frozen=True)
class VisionLanguageConfig(CheckedConfig):
    """Sizes of a ``VisionLanguageModel``.

    Attributes:
        vocabulary_size: Number of word ids, 0 being padding.
        width: Of the tokens.
        layers: Transformer blocks.
        heads: Of every attention.
        patch_size: Edge of an image patch in pixels.
    """

    vocabulary_size: int = 256
    width: int = 256
    layers: int = 4
    heads: int = 8
    patch_size: int = 16

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        self._require_positive("vocabulary_size", "width", "layers", "heads", "patch_size")
        self._require_multiple("width", "heads")


class VisionLanguageModel(nn.Module):
    """Patches first, then words; a token sees those before it, and nothing sees padding.

    Args:
        config: Sizes; validated here.
        image_shape: (C, H, W).
        length: Words of an instruction.

    Attributes:
        width: Of what it answers.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds, or the patches do not fill the image.
    """

    def __init__(self, config: VisionLanguageConfig, image_shape: tuple[int, ...], length: int) -> None:
        super().__init__()
        config.validate()
        channels, height, width = image_shape
        size = config.patch_size
        require(
            height % size == 0 and width % size == 0,
            "patch_size",
            size,
            f"must divide the image's {height} x {width} pixels",
        )
        self.config = config
        self.width = config.width
        patches = (height // size) * (width // size)
        self.patches = nn.Conv2d(channels, config.width, size, size)
        self.words = nn.Embedding(config.vocabulary_size, config.width)
        self.positions = nn.Parameter(torch.randn(patches + length, config.width) * 0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.width, config.heads, 4 * config.width) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, image: Tensor, words: Tensor) -> Tensor:
        """Last hidden state (B, width) of the last word of (B, L), or of the image where there is none."""
        h, visible = self._tokens(image, words)
        mask = self._mask(h, visible)
        for block in self.blocks:
            h = block(h, visible=mask)
        places = torch.arange(h.shape[1], device=h.device) * visible
        last = places.argmax(dim=1)
        hidden: Tensor = self.norm(h).gather(1, last[:, None, None].expand(-1, 1, h.shape[2]))[:, 0]
        return hidden

    def keys_values(self, image: Tensor, words: Tensor) -> tuple[Tensor, ...]:
        """What later tokens see: keys and values of every block, and which are there (B, 1, 1, n)."""
        h, visible = self._tokens(image, words)
        mask = self._mask(h, visible)
        found: list[Tensor] = []
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            kept = block.keys_values(h)
            found += kept
            h = block.advance(h, kept, mask)
        return (*found, visible[:, None, None, :])

    def continued(self, h: Tensor, context: tuple[Tensor, ...]) -> Tensor:
        """Tokens h (B, n, width) after those of ``keys_values``, each seeing the ones before it."""
        own = causal_mask(h.shape[1], h.device).expand(len(h), 1, -1, -1)
        mask = torch.cat([context[-1].expand(-1, -1, h.shape[1], -1), own], dim=3)
        for block, keys, values in zip(self.blocks, context[0:-1:2], context[1:-1:2], strict=True):
            assert isinstance(block, TransformerBlock)
            h = block.advance(h, _joined((keys, values), block.keys_values(h)), mask)
        hidden: Tensor = self.norm(h)
        return hidden

    def continued_step(
        self, h: Tensor, position: Tensor, caches: tuple[Tensor, ...], context: tuple[Tensor, ...]
    ) -> Tensor:
        """As ``continued`` for one token h (1, 1, width) at ``position`` (1,), others in ``caches``."""
        size = caches[0].shape[2]
        own = (torch.arange(size, device=h.device) <= position)[None, None, None]
        mask = torch.cat([context[-1], own], dim=3)
        before = zip(context[0:-1:2], context[1:-1:2], strict=True)
        kept = zip(caches[::2], caches[1::2], strict=True)
        for block, prefix, cache in zip(self.blocks, before, kept, strict=True):
            assert isinstance(block, TransformerBlock)
            block.remember(h, position, cache)
            h = block.advance(h, _joined(prefix, cache), mask)
        hidden: Tensor = self.norm(h)
        return hidden

    def cache_shape(self, count: int) -> tuple[int, ...]:
        """Of the keys, or the values, of ``count`` tokens in one block."""
        return (self.config.heads, count, self.config.width // self.config.heads)

    def _tokens(self, image: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, n, width) and which are there (B, n)."""
        patches = self.patches(2.0 * image - 1.0).flatten(2).transpose(1, 2)
        h = torch.cat([patches, self.words(words)], dim=1) + self.positions
        there = words != 0
        seen = torch.ones_like(there[:, :1]).expand(-1, patches.shape[1])
        return h, torch.cat([seen, there], dim=1)

    def _mask(self, h: Tensor, visible: Tensor) -> Tensor:
        return causal_mask(h.shape[1], h.device) & visible[:, None, None, :]


def _joined(first: Cache, second: Cache) -> Cache:
    return torch.cat([first[0], second[0]], dim=2), torch.cat([first[1], second[1]], dim=2)
