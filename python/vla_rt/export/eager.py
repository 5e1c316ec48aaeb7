"""The reference that an exported package is compared with: the same chunk, computed by the eager policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vla_rt import samplers
from vla_rt._core import Normalizer, PolicySpec
from vla_rt.export.eager_tokens import EagerTokens
from vla_rt.export.network import Network
from vla_rt.export.protocol import AnyPolicy


def normalizer_of(stored: dict[str, Any]) -> Normalizer:
    """The normaliser of its description in `policy.json`."""
    return Normalizer(**stored)


class EagerPolicy:
    """`policy` run step by step in PyTorch, with the description in the package around it.

    Args:
        policy: The policy that was exported.
        spec: What its package says.
        folder: Of the package.
    """

    def __init__(self, policy: AnyPolicy, spec: PolicySpec, folder: Path) -> None:
        self._network = Network(policy)
        self._spec = spec
        stored = spec.to_dict()
        self._features = stored["observation"]
        self._normalizers = [normalizer_of(feature["normalizer"]) for feature in self._features]
        self._action_normalizer = normalizer_of(stored["action_normalizer"])
        self._tokens = EagerTokens(self._network, spec, folder) if spec.tokenizer else None
        self._sampler = None if spec.tokenizer else samplers.from_spec(spec.sampler)

    def random_inputs(self, seed: int) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32] | None]:
        """A raw observation whose normalised values are standard normal, and noise if there is any."""
        rng = np.random.default_rng(seed)
        observation: dict[str, NDArray[Any]] = {}
        for feature, normalizer in zip(self._features, self._normalizers, strict=True):
            shape = tuple(feature["shape"])
            if feature["dtype"] != "float32":
                observation[feature["name"]] = np.zeros(shape, dtype=feature["dtype"])
                continue
            values = rng.normal(size=shape)
            flat = _per_value(values, feature["kind"], normalizer)
            raw = normalizer.denormalize(flat)
            observation[feature["name"]] = _restored(raw, shape, feature["kind"]).astype(np.float32)
        if self._sampler is None:
            return observation, None
        return observation, rng.normal(size=(self._spec.horizon, self._spec.generated_dim)).astype(np.float32)

    def sample(
        self, observation: Mapping[str, NDArray[Any]], noise: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """Normalised actions (T - first_row, D)."""
        inputs = self.inputs(observation)
        with torch.inference_mode():
            if self._tokens is not None:
                x: NDArray[Any] = self._tokens.sample(tuple(inputs))
            else:
                assert self._sampler is not None
                assert noise is not None
                x = self._sampler.sample(self._denoiser(inputs), noise[None])[0]
        return self.normalized(
            self._action_normalizer.denormalize(x[self._spec.first_row :, : self._spec.action_dim])
        )

    def inputs(self, observation: Mapping[str, NDArray[Any]]) -> list[Tensor]:
        """What the network takes for a raw observation, batch of 1."""
        inputs = []
        for feature, normalizer in zip(self._features, self._normalizers, strict=True):
            raw = np.asarray(observation[feature["name"]], dtype=feature["dtype"])
            if feature["dtype"] == "float32":
                flat = normalizer.normalize(_per_value(raw, feature["kind"], normalizer))
                raw = _restored(flat, raw.shape, feature["kind"]).astype(np.float32)
            inputs.append(torch.from_numpy(raw)[None])
        return inputs

    def _denoiser(self, inputs: list[Tensor]) -> Callable[[NDArray[np.float32], float], NDArray[np.float32]]:
        def denoiser(x: NDArray[np.float32], t: float) -> NDArray[np.float32]:
            answer = self._network(torch.from_numpy(x), torch.full((1,), float(t)), *inputs)
            result: NDArray[np.float32] = answer.numpy()
            return result

        return denoiser

    def normalized(self, actions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw actions (T, D) in normalised units."""
        return self._action_normalizer.normalize(actions)


def _per_value(values: NDArray[Any], kind: str, normalizer: Normalizer) -> NDArray[Any]:
    """The layout in which the normaliser's dimension is the last axis."""
    if kind == "image":
        return np.moveaxis(values, -3, -1)
    return values.reshape(-1) if normalizer.dimension == values.size else values


def _restored(values: NDArray[Any], shape: tuple[int, ...], kind: str) -> NDArray[Any]:
    return np.moveaxis(values, -1, -3) if kind == "image" else values.reshape(shape)
