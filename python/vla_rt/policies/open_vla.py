"""A vision-language model that acts: its last hidden state to a chunk, or action tokens after the words.

Kim et al. 2024, "OpenVLA: An Open-Source Vision-Language-Action Model"; the regression head on the last
hidden state follows Kim et al. 2025, "Fine-Tuning Vision-Language-Action Models: Optimizing Speed and
Success".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from vla_rt.datasets.instructions import InstructionVocabulary
from vla_rt.errors import ConfigError, error, require
from vla_rt.policies.chunk_policy import ChunkPolicy
from vla_rt.policies.direct_policy import RegressionPolicy
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.networks.vision_language import VisionLanguageConfig, VisionLanguageModel
from vla_rt.policies.policy_config import PolicyConfig
from vla_rt.policies.token_policy import TokenChunkPolicy, TokenPolicyConfig
from vla_rt.rtc import Guidance

_OBSERVATION = (
    FeatureSpec("observation.image", (3, 224, 224)),
    FeatureSpec("instruction", (16,), "int64"),
)


@dataclass(frozen=True)
class VLAConfig(PolicyConfig):
    """What the two heads share: an image and an instruction, in this order, and the backbone.

    Attributes:
        backbone: Sizes of the own vision-language model; unused where a backbone is given.
        instruction_vocabulary: Words of the instructions; needed to give them as text.
        freeze_backbone: Whether only the head is trained at first.
    """

    observation: tuple[FeatureSpec, ...] = _OBSERVATION
    horizon: int = 1
    execution_horizon: int = 1
    backbone: VisionLanguageConfig = field(default_factory=VisionLanguageConfig)
    instruction_vocabulary: InstructionVocabulary | None = None
    freeze_backbone: bool = True

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self.backbone.validate()
        specs = self.observation
        fits = len(specs) == 2 and specs[0].is_image and specs[1].is_tokens and len(specs[1].shape) == 1
        names = [spec.name for spec in specs]
        require(fits, "observation", names, "must be an image (C, H, W) and int64 words (L,)")
        if self.instruction_vocabulary is not None:
            self.instruction_vocabulary.validate()
            length = self.instruction_vocabulary.length
            bound = f"must be the {specs[1].shape[0]} words of {specs[1].name}"
            require(length == specs[1].shape[0], "instruction_vocabulary.length", length, bound)
            size, most = self.instruction_vocabulary.size, self.backbone.vocabulary_size
            require(size <= most, "instruction_vocabulary.words", f"{size} ids", f"must be at most {most}")


@dataclass(frozen=True)
class OpenVLAConfig(VLAConfig):
    """Sizes of an ``OpenVLAPolicy``, beside those of ``VLAConfig``.

    Attributes:
        hidden: Width of the head's hidden layer.
    """

    hidden: int = 256

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("hidden")


@dataclass(frozen=True)
class OpenVLATokenConfig(VLAConfig, TokenPolicyConfig):
    """Sizes of an ``OpenVLATokenPolicy``: fields of ``VLAConfig`` and ``TokenPolicyConfig``."""


class InstructedPolicy(ChunkPolicy):
    """A policy that sees an image and an instruction, which may be given as text."""

    config: VLAConfig
    backbone: nn.Module

    def predict(
        self,
        observation: Mapping[str, ArrayLike] | ArrayLike,
        noise: ArrayLike | str | None = None,
        step_noise: ArrayLike | None = None,
        seed: int = 0,
        guidance: Guidance | None = None,
        *,
        instruction: ArrayLike | str | None = None,
    ) -> NDArray[np.float64]:
        """As ``ChunkPolicy.predict``, or ``predict(image, instruction)``.

        Args:
            observation: Image and instruction by name, or the image alone.
            noise: As in ``ChunkPolicy.predict``; after an image alone the instruction.
            step_noise: As in ``ChunkPolicy.predict``.
            seed: Of the noise.
            guidance: As in ``ChunkPolicy.predict``.
            instruction: Ids (L,), or text where ``config.instruction_vocabulary`` knows its words.

        Raises:
            ConfigError: As ``ChunkPolicy.predict``; an instruction as text without a vocabulary.
        """
        image_name, words_name = (spec.name for spec in self.config.observation)
        if isinstance(observation, Mapping):
            values: dict[str, Any] = dict(observation)
        else:
            values = {image_name: observation}
            if instruction is None:
                instruction, noise = noise, None
        if instruction is not None:
            values[words_name] = instruction
        text = values.get(words_name)
        if isinstance(text, str):
            if self.config.instruction_vocabulary is None:
                raise error(
                    ConfigError, words_name, text, "must be ids: config.instruction_vocabulary is None"
                )
            values[words_name] = self.config.instruction_vocabulary.encode(text)
        words = np.asarray(values.get(words_name, 0))
        size = self.config.backbone.vocabulary_size
        is_own = isinstance(self.backbone, VisionLanguageModel) and words.dtype.kind in "iu"
        bad = np.flatnonzero((words < 0) | (words >= size))
        if is_own and bad.size:
            at = f"{words_name}[{bad[0]}]"
            raise error(ConfigError, at, words.flat[bad[0]], f"must be a word id in 0..{size - 1}")
        return super().predict(values, noise, step_noise, seed, guidance)

    def freeze(self, frozen: bool = True) -> None:
        """Whether training leaves the backbone as it is."""
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(not frozen)


def _own_backbone(config: VLAConfig) -> VisionLanguageModel:
    image, words = config.observation
    return VisionLanguageModel(config.backbone, image.shape, words.shape[0])


class OpenVLAPolicy(InstructedPolicy, RegressionPolicy):
    """The backbone's last hidden state of the last word -> 256 -> T * D.

    Args:
        config: Sizes; validated here.
        backbone: A module with ``width`` that maps images (B, C, H, W) in [0, 1] and word ids (B, L), 0 being
            padding, to (B, width), such as a ``HubBackbone``; None makes the own one.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: OpenVLAConfig

    def __init__(self, config: OpenVLAConfig | None = None, backbone: nn.Module | None = None) -> None:
        config = config if config is not None else OpenVLAConfig()
        super().__init__(config)
        self.backbone = backbone if backbone is not None else _own_backbone(config)
        width = int(cast("Any", self.backbone).width)
        self.action_head = mlp([width, config.hidden, config.horizon * config.action_dim])
        self.freeze(config.freeze_backbone)

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D) in normalised units."""
        return self._rows(self.action_head(self.backbone(*observation)))


class OpenVLATokenPolicy(InstructedPolicy, TokenChunkPolicy):
    """Action tokens follow image and instruction in the same causal transformer, the own one.

    The keys and values of image and instruction are computed once per chunk.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: OpenVLATokenConfig
    backbone: VisionLanguageModel

    def __init__(self, config: OpenVLATokenConfig | None = None) -> None:
        config = config if config is not None else OpenVLATokenConfig()
        super().__init__(config)
        self.start_token = config.vocabulary_size
        self.backbone = _own_backbone(config)
        width = config.backbone.width
        self.tokens = nn.Embedding(config.vocabulary_size + 1, width)
        self.positions = nn.Parameter(torch.randn(config.num_tokens, width) * 0.02)
        self.token_head = nn.Linear(width, config.vocabulary_size)
        self.freeze(config.freeze_backbone)

    def encode(self, *observation: Tensor) -> tuple[Tensor, ...]:
        """Keys and values of image and instruction."""
        image, words = observation
        return self.backbone.keys_values(image, words)

    def logits(self, tokens: Tensor, context: tuple[Tensor, ...]) -> Tensor:
        """Logits (B, N, V) of every token given those before it in ``tokens`` (B, N): teacher forcing."""
        start = torch.full_like(tokens[:, :1], self.start_token)
        h = self.tokens(torch.cat([start, tokens[:, :-1]], dim=1)) + self.positions
        logits: Tensor = self.token_head(self.backbone.continued(h, context))
        return logits

    def cache_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Keys and values of the action tokens in every block."""
        return (self.backbone.cache_shape(self.config.num_tokens),) * (2 * self.config.backbone.layers)

    def next_token_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], context: tuple[Tensor, ...]
    ) -> Tensor:
        """Logits (1, V) of the token at ``position`` (1,), given the one before it, ``token`` (1,)."""
        h = (self.tokens(token) + self.positions.index_select(0, position))[:, None]
        logits: Tensor = self.token_head(self.backbone.continued_step(h, position, caches, context)[:, 0])
        return logits
