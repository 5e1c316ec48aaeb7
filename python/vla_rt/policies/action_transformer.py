"""Queries that look at vision, language and proprioception, one per row of the chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_rt.errors import ConfigError, error, require
from vla_rt.policies.chunk_policy import mean_over_rows
from vla_rt.policies.direct_policy import DirectPolicy
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.networks.attention import TransformerBlock
from vla_rt.policies.networks.context_tokens import ContextTokens
from vla_rt.policies.policy_config import PolicyConfig

_ROTATION = slice(3, 7)


@dataclass(frozen=True)
class ActionTransformerConfig(PolicyConfig):
    """Sizes of an ``ActionTransformer``.

    Attributes:
        width: Of the tokens.
        layers: Decoder blocks.
        heads: Of every attention.
        dropout: On every branch.
    """

    observation: tuple[FeatureSpec, ...] = (
        FeatureSpec("vision", (196, 768)),
        FeatureSpec("language", (16, 768)),
        FeatureSpec("observation.state", (12,)),
    )
    action_dim: int = 8
    unnormalized: tuple[str, ...] = ("vision", "language")
    width: int = 512
    layers: int = 4
    heads: int = 8
    dropout: float = 0.1

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        bound = "must be 8: position 3, quaternion x y z w, gripper"
        require(self.action_dim == 8, "action_dim", self.action_dim, bound)
        self._require_positive("width", "layers", "heads")
        self._require_multiple("width", "heads")
        self._require_fraction("dropout")
        self._require_tokens_of_context()


class ActionTransformer(DirectPolicy):
    """T learned queries attend to all context tokens: 196 of vision, 16 of language, 1 of proprioception.

    A row is position (3), unit quaternion x, y, z, w (4) and gripper in [0, 1] (1). Of the two quaternions of
    a rotation a chunk takes the one whose scalar part is not negative in row 0, and goes on without a flip.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: ActionTransformerConfig

    def __init__(self, config: ActionTransformerConfig | None = None) -> None:
        config = config if config is not None else ActionTransformerConfig()
        super().__init__(config)
        width = config.width
        self.context = ContextTokens(config.observation, width)
        self.queries = nn.Parameter(torch.randn(config.horizon, width) * 0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, config.heads, 4 * width, config.dropout, has_memory=True)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.position, self.gripper = nn.Linear(width, 3), nn.Linear(width, 1)
        self.rotation = nn.Linear(width, 4)
        with torch.no_grad():
            self.rotation.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0]))

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, 8), the position in normalised units."""
        position, rotation, gripper = self._heads(*observation)
        return torch.cat([position, rotation, gripper.sigmoid()], dim=2)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Squared errors of position and quaternion plus the cross entropy of the gripper.

        Arguments and errors as ``ChunkPolicy.loss``; also a quaternion of length 0 and a gripper outside
        [0, 1] are errors.
        """
        position, rotation, gripper = self._heads(*self._normalized_observation(batch))
        raw = self._raw_action(batch)
        action: Tensor = self._action_normalizer(raw)
        wanted = _without_flips(raw[:, :, _ROTATION].float())
        sign = torch.where((wanted * rotation).sum(dim=(1, 2)) < 0, -1.0, 1.0)[:, None, None]
        _require_gripper(raw[:, :, 7])
        errors = (position - action[:, :, :3]).square().mean(dim=2)
        errors = errors + (rotation - sign * wanted).square().sum(dim=2)
        closed = F.binary_cross_entropy_with_logits(gripper[:, :, 0], raw[:, :, 7].float(), reduction="none")
        return mean_over_rows(errors + closed, batch)

    def _heads(self, *observation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Position (B, T, 3), unit quaternion (B, T, 4) and gripper logit (B, T, 1)."""
        context = self.context(*observation)
        h = self.queries.expand(context.shape[0], -1, -1)
        for block in self.blocks:
            h = block(h, context)
        h = self.norm(h)
        rotation = F.normalize(self.rotation(h), dim=2, eps=1e-6)
        sign = torch.where(rotation[:, :1, 3:] < 0, -1.0, 1.0)
        return self.position(h), rotation * sign, self.gripper(h)

    def _unnormalized_values(self) -> tuple[int, ...]:
        return (3, 4, 5, 6, 7)


def _without_flips(quaternions: Tensor) -> Tensor:
    """Unit quaternions (B, T, 4) of the same rotations, each on the side of the one before."""
    length = quaternions.norm(dim=2, keepdim=True)
    bad = torch.nonzero(length[:, :, 0] < 1e-6)
    if bad.numel():
        b, t = bad[0].tolist()
        raise error(ConfigError, f"action[{b}, {t}, 3:7]", "length 0", "must be a quaternion")
    unit = quaternions / length
    turned = torch.where((unit[:, 1:] * unit[:, :-1]).sum(dim=2, keepdim=True) < 0, -1.0, 1.0)
    return torch.cat([unit[:, :1], unit[:, 1:] * turned.cumprod(dim=1)], dim=1)


def _require_gripper(values: Tensor) -> None:
    bad = torch.nonzero(~((values >= 0.0) & (values <= 1.0)))
    if bad.numel():
        b, t = bad[0].tolist()
        raise error(ConfigError, f"action[{b}, {t}, 7]", values[b, t].item(), "must be in [0, 1]")
