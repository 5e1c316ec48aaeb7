"""What a policy sees: named features, checked once where raw data enters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vla_rt.errors import ConfigError, error, require

DTYPES = ("float32", "int64")


class FeatureSpec(NamedTuple):
    """One observation feature; equal to the plain tuple ``(name, shape, dtype)``."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """Number of values, batch left out."""
        return math.prod(self.shape)

    @property
    def is_image(self) -> bool:
        """Whether it is an image (C, H, W) in [0, 1], which also comes as uint8 (H, W, C)."""
        return len(self.shape) == 3 and "image" in self.name and self.dtype == "float32"

    @property
    def is_tokens(self) -> bool:
        """Whether it holds whole numbers, such as the words of an instruction."""
        return self.dtype == "int64"


def feature_specs(features: Any, field: str = "observation") -> tuple[FeatureSpec, ...]:
    """Reads features given as ``FeatureSpec`` or as plain ``(name, shape[, dtype])`` sequences.

    Raises:
        ConfigError: A feature is malformed, nameless, repeated, empty or of another type; the field and its
            index are named.
    """
    specs: list[FeatureSpec] = []
    for i, feature in enumerate(features):
        at = f"{field}[{i}]"
        try:
            name, shape, *rest = feature
            spec = FeatureSpec(str(name), tuple(int(n) for n in shape), str(rest[0]) if rest else "float32")
        except (TypeError, ValueError):
            raise error(ConfigError, at, feature, "must be (name, shape, dtype)") from None
        require(bool(spec.name), f"{at}.name", "''", "must not be empty")
        require(all(spec.name != s.name for s in specs), f"{at}.name", spec.name, "must be unique")
        require(
            bool(spec.shape) and all(n > 0 for n in spec.shape), f"{at}.shape", spec.shape, "needs sizes > 0"
        )
        require(spec.dtype in DTYPES, f"{at}.dtype", spec.dtype, f"must be one of {', '.join(DTYPES)}")
        specs.append(spec)
    require(bool(specs), field, "()", "needs at least one feature")
    return tuple(specs)


def observation_tensors(observation: Mapping[str, Any], specs: tuple[FeatureSpec, ...]) -> list[Tensor]:
    """Picks one unbatched observation's features in the order of ``specs``, as a batch of one.

    Raises:
        ConfigError: A feature is missing, has another shape or type, or holds NaN or Inf.
    """
    tensors: list[Tensor] = []
    for spec in specs:
        if spec.name not in observation:
            raise error(ConfigError, spec.name, "missing", f"the observation has {sorted(observation)}")
        raw = np.asarray(observation[spec.name])
        values = batch_feature(torch.from_numpy(_readable(raw, spec))[None], spec)
        if not spec.is_tokens:
            flat = values.reshape(-1)
            bad = torch.nonzero(~torch.isfinite(flat))
            if bad.numel():
                at = int(bad[0])
                raise error(ConfigError, f"{spec.name}[{at}]", flat[at].item(), "must be finite")
        tensors.append(values)
    return tensors


def batch_feature(raw: Tensor, spec: FeatureSpec) -> Tensor:
    """A raw feature (B, *shape) as the network's type; an image also from uint8 (B, H, W, C).

    Raises:
        ConfigError: The shape or type does not fit.
    """
    if spec.is_image and raw.dtype == torch.uint8:
        channels, height, width = spec.shape
        _require_shape(raw, (height, width, channels), spec.name)
        return raw.movedim(-1, 1).float() / 255.0
    _require_shape(raw, spec.shape, spec.name)
    if spec.is_tokens:
        require(not raw.is_floating_point(), spec.name, raw.dtype, "must be whole numbers")
        return raw.long()
    return raw


def _require_shape(raw: Tensor, shape: tuple[int, ...], name: str) -> None:
    require(
        raw.dim() == 1 + len(shape) and tuple(raw.shape[1:]) == shape,
        name,
        f"shape {tuple(raw.shape)}",
        f"must be (B, {', '.join(map(str, shape))})",
    )


def _readable(raw: NDArray[Any], spec: FeatureSpec) -> NDArray[Any]:
    """The array in a type that torch takes."""
    if spec.is_image and raw.dtype == np.uint8:
        require(
            raw.shape == (*spec.shape[1:], spec.shape[0]),
            spec.name,
            f"shape {raw.shape}",
            f"must have shape {(*spec.shape[1:], spec.shape[0])} as uint8, or {spec.shape} as float32",
        )
        return np.ascontiguousarray(raw)
    require(raw.shape == spec.shape, spec.name, f"shape {raw.shape}", f"must have shape {spec.shape}")
    if spec.is_tokens:
        require(raw.dtype.kind in "iu", spec.name, raw.dtype, "must be whole numbers")
        return raw.astype(np.int64)
    return raw.astype(np.float32)
