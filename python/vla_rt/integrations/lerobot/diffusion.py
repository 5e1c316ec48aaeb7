"""The networks of LeRobot's diffusion policy at inference, with the parameter names of its checkpoints.

Chi et al. 2023, "Diffusion Policy: Visuomotor Policy Learning via Action Diffusion": images through a ResNet
and a spatial softmax (Finn et al. 2016), a one-dimensional U-Net over the chunk, modulated (FiLM) by the time
and the observations.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_rt.integrations.lerobot.checkpoint import Checkpoint
from vla_rt.integrations.lerobot.fields import Fields
from vla_rt.integrations.lerobot.resnet import DEPTHS, FrozenNorm, ResNet, group_norm

#: Groups of the last normalisation, whatever `n_groups` says.
_LAST_GROUPS = 8
#: Names of the stages in a checkpoint, where the ResNet is a list.
_LISTED = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


class ImageEncoder(nn.Module):
    """Resize, centre crop, ResNet, expected coordinates of key points, a linear layer.

    Args:
        config: Of the checkpoint.
        height: Of the images.
        width: Of the images.
    """

    def __init__(self, config: Fields, height: int, width: int) -> None:
        super().__init__()
        resize, crop = config.sizes("resize_shape", 2), config.sizes("crop_shape", 2)
        ratio = config.number("crop_ratio", 1.0, 1e-3, 1.0)
        self.resize: nn.Module = nn.Identity()
        if resize is not None:
            crop = (int(resize[0] * ratio), int(resize[1] * ratio)) if ratio < 1.0 else None
            if resize != (height, width):
                self.resize = _Resize((height, width), (resize[0], resize[1]))
            height, width = resize
        self.crop: tuple[int, int, int, int] | None = None
        if crop is not None:
            if not (0 < crop[0] <= height and 0 < crop[1] <= width):
                raise config.wrong("crop_shape", f"must fit into the images, ({height}, {width})")
            top, left = round((height - crop[0]) / 2.0), round((width - crop[1]) / 2.0)
            self.crop = (top, left, top + crop[0], left + crop[1])
            height, width = crop
        norm = group_norm if config.flag("use_group_norm", True) else FrozenNorm
        self.backbone = ResNet(config.word("vision_backbone", tuple(DEPTHS), "resnet18"), norm)
        points = config.integer("spatial_softmax_num_keypoints", 32)
        for _ in range(5):
            height, width = (height + 1) // 2, (width + 1) // 2
        self.pool = _KeyPoints(self.backbone.out_channels, points, height * width)
        self.out = nn.Linear(2 * points, 2 * points)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 2 * key points)."""
        x = self.resize(images)
        if self.crop is not None:
            top, left, bottom, right = self.crop
            x = x[:, :, top:bottom, left:right]
        features: Tensor = torch.relu(self.out(self.pool(self.backbone(x))))
        return features


class _Resize(nn.Module):
    """Bilinear with antialiasing, which is a matrix along each axis."""

    rows: Tensor
    columns: Tensor

    def __init__(self, size: tuple[int, int], wanted: tuple[int, int]) -> None:
        super().__init__()
        for name, old, new in zip(("rows", "columns"), size, wanted, strict=True):
            unit = torch.eye(old).reshape(1, 1, old, old)
            matrix = F.interpolate(unit, (new, old), mode="bilinear", antialias=True)
            self.register_buffer(name, matrix[0, 0], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        resized: Tensor = F.linear(F.linear(x.transpose(2, 3), self.rows).transpose(2, 3), self.columns)
        return resized


class _KeyPoints(nn.Module):
    """Softmax of every map over the image, answered as its mean x and y."""

    pos_grid: Tensor

    def __init__(self, channels: int, points: int, pixels: int) -> None:
        super().__init__()
        self.nets = nn.Conv2d(channels, points, 1)
        self.register_buffer("pos_grid", torch.zeros(pixels, 2))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 2 * points)."""
        weights = self.nets(features).flatten(2).softmax(dim=2)
        points: Tensor = (weights @ self.pos_grid).flatten(1)
        return points


class _ConvolutionBlock(nn.Module):
    """Convolution, group norm, Mish."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2), nn.GroupNorm(groups, outputs), nn.Mish()
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        return result


