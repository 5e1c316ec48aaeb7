"""Samplers: from noise to action chunks or tokens, the loop in C++."""

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
    "noise",
]
