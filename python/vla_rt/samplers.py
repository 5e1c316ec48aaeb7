"""Samplers: from noise to action chunks, the loop in C++."""

from vla_rt._core import FlowMatchingSampler, Sampler, noise

__all__ = ["FlowMatchingSampler", "Sampler", "noise"]
