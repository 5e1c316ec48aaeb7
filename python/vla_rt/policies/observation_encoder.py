"""From the observation to one vector: what denoising policies are conditioned on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vla_rt.errors import require
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.multimodal_encoder import MultimodalConfig, MultimodalEncoder
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.policy_config import PolicyConfig


@dataclass(frozen=True)
class EncodedPolicyConfig(PolicyConfig):
    """A policy whose observation is encoded to one vector first.

    Attributes:
        obs_dim: Width of the encoded observation.
        encoder_hidden: Hidden widths of the observation encoder; None feeds the concatenated features
            directly, which then must have ``obs_dim`` values.
        multimodal: Sizes of a ``MultimodalEncoder`` (its ``observation`` is taken from here), which images
            and instructions need; its ``width`` must be ``obs_dim``. None concatenates the features.
    """

    obs_dim: int = 512
    encoder_hidden: tuple[int, ...] | None = (256,)
    multimodal: MultimodalConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder_hidden is not None:
            object.__setattr__(self, "encoder_hidden", tuple(self.encoder_hidden))
        if self.multimodal is not None:
            own = dataclasses.replace(self.multimodal, observation=self.observation)
            object.__setattr__(self, "multimodal", own)

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("obs_dim")
        if self.multimodal is not None:
            self.multimodal.validate()
            width = self.multimodal.width
            require(width == self.obs_dim, "multimodal.width", width, f"must be obs_dim = {self.obs_dim}")
            return
        for i, spec in enumerate(self.observation):
            bound = "must be float32 without a multimodal encoder"
            require(not spec.is_tokens, f"observation[{i}].dtype", spec.dtype, bound)
        if self.encoder_hidden is not None:
            self._require_positive("encoder_hidden")
            return
        size = sum(spec.size for spec in self.observation)
        require(
            size == self.obs_dim,
            "obs_dim",
            self.obs_dim,
            f"without an encoder must be the features' {size} values",
        )

    def vocabulary_of(self, spec: FeatureSpec) -> int | None:
        """Number of ids that a feature of whole numbers may hold."""
        return None if self.multimodal is None else self.multimodal.vocabulary_size


class ConcatenatingEncoder(nn.Sequential):
    """Layers over the concatenated features."""

    def forward(self, *observation: Tensor) -> Tensor:
        """Features (B, *shape) to (B, obs_dim)."""
        encoded: Tensor = super().forward(joined(observation))  # type: ignore[no-untyped-call]
        return encoded


def joined(observation: tuple[Tensor, ...]) -> Tensor:
    """Features (B, *shape) side by side: (B, n)."""
    return torch.cat([feature.flatten(1) for feature in observation], dim=1)


def observation_encoder(config: EncodedPolicyConfig) -> nn.Module:
    """The encoder that ``config`` describes: features (B, *shape) to (B, obs_dim)."""
    if config.multimodal is not None:
        return MultimodalEncoder(config.multimodal)
    if config.encoder_hidden is None:
        return ConcatenatingEncoder()
    widths = [sum(spec.size for spec in config.observation), *config.encoder_hidden, config.obs_dim]
    return ConcatenatingEncoder(*mlp(widths, nn.Mish, activate_last=True))