class _ResidualBlock(nn.Module):
    """Two convolution blocks beside a skip; the condition shifts, and perhaps scales, between them."""

    def __init__(self, inputs: int, outputs: int, unet: UNetSizes) -> None:
        super().__init__()
        self.scales = unet.scales
        self.conv1 = _ConvolutionBlock(inputs, outputs, unet.kernel, unet.groups)
        self.cond_encoder = nn.Sequential(
            nn.Mish(), nn.Linear(unet.condition, 2 * outputs if self.scales else outputs)
        )
        self.conv2 = _ConvolutionBlock(outputs, outputs, unet.kernel, unet.groups)
        self.residual_conv = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, inputs, T) and (B, condition) to (B, outputs, T)."""
        modulation = self.cond_encoder(condition)[:, :, None]
        h = self.conv1(x)
        if self.scales:
            scale, shift = modulation.chunk(2, dim=1)
            h = scale * h + shift
        else:
            h = h + modulation
        result: Tensor = self.conv2(h) + self.residual_conv(x)
        return result


class UNetSizes:
    """Sizes of a `UNet`, read from config.json.

    Args:
        config: Of the checkpoint.
        condition: Values of the observations.
    """

    def __init__(self, config: Fields, condition: int) -> None:
        self.channels = config.sizes("down_dims") or (512, 1024, 2048)
        self.kernel = config.integer("kernel_size", 5, most=63)
        if self.kernel % 2 == 0:
            raise config.wrong("kernel_size", "must be odd")
        self.groups = config.integer("n_groups", 8)
        if any(width % self.groups for width in self.channels):
            raise config.wrong("down_dims", f"must be multiples of n_groups = {self.groups}")
        if self.channels[0] % _LAST_GROUPS:
            raise config.wrong("down_dims", f"must begin with a multiple of {_LAST_GROUPS}")
        self.time = config.integer("diffusion_step_embed_dim", 128, least=4)
        if self.time % 2:
            raise config.wrong("diffusion_step_embed_dim", "must be even")
        self.condition = self.time + condition
        self.scales = config.flag("use_film_scale_modulation", True)


class UNet(nn.Module):
    """The network of the sampler's loop.

    Args:
        sizes: Of the layers.
        action_dim: D.
    """

    frequencies: Tensor

    def __init__(self, sizes: UNetSizes, action_dim: int) -> None:
        super().__init__()
        half = sizes.time // 2
        frequencies = torch.exp(torch.arange(half) * -(math.log(10_000.0) / (half - 1)))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.diffusion_step_encoder = nn.Sequential(
            nn.Identity(),
            nn.Linear(sizes.time, 4 * sizes.time),
            nn.Mish(),
            nn.Linear(4 * sizes.time, sizes.time),
        )
        channels = sizes.channels
        widths = list(pairwise((action_dim, *channels)))
        self.down_modules = nn.ModuleList()
        for level, (inputs, outputs) in enumerate(widths):
            is_last = level == len(widths) - 1
            half_length = nn.Identity() if is_last else nn.Conv1d(outputs, outputs, 3, 2, 1)
            self.down_modules.append(
                nn.ModuleList(
                    [
                        _ResidualBlock(inputs, outputs, sizes),
                        _ResidualBlock(outputs, outputs, sizes),
                        half_length,
                    ]
                )
            )
        self.mid_modules = nn.ModuleList(_ResidualBlock(channels[-1], channels[-1], sizes) for _ in range(2))
        self.up_modules = nn.ModuleList()
        for outputs, inputs in reversed(widths[1:]):
            self.up_modules.append(
                nn.ModuleList(
                    [
                        _ResidualBlock(2 * inputs, outputs, sizes),
                        _ResidualBlock(outputs, outputs, sizes),
                        nn.ConvTranspose1d(outputs, outputs, 4, 2, 1),
                    ]
                )
            )
        self.final_conv = nn.Sequential(
            _ConvolutionBlock(channels[0], channels[0], sizes.kernel, _LAST_GROUPS),
            nn.Conv1d(channels[0], action_dim, 1),
        )

    def forward(self, x: Tensor, t: Tensor, observation: Tensor) -> Tensor:
        """Chunk (B, T, D), training step (B,) and observations (B, n): (B, T, D)."""
        angles = t.reshape(-1, 1).float() * self.frequencies
        time = self.diffusion_step_encoder(torch.cat([angles.sin(), angles.cos()], dim=1))
        condition = torch.cat([time, observation], dim=1)
        h = x.transpose(1, 2)
        skips: list[Tensor] = []
        for level in self.down_modules:
            blocks = list(level.children())
            h = blocks[1](blocks[0](h, condition), condition)
            skips.append(h)
            h = blocks[2](h)
        for block in self.mid_modules:
            h = block(h, condition)
        for level in self.up_modules:
            blocks = list(level.children())
            h = blocks[0](torch.cat([h, skips.pop()], dim=1), condition)
            h = blocks[2](blocks[1](h, condition))
        answer: Tensor = self.final_conv(h).transpose(1, 2)
        return answer


class DiffusionNetwork(nn.Module):
    """What the sampler asks: normalised features in the order of the checkpoint's inputs.

    Args:
        checkpoint: Of type diffusion.

    Raises:
        FormatError: A field of config.json is out of its bounds.
    """

    training_only = ()

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        config = checkpoint.config
        self.horizon = config.integer("horizon", 16)
        self.n_obs_steps = config.integer("n_obs_steps", 2, most=32)
        self.inputs = checkpoint.inputs
        images = [feature for feature in self.inputs if feature.kind == "VISUAL"]
        if not any(feature.kind == "STATE" for feature in self.inputs):
            raise config.wrong("input_features", "needs observation.state")
        size = sum(feature.size for feature in self.inputs if feature.kind != "VISUAL")
        self.is_separate = config.flag("use_separate_rgb_encoder_per_camera", False)
        if images:
            if any(image.shape != images[0].shape for image in images):
                raise config.wrong("input_features", "must have images of one shape")
            count = len(images) if self.is_separate else 1
            encoders = [ImageEncoder(config, *images[0].shape[1:]) for _ in range(count)]
            self.rgb_encoder = nn.ModuleList(encoders) if self.is_separate else encoders[0]
            size += len(images) * encoders[0].out.out_features
        self.unet = UNet(UNetSizes(config, size * self.n_obs_steps), checkpoint.action_dim)
        divisor = 1 << (len(self.unet.down_modules) - 1)
        if self.horizon % divisor:
            raise config.wrong("horizon", f"must be a multiple of {divisor}: the network halves it")

    def encode(self, *observation: Tensor) -> Tensor:
        """Features (B, [n_obs_steps,] *shape) to the condition (B, n), step after step."""
        steps = self.n_obs_steps
        values = [value if steps > 1 else value[:, None] for value in observation]
        by_kind = {f.kind: value for f, value in zip(self.inputs, values, strict=True)}
        parts = [by_kind["STATE"]]
        pictures = [v for f, v in zip(self.inputs, values, strict=True) if f.kind == "VISUAL"]
        for i, picture in enumerate(pictures):
            encoder = self.rgb_encoder[i] if self.is_separate else self.rgb_encoder  # type: ignore[index]
            frames = [encoder(picture[:, k]) for k in range(steps)]
            parts.append(torch.stack(frames, dim=1))
        if "ENV" in by_kind:
            parts.append(by_kind["ENV"])
        return torch.cat(parts, dim=2).flatten(1)

    def forward(self, x: Tensor, t: Tensor, *observation: Tensor) -> Tensor:
        """The answer (B, T, D) at the noisy chunk (B, T, D) and training step (B,)."""
        answer: Tensor = self.unet(x, t, self.encode(*observation))
        return answer

    def fold(self) -> None:
        """Prepares the loaded weights for inference."""
        for module in list(self.modules()):
            if isinstance(module, ResNet):
                module.fold()

    @staticmethod
    def named(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a checkpoint by the names that they have here."""
        found = {}
        for name, tensor in weights.items():
            head, listed, tail = name.partition("backbone.")
            number, dot, rest = tail.partition(".")
            if listed and number.isdecimal() and int(number) < len(_LISTED):
                name = f"{head}{listed}{_LISTED[int(number)]}{dot}{rest}"
            found[name] = tensor
        return found
