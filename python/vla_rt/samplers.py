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
from vla_rt.errors import ConfigError, error

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
        ConfigError: No such type, or an option is out of its bounds.
    """
    options = dict(spec)
    kind = options.pop("type", None)
    if kind not in _TYPES:
        raise error(ConfigError, "type", kind, f"must be {', '.join(_TYPES)}")
    return _TYPES[kind](**options)
