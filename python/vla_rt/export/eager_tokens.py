"""Tokens and their actions as the eager policy gives them: the reference of an exported token policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vla_rt import samplers, tokenizers
from vla_rt._core import ModelError, PolicySpec
from vla_rt.export.network import Network

_BIN_TOKENIZERS = {
    "uniform": tokenizers.UniformTokenizer,
    "rt1": tokenizers.RT1Tokenizer,
    "openvla": tokenizers.OpenVLATokenizer,
    "quantile": tokenizers.QuantileTokenizer,
}


class EagerTokens:
    """Draws the tokens of a chunk with a network step by step in PyTorch, and decodes them.

    Args:
        network: Of a policy over tokens.
        spec: What its package says.
        folder: Of the package, where a tokenizer may have files.
    """

    def __init__(self, network: Network, spec: PolicySpec, folder: Path) -> None:
        options = dict(spec.sampler)
        del options["type"]
        self._vocabulary, self._start = options.pop("vocab_size"), options.pop("start_token")
        self._stop = options["stop_token"]
        self._last_position = 0 if options["parallel"] else options["num_tokens"] - 1
        self._sampler = samplers.AutoregressiveSampler(**options)
        self._network = network
        self._spec = spec
        tokenizer = dict(spec.tokenizer)
        self._kind = tokenizer.pop("type")
        self._strict = bool(tokenizer.get("strict", True))
        self._tokenizer: Any
        if self._kind in _BIN_TOKENIZERS:
            self._tokenizer = _BIN_TOKENIZERS[self._kind](**tokenizer)
            self._first, self._last = self._tokenizer.min_token, self._tokenizer.max_token
        elif self._kind == "motion":
            self._tokenizer = tokenizers.MotionTokenizer()
            self._first, self._last = 0, len(self._tokenizer.motions) - 1
        else:
            self._tokenizer = tokenizers.FastTokenizer.load(folder)
            vocabulary = json.loads(self._tokenizer.tokenizer_json())["model"]["vocab"]
            self._first, self._last = 0, len(vocabulary) - 1

    def sample(self, inputs: tuple[Tensor, ...]) -> NDArray[np.float64]:
        """Decoded actions (T, D), not yet un-normalised, of the normalised features.

        Raises:
            ModelError: The policy fails at a token that its package may have to draw.
        """
        # A stop token may end this chunk before the caches are full, another chunk not.
        self._logits(self._first, self._last_position, self._empty_caches(), inputs)
        caches = self._empty_caches()
        allowed = np.zeros(self._vocabulary, dtype=bool)
        allowed[self._first : self._last + 1] = True
        if self._stop is not None:
            allowed[self._stop] = True

        def logits(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
            before = self._start if tokens.shape[1] == 0 else int(tokens[0, -1])
            answer = self._logits(before, tokens.shape[1], caches, inputs)
            result: NDArray[np.float32] = np.where(allowed, answer.numpy(), np.float32(-np.inf))
            return result

        tokens = self._sampler.sample(logits)[0]
        if self._stop is not None and self._stop in tokens:
            tokens = tokens[: list(tokens).index(self._stop)]
        return self._decode(tokens)

    def _empty_caches(self) -> tuple[Tensor, ...]:
        return tuple(torch.zeros((1, *shape)) for shape in self._network.cache_shapes)

    def _logits(
        self, before: int, position: int, caches: tuple[Tensor, ...], inputs: tuple[Tensor, ...]
    ) -> Tensor:
        token, place = torch.full((1, 1), float(before)), torch.full((1,), float(position))
        try:
            answer: Tensor = self._network(token, place, *caches, *inputs)
        except (IndexError, RuntimeError) as cause:
            reason = str(cause).strip().split("\n")[0]
            raise ModelError(
                f"the policy fails at token {position} after id {before}, with num_tokens = "
                f"{self._last_position + 1} and cache_shapes = {self._network.cache_shapes}: {reason}"
            ) from cause
        return answer

    def _decode(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        horizon, action_dim = self._spec.horizon, self._spec.action_dim
        actions: NDArray[np.float64]
        if self._kind == "fast":
            actions = self._tokenizer.decode(tokens.tolist(), horizon, action_dim, self._strict)
        elif self._kind == "motion":
            actions, gripper = np.empty((horizon, action_dim)), 0.0
            for row, own in zip(actions, tokens.reshape(horizon, -1), strict=True):
                row[:] = self._tokenizer.decode(own, gripper)
                gripper = row[-1]
        else:
            actions = self._tokenizer.decode(tokens.reshape(horizon, -1))
        return actions.reshape(horizon, action_dim)
