"""Image, instruction and state to one vector."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vla_rt.errors import require
from vla_rt.policies.checked_config import CheckedConfig
from vla_rt.policies.features import FeatureSpec, feature_specs
from vla_rt.policies.networks.attention import TransformerBlock
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.networks.resnet import ResNet
from vla_rt.policies.networks.spatial_softmax import SpatialSoftmax


@dataclass(frozen=True)
class MultimodalConfig(CheckedConfig):
    """Sizes of a ``MultimodalEncoder``.

    Attributes:
        observation: What it sees: images (C, H, W), instructions (L,) of int64 word ids with 0 for padding,
            anything else as numbers.
        width: Of the encoded observation.
        image_width: Channels of the first stage of the image network; every further one has twice as many.
        image_stages: Its stages. Each but the first halves the map in which places are read: fewer see
            smaller things, more see how they belong together.
        keypoints: Channels whose places in the image are read by a spatial softmax.
        vocabulary_size: Number of word ids.
        text_width: Of the word embeddings.
        text_layers: Transformer blocks over the words.
        text_heads: Of these.
        state_hidden: Hidden width of the state's network.
    """

    observation: tuple[FeatureSpec, ...] = (
        FeatureSpec("observation.image", (3, 96, 96)),
        FeatureSpec("instruction", (16,), "int64"),
        FeatureSpec("observation.state", (7,)),
    )
    width: int = 512
    image_width: int = 32
    image_stages: int = 3
    keypoints: int = 32
    vocabulary_size: int = 64
    text_width: int = 64
    text_layers: int = 2
    text_heads: int = 4
    state_hidden: int = 128

    def __post_init__(self) -> None:
        object.__setattr__(self, "observation", feature_specs(self.observation))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        self._require_positive(
            "width",
            "image_width",
            "image_stages",
            "keypoints",
            "vocabulary_size",
            "text_width",
            "text_layers",
            "text_heads",
            "state_hidden",
        )
        self._require_multiple("text_width", "text_heads")
        for i, spec in enumerate(self.observation):
            if spec.is_tokens:
                require(len(spec.shape) == 1, f"observation[{i}].shape", spec.shape, "must be (L,)")


class InstructionEncoder(nn.Module):
    """Words to one vector: embedding, positions, transformer blocks, mean over the words that are there."""

    def __init__(self, config: MultimodalConfig, length: int) -> None:
        super().__init__()
        width = config.text_width
        self.words = nn.Embedding(config.vocabulary_size, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, config.text_heads, 4 * width) for _ in range(config.text_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, words: Tensor) -> Tensor:
        """Ids (B, L), 0 for padding, to (B, text_width)."""
        there = words != 0
        h = self.words(words) + self.positions
        # an empty instruction still sees its first position
        visible = there | (torch.arange(words.shape[1], device=words.device) == 0)
        for block in self.blocks:
            h = block(h, visible=visible[:, None, None, :])
        counts = visible.to(h.dtype)[:, :, None]
        result: Tensor = (self.norm(h) * counts).sum(dim=1) / counts.sum(dim=1)
        return result


class ImageEncoder(nn.Module):
    """ResNet whose stages are scaled and shifted by the instruction, read by a spatial softmax.

    The conditioning is FiLM (Perez et al. 2018), as in RT-1: where a thing is depends on which thing is
    meant.
    """

    def __init__(self, config: MultimodalConfig, channels: int, text_width: int) -> None:
        super().__init__()
        self.body = ResNet(config.image_width, (1,) * config.image_stages, channels)
        widths = [config.image_width << level for level in range(config.image_stages)]
        self.conditions = nn.ModuleList(nn.Linear(text_width, 2 * w) for w in widths if text_width)
        self.keypoints = nn.Conv2d(widths[-1], config.keypoints, 1)
        self.places = SpatialSoftmax()
        self.out_width = 2 * config.keypoints + widths[-1]

    def forward(self, image: Tensor, text: Tensor | None) -> Tensor:
        """Images (B, C, H, W) in [0, 1] and the instruction (B, text_width) to (B, out_width)."""
        x = self.body.stem(2.0 * image - 1.0)
        for level, stage in enumerate(self.body.stages):
            x = stage(x)
            if text is not None:
                scale, shift = self.conditions[level](text)[:, :, None, None].chunk(2, dim=1)
                x = x * (1.0 + scale) + shift
        return torch.cat([self.places(self.keypoints(x)), x.mean(dim=(2, 3))], dim=1)


class MultimodalEncoder(nn.Module):
    """Images, instructions and numbers fused to one vector; any of the three may be absent.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    def __init__(self, config: MultimodalConfig | None = None) -> None:
        super().__init__()
        config = config if config is not None else MultimodalConfig()
        config.validate()
        self.config = config
        specs = config.observation
        self.texts = nn.ModuleList(InstructionEncoder(config, s.shape[0]) for s in specs if s.is_tokens)
        text_width = len(self.texts) * config.text_width
        self.images = nn.ModuleList(ImageEncoder(config, s.shape[0], text_width) for s in specs if s.is_image)
        state_size = sum(s.size for s in specs if not s.is_tokens and not s.is_image)
        hidden = config.state_hidden
        self.state = mlp([state_size, hidden, hidden], activate_last=True) if state_size else None
        image_width = sum(e.out_width for e in self.images if isinstance(e, ImageEncoder))
        self.fusion = mlp(
            [image_width + text_width + (hidden if state_size else 0), config.width, config.width]
        )

    def forward(self, *observation: Tensor) -> Tensor:
        """Features (B, *shape) in the order of ``config.observation`` to (B, width)."""
        images, words, numbers = [], [], []
        for spec, feature in zip(self.config.observation, observation, strict=True):
            if spec.is_tokens:
                words.append(feature)
            elif spec.is_image:
                images.append(feature)
            else:
                numbers.append(feature.flatten(1))
        parts: list[Tensor] = []
        text = None
        if words:
            text = torch.cat([e(w) for e, w in zip(self.texts, words, strict=True)], dim=1)
            parts.append(text)
        parts += [e(image, text) for e, image in zip(self.images, images, strict=True)]
        if self.state is not None:
            parts.append(self.state(torch.cat(numbers, dim=1)))
        fused: Tensor = self.fusion(torch.cat(parts, dim=1))
        return fused
