"""What a policy must offer to be exported: one function, normalised inside, and a description of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from vla_rt._core import Normalizer

if TYPE_CHECKING:
    from torch import Tensor

Feature: TypeAlias = "tuple[str, tuple[int, ...], str]"


@runtime_checkable
class ExportConfig(Protocol):
    """Fields that `policy.config` must have; a frozen dataclass fulfils it."""

    @property
    def horizon(self) -> int:
        """T, rows of a chunk."""

    @property
    def action_dim(self) -> int:
        """D, values of a row."""

    @property
    def period_s(self) -> float:
        """Time between two rows [s]."""

    @property
    def execution_horizon(self) -> int:
        """Rows to execute before the next chunk is due."""

    @property
    def observation(self) -> tuple[Feature, ...]:
        """Features in order: (name, shape without batch, dtype).

        Besides these a configuration may have `n_obs_steps` > 1, where the first axis of every feature is
        time, `first_row`, rows of the past at the front of the horizon, `generated_dim`, columns of the
        network where it has more than D (the first D are the action), and `images`, the names of those
        features that are images (else every one of 3 axes with "image" in its name).
        """


class ExportablePolicy(Protocol):
    """An `nn.Module` that can be exported.

    The network is one function, `denoise`; the exporter finds out by itself what it does once at load, once
    per chunk and at every step. It sees normalised values; the package normalises and un-normalises around
    it.

    Instead of `denoise` a policy may have the two methods `encode(*observation) -> context` and
    `step(x, t, context)`; they are taken as `step(x, t, encode(*observation))` and split anew. A policy over
    tokens is a `TokenPolicy`.
    """

    @property
    def config(self) -> ExportConfig:
        """Sizes of the policy."""

    @property
    def normalizers(self) -> Mapping[str, Normalizer]:
        """Normaliser by feature name, and that of "action"; a feature that is missing is left alone."""

    def sampler_spec(self) -> dict[str, Any]:
        """Type (flow_matching, ddpm, ddim, dpm_solver, consistency, direct) and every option of that sampler.

        For example `{"type": "flow_matching", "num_steps": 10, "solver": "euler", "noise_at": 0}`; the
        option names are those of the sampler's class in `vla_rt.samplers`.
        """

    def denoise(self, x: Tensor, t: Tensor, *observation: Tensor) -> Tensor:
        """The network's answer (B, T, D) at the noisy chunk x (B, T, D) and time t (B,).

        That of a direct policy has the shape of its head (`DirectSampler`).
        `observation` holds the normalised features, each (B, *shape), in the order of `config.observation`.
        """


class TokenPolicy(Protocol):
    """An `nn.Module` over action tokens, exported with caches of keys and values instead of `denoise`.

    `config`, `normalizers` and `sampler_spec` are those of `ExportablePolicy`. Keys and values of the
    observation (cross attention) need no cache: what depends on the observation alone is computed once per
    chunk.
    """

    @property
    def config(self) -> ExportConfig:
        """Sizes of the policy."""

    @property
    def normalizers(self) -> Mapping[str, Normalizer]:
        """Normaliser by feature name, and that of "action"; a feature that is missing is left alone."""

    def sampler_spec(self) -> dict[str, Any]:
        """Type (autoregressive), every option of the sampler, `vocab_size` and `start_token`."""

    def tokenizer_spec(self) -> dict[str, Any]:
        """Type (uniform, rt1, openvla, quantile, motion, fast) and what that tokenizer's constructor takes.

        With `{"type": "fast", "strict": True}` the policy's `tokenizer`, a `FastTokenizer`, is stored too.
        """

    def cache_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the caches without batch dimension, with room for every position.

        They hold float32, zeros before the first token.
        """

    def next_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], *observation: Tensor
    ) -> Tensor:
        """Logits (1, V) of the token at `position` (1,), given the one before it, `token` (1,), both int64.

        Writes into `caches` in place, at `position` (`index_copy_`), and reads no later position from them.
        """


#: What `export_policy` takes.
AnyPolicy: TypeAlias = "ExportablePolicy | TokenPolicy"
