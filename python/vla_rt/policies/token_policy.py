"""Policies over action tokens: trained by cross entropy, drawn one by one or all at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

import vla_rt
from vla_rt.errors import ConfigError, error, require
from vla_rt.policies.chunk_policy import ChunkPolicy, mean_over_rows
from vla_rt.policies.policy_config import PolicyConfig
from vla_rt.tokenizers import MotionTokenizer, UniformTokenizer

MODES = ("greedy", "sample")
VOCABULARIES = ("bins", "index", "motion")


@dataclass(frozen=True)
class TokenPolicyConfig(PolicyConfig):
    """A policy over tokens.

    Attributes:
        vocabulary: What a token means: ``bins`` divide [-1, 1] of every normalised value, ``index`` is the
            value itself (a discrete action 0, 1, ...), ``motion`` is the vocabulary of 256 motions, three
            per action.
        vocabulary_size: V, number of tokens.
        mode: ``greedy`` takes the likeliest token, ``sample`` draws.
        temperature: Of the draw.
        top_k: Draw from the k likeliest; 0 from all.
        top_p: Draw from the fewest tokens whose probabilities reach p.
    """

    vocabulary: Literal["bins", "index", "motion"] = "bins"
    vocabulary_size: int = 256
    mode: Literal["greedy", "sample"] = "greedy"
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    @property
    def tokens_per_row(self) -> int:
        """Tokens that an action takes."""
        return 3 if self.vocabulary == "motion" else self.action_dim

    @property
    def num_tokens(self) -> int:
        """N, tokens of a chunk."""
        return self.horizon * self.tokens_per_row

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_one_of("vocabulary", VOCABULARIES)
        self._require_one_of("mode", MODES)
        self._require_range("vocabulary_size", 2, 1 << 16)
        self._require_above_zero("temperature", "top_p")
        require(self.top_p <= 1.0, "top_p", self.top_p, "must be at most 1")
        require(self.top_k >= 0, "top_k", self.top_k, "must be >= 0")
        if self.vocabulary == "motion":
            require(self.vocabulary_size == 256, "vocabulary_size", self.vocabulary_size, "must be 256")
            require(self.action_dim == 7, "action_dim", self.action_dim, "must be 7 with motions")
        if self.vocabulary != "bins":
            mode = self.action_normalization
            require(mode == "identity", "action_normalization", mode, f"must be identity: {self.vocabulary}")


class TokenChunkPolicy(ChunkPolicy):
    """A policy that answers logits of tokens; ``tokenizer`` turns the tokens into actions.

    Attributes:
        parallel: Whether one evaluation gives the logits of all tokens.
        start_token: What stands before the first token.
    """

    config: TokenPolicyConfig
    parallel: ClassVar[bool] = False

    def __init__(self, config: TokenPolicyConfig) -> None:
        super().__init__(config)
        size = config.vocabulary_size
        self.start_token = 0
        self.tokenizer: UniformTokenizer | MotionTokenizer
        if config.vocabulary == "motion":
            self.tokenizer = MotionTokenizer()
        elif config.vocabulary == "index":
            self.tokenizer = UniformTokenizer(-0.5, size - 0.5, size)
        else:
            self.tokenizer = UniformTokenizer(-1.0, 1.0, size)

    @abstractmethod
    def logits(self, tokens: Tensor, context: Any) -> Tensor:
        """Logits (B, N, V) of every token given those before it in ``tokens`` (B, N): teacher forcing."""

    @abstractmethod
    def next_token_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], context: Any
    ) -> Tensor:
        """Logits (1, V) of the token at ``position`` (1,), given the one before it, ``token`` (1,).

        With ``parallel`` those of all tokens, (1, N, V). Writes into ``caches`` in place.
        """

    def cache_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the caches without batch dimension; zeros before the first token."""
        return ()

    def next_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], *observation: Tensor
    ) -> Tensor:
        """``next_token_logits`` for normalised features: what an exported package runs."""
        return self.next_token_logits(token, position, caches, self.encode(*observation))

    def sampler_spec(self) -> dict[str, Any]:
        """Sampler that draws the tokens, as a package stores it."""
        c = self.config
        return {
            "type": "autoregressive",
            "num_tokens": c.num_tokens,
            "mode": c.mode,
            "temperature": c.temperature,
            "top_k": c.top_k,
            "top_p": c.top_p,
            "stop_token": None,
            "parallel": self.parallel,
            "vocab_size": c.vocabulary_size,
            "start_token": self.start_token,
        }

    def tokenizer_spec(self) -> dict[str, Any]:
        """The tokenizer, as a package stores it."""
        if isinstance(self.tokenizer, MotionTokenizer):
            return {"type": "motion"}
        low, high = self.tokenizer.low.tolist(), self.tokenizer.high.tolist()
        return {"type": "uniform", "low": low, "high": high, "num_bins": self.tokenizer.num_bins}

    def tokens_of(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The tokens (B, N) of the batch's actions.

        Raises:
            ConfigError: As ``loss``.
        """
        raw = self._raw_action(batch)
        if self.config.vocabulary == "index":
            _require_indices(raw, self.config.vocabulary_size)
        actions = self._action_normalizer(raw).double().cpu().numpy()
        return torch.from_numpy(self.tokenizer.encode(actions)).flatten(1).to(self.device)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean cross entropy of the tokens, each given the true ones before it.

        Arguments and errors as ``ChunkPolicy.loss``; also a discrete action that is none is an error.
        """
        tokens = self.tokens_of(batch)
        logits = self.logits(tokens, self.encode(*self._normalized_observation(batch)))
        errors = F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
        return mean_over_rows(errors.reshape(len(tokens), self.config.horizon, -1).mean(dim=2), batch)

    def _sample(
        self,
        features: list[Tensor],
        noise: ArrayLike | None,
        step_noise: ArrayLike | None,
        seed: int,
        guidance: vla_rt.rtc.Guidance | None,
    ) -> Tensor:
        for name, given in (("noise", noise), ("step_noise", step_noise), ("guidance", guidance)):
            require(given is None, name, "", "must be empty for a token policy")
        context = self.encode(*features)
        caches = tuple(torch.zeros((1, *shape), device=self.device) for shape in self.cache_shapes())

        def logits(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
            before = tokens[0, -1] if tokens.shape[1] else self.start_token
            token = torch.full((1,), int(before), device=self.device)
            position = torch.full((1,), tokens.shape[1], device=self.device)
            return self.next_token_logits(token, position, caches, context).cpu().numpy()

        options = self.sampler_spec()
        for name in ("type", "vocab_size", "start_token"):
            del options[name]
        tokens = vla_rt.samplers.AutoregressiveSampler(**options).sample(logits, seed=seed)[0]
        return torch.from_numpy(self._decoded(tokens.reshape(self.config.horizon, -1)))

    def _decoded(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Tokens (T, n) as actions (T, D) in normalised units."""
        if isinstance(self.tokenizer, MotionTokenizer):
            rows: list[NDArray[np.float64]] = []
            for row in tokens:
                rows.append(self.tokenizer.decode(row, gripper=rows[-1][-1] if rows else 0.0))
            return np.stack(rows)
        return self.tokenizer.decode(tokens)


class ParallelTokenPolicy(TokenChunkPolicy):
    """A policy whose tokens do not see each other: ``encode`` answers the logits of all, (B, N, V)."""

    parallel: ClassVar[bool] = True

    def logits(self, tokens: Tensor, context: Tensor) -> Tensor:
        """The logits (B, N, V) that ``encode`` answered."""
        return context

    def next_token_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], context: Tensor
    ) -> Tensor:
        """The logits (1, N, V) that ``encode`` answered."""
        return context


def _require_indices(raw: Tensor, size: int) -> None:
    bad = torch.nonzero((raw != raw.round()) | (raw < 0) | (raw >= size))
    if bad.numel():
        at = bad[0].tolist()
        bound = f"must be a whole number in 0..{size - 1}"
        raise error(ConfigError, f"action{at}", raw[tuple(at)].item(), bound)
