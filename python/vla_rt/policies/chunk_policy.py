"""What all acting policies share: statistics, checked input, and prediction through the core's samplers."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

import vla_rt
from vla_rt.errors import ConfigError, error, require
from vla_rt.policies.feature_normalizer import FeatureNormalizer
from vla_rt.policies.features import FeatureSpec, batch_feature, observation_tensors
from vla_rt.policies.policy_config import PolicyConfig


class ChunkPolicy(nn.Module, ABC):
    """A policy over chunks of actions: raw outside, normalised inside.

    ``encode`` is called once per chunk; what follows is a ``DenoisingPolicy``'s ``step`` or a
    ``TokenChunkPolicy``'s ``next_token_logits``, called by the sampler that ``sampler_spec`` names.

    Args:
        config: Sizes; validated here.

    Attributes:
        config: Sizes.
        device: Where the weights are.
        targets: Names that a batch of ``loss`` must hold besides the observation.
        optional_targets: Names that it may hold.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: PolicyConfig
    targets: ClassVar[tuple[str, ...]] = ("action",)
    optional_targets: ClassVar[tuple[str, ...]] = ("action_is_pad",)

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        config.validate()
        self.config = config
        self._observation_normalizers = nn.ModuleList(
            FeatureNormalizer(spec.shape[0] if spec.is_image else spec.size, config.normalization_of(spec))
            for spec in config.observation
        )
        self._action_normalizer = FeatureNormalizer(config.action_dim, config.action_normalization)

    @abstractmethod
    def sampler_spec(self) -> dict[str, Any]:
        """Sampler that turns this network into actions, as a package stores it."""

    @abstractmethod
    def encode(self, *observation: Tensor) -> Any:
        """What the network keeps of an observation: a tensor or a tuple of tensors.

        Args:
            observation: Normalised features in the order of ``config.observation``, each (B, *shape).
        """

    @abstractmethod
    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What training minimises.

        Args:
            batch: Raw features (B, *shape) by name, ``action`` (B, T, D) raw, and optionally
                ``action_is_pad`` (B, T) bool: rows that do not count.

        Returns:
            Scalar; may draw from torch's global generator.

        Raises:
            ConfigError: A key is missing or a shape is wrong.
        """

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Same as ``loss``, so that wrappers such as DistributedDataParallel can be used."""
        return self.loss(batch)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._action_normalizer.first.device

    @property
    def normalizers(self) -> dict[str, vla_rt.Normalizer]:
        """C++ normalisers by feature name, and the one of ``"action"``."""
        found = {
            spec.name: normalizer.normalizer
            for spec, normalizer in zip(self.config.observation, self._feature_normalizers(), strict=True)
        }
        return {**found, "action": self._action_normalizer.normalizer}

    @property
    def has_statistics(self) -> bool:
        """Whether every normaliser knows its statistics; until then raw values pass unchanged."""
        return all(n.is_fitted for n in (*self._feature_normalizers(), self._action_normalizer))

    def set_statistics(self, stats: Mapping[str, Mapping[str, Any]]) -> None:
        """Fits the normalisers.

        Args:
            stats: For each observation feature and for ``"action"`` its ``mean``, ``std``, ``min``,
                ``max``, ...

        Raises:
            ConfigError: A feature or statistic is missing or malformed.
        """
        for spec, normalizer in zip(self.config.observation, self._feature_normalizers(), strict=True):
            normalizer.fit(stats.get(spec.name, {}), spec.name)
        self._action_normalizer.fit(stats.get("action", {}), "action", self._unnormalized_values())

    def predict(
        self,
        observation: Mapping[str, ArrayLike],
        noise: ArrayLike | None = None,
        step_noise: ArrayLike | None = None,
        seed: int = 0,
        guidance: vla_rt.rtc.Guidance | None = None,
    ) -> NDArray[np.float64]:
        """Samples one chunk for one raw, unbatched observation.

        Args:
            observation: Raw features by name, each of its ``config.observation`` shape; finite. An image
                also as uint8 (H, W, C).
            noise: Initial noise (T, D) in normalised units; drawn from ``seed`` by the core's Philox when
                None.
            step_noise: (K, T, D), what a stochastic sampler adds; None draws it from ``seed``.
            seed: Seed of the noise.
            guidance: The chunk to continue (real-time chunking), ``previous`` raw (L, D).

        Returns:
            Raw actions (T, D); row 0 is the action for now.

        Raises:
            ConfigError: A feature is missing, has another shape or is not finite; the noise has another
                shape; the guidance does not fit or the sampler offers none.
        """
        with torch.inference_mode(), self._evaluating():
            features = self._normalized(observation_tensors(observation, self.config.observation))
            normalized = self._sample(
                [f.to(self.device) for f in features],
                noise,
                step_noise,
                seed,
                self._normalized_guidance(guidance),
            )
            return self._action_normalizer.inverse(normalized.to(self.device)).cpu().numpy()

    @abstractmethod
    def _sample(
        self,
        features: list[Tensor],
        noise: ArrayLike | None,
        step_noise: ArrayLike | None,
        seed: int,
        guidance: vla_rt.rtc.Guidance | None,
    ) -> Tensor:
        """One chunk (T, D) in normalised units for normalised features, each (1, *shape)."""

    def _normalized_guidance(self, guidance: vla_rt.rtc.Guidance | None) -> vla_rt.rtc.Guidance | None:
        if guidance is None:
            return None
        previous = np.asarray(guidance.previous, dtype=np.float64)
        shape = (self.config.horizon, self.config.action_dim)
        require(
            previous.ndim == 2 and len(previous) <= shape[0] and previous.shape[1] == shape[1],
            "guidance.previous",
            f"shape {previous.shape}",
            f"must be (L, {shape[1]}) with L <= {shape[0]}",
        )
        normalized = self._action_normalizer(torch.from_numpy(previous).to(self.device)).cpu().numpy()
        return vla_rt.rtc.Guidance(
            normalized,
            guidance.delay,
            guidance.execution_horizon,
            guidance.max_weight,
            guidance.schedule,
            guidance.jacobian,
        )

    def _rows(self, values: Tensor) -> Tensor:
        """Values (B, T * D) as (B, T, D)."""
        return values.reshape(-1, self.config.horizon, self.config.action_dim)

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        was_training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(was_training)

    def _unnormalized_values(self) -> tuple[int, ...]:
        """Values of an action that have no statistics, such as a quaternion's."""
        return ()

    def _feature_normalizers(self) -> list[FeatureNormalizer]:
        return [n for n in self._observation_normalizers if isinstance(n, FeatureNormalizer)]

    def _normalized(self, features: list[Tensor]) -> list[Tensor]:
        """Features (B, *shape) in normalised units."""
        for feature, spec in zip(features, self.config.observation, strict=True):
            if spec.is_tokens:
                _require_ids(feature, spec, self.config.vocabulary_of(spec))
        return [
            _normalized_feature(feature.to(self.device), spec, normalizer)
            for feature, spec, normalizer in zip(
                features, self.config.observation, self._feature_normalizers(), strict=True
            )
        ]

    def _normalized_observation(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        specs = self.config.observation
        return self._normalized([batch_feature(batch_entry(batch, spec.name), spec) for spec in specs])

    def _raw_action(self, batch: Mapping[str, Tensor]) -> Tensor:
        raw = batch_entry(batch, "action")
        shape = (self.config.horizon, self.config.action_dim)
        require(
            raw.dim() == 3 and tuple(raw.shape[1:]) == shape,
            "action",
            f"shape {tuple(raw.shape)}",
            f"must be (B, {shape[0]}, {shape[1]})",
        )
        return raw.to(self.device)

    def _normalized_action(self, batch: Mapping[str, Tensor]) -> Tensor:
        normalized: Tensor = self._action_normalizer(self._raw_action(batch))
        return normalized


def batch_entry(batch: Mapping[str, Tensor], name: str) -> Tensor:
    """The tensor called ``name``; ConfigError where there is none."""
    require(name in batch, name, "missing", f"the batch has {sorted(batch)}")
    return batch[name]


def per_sample(batch: Mapping[str, Tensor], name: str, size: int) -> Tensor:
    """The numbers called ``name``, one per sample: (B,) from (B,) or (B, 1).

    Raises:
        ConfigError: They are missing, or not B = ``size``.
    """
    values = batch_entry(batch, name)
    fits = values.shape in ((size,), (size, 1))
    require(fits, name, f"shape {tuple(values.shape)}", f"must be ({size},)")
    return values.reshape(-1)


def mean_over_rows(errors: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """Mean of ``errors`` (B, T) over the rows that are no padding; 0 where all are."""
    pad = batch.get("action_is_pad")
    if pad is None:
        return errors.mean()
    require(pad.shape == errors.shape, "action_is_pad", tuple(pad.shape), f"must be {tuple(errors.shape)}")
    counts = (~pad.bool()).to(errors)
    return (errors * counts).sum() / counts.sum().clamp(min=1.0)


def _require_ids(feature: Tensor, spec: FeatureSpec, size: int | None) -> None:
    bad = torch.nonzero((feature < 0) | (feature >= size)) if size is not None else feature[:0]
    if bad.numel():
        at = tuple(bad[0].tolist())
        bound = f"must be an id in 0..{0 if size is None else size - 1}"
        raise error(ConfigError, f"{spec.name}{list(at[1:])}", feature[at].item(), bound)


def _normalized_feature(feature: Tensor, spec: FeatureSpec, normalizer: FeatureNormalizer) -> Tensor:
    if spec.is_tokens:
        return feature
    if spec.is_image:
        image: Tensor = normalizer(feature.movedim(1, -1)).movedim(-1, 1)
        return image
    flat: Tensor = normalizer(feature.flatten(1))
    return flat.reshape(feature.shape)
