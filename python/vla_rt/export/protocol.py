"""What a policy must offer to be exported: two stages, normalised inside, and a description of itself."""

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
        """Inputs of `encode` in order: (name, shape without batch, dtype)."""


@runtime_checkable
class ExportablePolicy(Protocol):
    """An `nn.Module` that can be exported.

    `encode` holds what depends only on the observation and runs once per chunk; `step` runs at every stage of
    the sampler. Both see normalised values; the package normalises and un-normalises around them.
    """

    @property
    def config(self) -> ExportConfig:
        """Sizes of the policy."""

    @property
    def normalizers(self) -> Mapping[str, Normalizer]:
        """Normaliser by feature name, and that of "action"; a feature that is missing is left alone."""

    def sampler_spec(self) -> dict[str, Any]:
        """Type (flow_matching, ddpm, ddim, dpm_solver, consistency) and every option of that sampler.

        For example `{"type": "flow_matching", "num_steps": 10, "solver": "euler", "noise_at": 0}`; the
        option names are those of the sampler's class in `vla_rt.samplers`.
        """

    def encode(self, *observation: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Context of the normalised features, each (B, *shape), in the order of `config.observation`."""

    def step(self, x: Tensor, t: Tensor, context: Any) -> Tensor:
        """The network's answer (B, T, D) at the noisy chunk x (B, T, D) and time t (B,)."""
