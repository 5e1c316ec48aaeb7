"""Action chunking with transformers.

Zhao et al. 2023, "Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware": a conditional
variational autoencoder whose decoder is a transformer over the images and the state. One decoder layer, which
is all that the published code used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vla_rt.errors import require
from vla_rt.policies.chunk_policy import batch_entry, mean_over_rows
from vla_rt.policies.direct_policy import DirectPolicy
from vla_rt.policies.feature_normalizer import NormalizationMode
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.networks.placed_blocks import (
    PlacedDecoderBlock,
    PlacedEncoderBlock,
    image_positions,
    sine_positions,
)
from vla_rt.policies.networks.resnet import ResNet
from vla_rt.policies.observation_encoder import joined
from vla_rt.policies.policy_config import PolicyConfig

_LARGEST_LOG_VARIANCE = 20.0


@dataclass(frozen=True)
class ACTConfig(PolicyConfig):
    """Sizes of an ``ACT``.

    Attributes:
        width: Of the tokens; a multiple of 4 and of ``heads``.
        heads: Of every attention.
        feed_forward: Hidden width of the feed-forward parts.
        encoder_layers: Of the transformer over the observation, and of the style encoder.
        decoder_layers: Of the transformer over the chunk.
        latent: Values of the style.
        dropout: On every branch.
        kl_weight: Of the divergence of the style from a standard normal one.
        image_width: Channels of the first of the image network's four stages; 64 makes it ResNet-18.
    """

    observation: tuple[FeatureSpec, ...] = (
        FeatureSpec("observation.image", (3, 96, 96)),
        FeatureSpec("observation.state", (7,)),
    )
    horizon: int = 100
    execution_horizon: int = 100
    action_normalization: NormalizationMode = "mean_std"
    width: int = 512
    heads: int = 8
    feed_forward: int = 3200
    encoder_layers: int = 4
    decoder_layers: int = 1
    latent: int = 32
    dropout: float = 0.1
    kl_weight: float = 10.0
    image_width: int = 64

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive(
            "width", "heads", "feed_forward", "encoder_layers", "decoder_layers", "latent", "image_width"
        )
        self._require_multiple("width", "heads")
        require(self.width % 4 == 0, "width", self.width, "must be a multiple of 4")
        self._require_fraction("dropout")
        self._require_not_negative("kl_weight")
        self._require_numbers()
        numbers = sum(not spec.is_image for spec in self.observation)
        require(numbers > 0, "observation", "images alone", "needs a state")


class ACT(DirectPolicy):
    """Tokens [style, state, pixels of every image] to a chunk; the style is 0 when acting.

    In training the style is drawn from what an encoder makes of state and true chunk, so that the decoder
    need not average over the ways to do the task; the loss is the mean absolute error plus ``kl_weight``
    times the style's divergence.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: ACTConfig
    _style_positions: Tensor

    def __init__(self, config: ACTConfig | None = None) -> None:
        config = config if config is not None else ACTConfig()
        super().__init__(config)
        c = config
        sizes = (c.width, c.heads, c.feed_forward, c.dropout)
        self._is_image = [spec.is_image for spec in c.observation]
        state_size = sum(spec.size for spec in c.observation if not spec.is_image)
        images = [spec for spec in c.observation if spec.is_image]
        self.style_token = nn.Parameter(torch.randn(1, 1, c.width) * 0.02)
        self.style_state = nn.Linear(state_size, c.width)
        self.style_action = nn.Linear(c.action_dim, c.width)
        self.style_blocks = nn.ModuleList(PlacedEncoderBlock(*sizes) for _ in range(c.encoder_layers))
        self.style_head = nn.Linear(c.width, 2 * c.latent)
        self.register_buffer("_style_positions", sine_positions(2 + c.horizon, c.width), persistent=False)

        self.latent_input, self.state_input = nn.Linear(c.latent, c.width), nn.Linear(state_size, c.width)
        self.vector_positions = nn.Parameter(torch.randn(2, c.width) * 0.02)
        self.images = nn.ModuleList(ResNet(c.image_width, channels=spec.shape[0]) for spec in images)
        self.pixel_inputs = nn.ModuleList(nn.Conv2d(8 * c.image_width, c.width, 1) for _ in images)
        self.encoder = nn.ModuleList(PlacedEncoderBlock(*sizes) for _ in range(c.encoder_layers))
        self.decoder = nn.ModuleList(PlacedDecoderBlock(*sizes) for _ in range(c.decoder_layers))
        self.decoder_norm = nn.LayerNorm(c.width)
        self.queries = nn.Parameter(torch.randn(c.horizon, c.width) * 0.02)
        self.head = nn.Linear(c.width, c.action_dim)

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D) in normalised units, with the style 0."""
        return self._decode(observation, observation[0].new_zeros((len(observation[0]), self.config.latent)))

    def style(self, state: Tensor, action: Tensor, pad: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log variance (B, latent) of the style of a chunk (B, T, D).

        Args:
            state: All numbers of the observation (B, n).
            action: The chunk in normalised units.
            pad: Rows that do not count (B, T), or None.
        """
        vectors = [self.style_token.expand(len(state), -1, -1), self.style_state(state)[:, None]]
        h = torch.cat([*vectors, self.style_action(action)], dim=1)
        visible = None
        if pad is not None:
            there = torch.cat([pad.new_zeros((len(pad), 2)), pad], dim=1).logical_not()
            visible = there[:, None, None, :]
        for block in self.style_blocks:
            h = block(h, self._style_positions, visible)
        mean, log_variance = self.style_head(h[:, 0]).chunk(2, dim=1)
        return mean, log_variance.clamp(-_LARGEST_LOG_VARIANCE, _LARGEST_LOG_VARIANCE)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean absolute error plus the weighted divergence of the style; else as ``ChunkPolicy.loss``.

        Draws the style from torch's global generator.
        """
        observation = self._normalized_observation(batch)
        action = self._normalized_action(batch)
        pad = batch_entry(batch, "action_is_pad").to(self.device).bool() if "action_is_pad" in batch else None
        if pad is not None:
            shape = tuple(action.shape[:2])
            require(pad.shape == shape, "action_is_pad", tuple(pad.shape), f"must be {shape}")
        mean, log_variance = self.style(self._state(observation), action, pad)
        drawn = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        errors = (self._decode(observation, drawn) - action).abs().mean(dim=2)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=1).mean()
        return mean_over_rows(errors, batch) + self.config.kl_weight * divergence

    def _state(self, observation: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
        numbers = [o for o, is_image in zip(observation, self._is_image, strict=True) if not is_image]
        return joined(tuple(numbers))

    def _decode(self, observation: list[Tensor] | tuple[Tensor, ...], latent: Tensor) -> Tensor:
        tokens = [self.latent_input(latent)[:, None], self.state_input(self._state(observation))[:, None]]
        positions: list[Tensor] = [self.vector_positions]
        images = [o for o, is_image in zip(observation, self._is_image, strict=True) if is_image]
        for image, network, project in zip(images, self.images, self.pixel_inputs, strict=True):
            pixels = project(network(image))
            tokens.append(pixels.flatten(2).transpose(1, 2))
            places = image_positions(pixels.shape[2], pixels.shape[3], self.config.width)
            positions.append(places.to(pixels.device))
        h, place = torch.cat(tokens, dim=1), torch.cat(positions)
        for block in self.encoder:
            h = block(h, place)
        rows = torch.zeros_like(self.queries).expand(len(h), -1, -1)
        for block in self.decoder:
            assert isinstance(block, PlacedDecoderBlock)
            rows = block.decode(rows, self.queries, h, place)
        actions: Tensor = self.head(self.decoder_norm(rows))
        return actions
