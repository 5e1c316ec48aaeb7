"""Samplers: from noise to action chunks or tokens, the loop in C++."""

from collections.abc import Mapping
from typing import Any

from vla_rt._core import (
    AutoregressiveSampler,
    ConsistencySampler,
    DDIMSampler,
    DDPMSampler,
    DirectSampler,
    DPMSolverSampler,
    FlowMatchingSampler,
    Sampler,
    noise,
)

__all__ = [
    "AutoregressiveSampler",
    "ConsistencySampler",
    "DDIMSampler",
    "DDPMSampler",
    "DPMSolverSampler",
    "DirectSampler",
    "FlowMatchingSampler",
    "Sampler",
    "from_spec",
    "noise",
]

_TYPES: dict[str, type[Sampler]] = {
    "flow_matching": FlowMatchingSampler,
    "ddpm": DDPMSampler,
    "ddim": DDIMSampler,
    "dpm_solver": DPMSolverSampler,
    "consistency": ConsistencySampler,
    "direct": DirectSampler,
}


def from_spec(spec: Mapping[str, Any]) -> Sampler:
    """The sampler that a policy package names: its `type` and its options.

    Raises:
        ConfigError: An option is out of its bounds.
    """
    options = dict(spec)
    return _TYPES[options.pop("type")](**options)
