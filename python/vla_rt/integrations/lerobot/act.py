"""The network of LeRobot's ACT policy at inference, with the parameter names of its checkpoints.

Zhao et al. 2023, "Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware". The latent is zero
when acting, so the variational encoder is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_rt.integrations.lerobot.checkpoint import Checkpoint
from vla_rt.integrations.lerobot.resnet import DEPTHS, FrozenNorm, ResNet
from vla_rt.policies.networks.placed_blocks import image_positions

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


@dataclass(frozen=True)
class _Sizes:
    width: int
    heads: int
    feed_forward: int
    activation: str
    norm_first: bool


class _Attention(nn.Module):
    """Multi-head attention whose projections of query, key and value lie in one matrix."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B, n, width), (B, m, width) twice: (B, n, width)."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(x, weight, bias).reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        seen: Tensor = self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return seen


class _Layer(nn.Module):
    """Attention to itself, in the decoder to the memory too, and feed-forward; normalised before or after."""

    def __init__(self, sizes: _Sizes, has_memory: bool) -> None:
        super().__init__()
        self.norm_first, self.activation = sizes.norm_first, _ACTIVATIONS[sizes.activation]
        self.self_attn = _Attention(sizes.width, sizes.heads)
        if has_memory:
            self.multihead_attn = _Attention(sizes.width, sizes.heads)
        self.linear1 = nn.Linear(sizes.width, sizes.feed_forward)
        self.linear2 = nn.Linear(sizes.feed_forward, sizes.width)
        self.norms = 3 if has_memory else 2
        for i in range(1, self.norms + 1):
            self.add_module(f"norm{i}", nn.LayerNorm(sizes.width))

    def _before(self, i: int, x: Tensor) -> Tensor:
        normed: Tensor = getattr(self, f"norm{i}")(x)
        return normed if self.norm_first else x

    def _after(self, i: int, x: Tensor) -> Tensor:
        normed: Tensor = getattr(self, f"norm{i}")(x)
        return x if self.norm_first else normed

    def forward(
        self, x: Tensor, places: Tensor, memory: Tensor | None = None, memory_places: Tensor | None = None
    ) -> Tensor:
        """Rows x (B, n, width) at `places` (n, width), and a memory (B, m, width) at its own."""
        h = self._before(1, x)
        x = self._after(1, x + self.self_attn(h + places, h + places, h))
        if memory is not None and memory_places is not None:
            h = self._before(2, x)
            x = self._after(2, x + self.multihead_attn(h + places, memory + memory_places, memory))
        h = self._before(self.norms, x)
        return self._after(self.norms, x + self.linear2(self.activation(self.linear1(h))))


class _Stack(nn.Module):
    def __init__(self, sizes: _Sizes, layers: int, has_memory: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(sizes, has_memory) for _ in range(layers))
        is_normed = has_memory or sizes.norm_first
        self.norm: nn.Module = nn.LayerNorm(sizes.width) if is_normed else nn.Identity()

    def forward(
        self, x: Tensor, places: Tensor, memory: Tensor | None = None, memory_places: Tensor | None = None
    ) -> Tensor:
        for layer in self.layers:
            x = layer(x, places, memory, memory_places)
        result: Tensor = self.norm(x)
        return result


class ACTNetwork(nn.Module):
    """Normalised features in the order of the checkpoint's inputs to actions (B, T, D).

    Args:
        checkpoint: Of type act.

    Raises:
        FormatError: A field of config.json is out of its bounds.
    """

    #: Tensors that only training needs.
    training_only = ("vae_encoder",)

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        config = checkpoint.config
        config.integer("n_obs_steps", 1, most=1)
        self.horizon = config.integer("chunk_size", 100)
        self.inputs = checkpoint.inputs
        width = config.integer("dim_model", 512)
        heads = config.integer("n_heads", 8)
        if width % heads or width % 4:
            raise config.wrong("dim_model", f"must be a multiple of 4 and of n_heads = {heads}")
        sizes = _Sizes(
            width,
            heads,
            config.integer("dim_feedforward", 3200),
            config.word("feedforward_activation", tuple(_ACTIVATIONS), "relu"),
            config.flag("pre_norm", False),
        )
        vectors = {feature.kind: feature.size for feature in self.inputs if feature.kind != "VISUAL"}
        latent = config.integer("latent_dim", 32)
        self.encoder_latent_input_proj = nn.Linear(latent, width)
        self.register_buffer("latent", torch.zeros(1, latent), persistent=False)
        if "STATE" in vectors:
            self.encoder_robot_state_input_proj = nn.Linear(vectors["STATE"], width)
        if "ENV" in vectors:
            self.encoder_env_state_input_proj = nn.Linear(vectors["ENV"], width)
        if any(feature.kind == "VISUAL" for feature in self.inputs):
            name = config.word("vision_backbone", tuple(DEPTHS), "resnet18")
            dilated = config.flag("replace_final_stride_with_dilation", False)
            if dilated and not DEPTHS[name][1]:
                raise config.wrong("replace_final_stride_with_dilation", f"{name} has no such variant")
            self.backbone = ResNet(name, FrozenNorm, dilated)
            self.encoder_img_feat_input_proj = nn.Conv2d(self.backbone.out_channels, width, 1)
        self.encoder_1d_feature_pos_embed = nn.Embedding(1 + len(vectors), width)
        self.encoder = _Stack(sizes, config.integer("n_encoder_layers", 4), False)
        self.decoder = _Stack(sizes, config.integer("n_decoder_layers", 1), True)
        self.decoder_pos_embed = nn.Embedding(self.horizon, width)
        self.action_head = nn.Linear(width, checkpoint.action_dim)

    def forward(self, *observation: Tensor) -> Tensor:
        """Features (B, *shape) to (B, T, D)."""
        batch = len(observation[0])
        by_kind = {f.kind: value for f, value in zip(self.inputs, observation, strict=True)}
        latent: Tensor = self.get_buffer("latent")
        tokens = [self.encoder_latent_input_proj(latent).expand(batch, -1)]
        if "STATE" in by_kind:
            tokens.append(self.encoder_robot_state_input_proj(by_kind["STATE"]))
        if "ENV" in by_kind:
            tokens.append(self.encoder_env_state_input_proj(by_kind["ENV"]))
        rows = [torch.stack(tokens, dim=1)]
        places = [self.encoder_1d_feature_pos_embed.weight]
        for feature, value in zip(self.inputs, observation, strict=True):
            if feature.kind == "VISUAL":
                pixels = self.encoder_img_feat_input_proj(self.backbone(value))
                rows.append(pixels.flatten(2).transpose(1, 2))
                height, width = pixels.shape[2:]
                places.append(image_positions(height, width, pixels.shape[1]))
        place = torch.cat(places)
        memory = self.encoder(torch.cat(rows, dim=1), place)
        queries = self.decoder_pos_embed.weight
        found = self.decoder(torch.zeros_like(queries).expand(batch, -1, -1), queries, memory, place)
        actions: Tensor = self.action_head(found)
        return actions

    def fold(self) -> None:
        """Prepares the loaded weights for inference."""
        if hasattr(self, "backbone"):
            self.backbone.fold()
