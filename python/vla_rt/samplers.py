"""Samplers: from noise to action chunks, the loop in C++.

The names of this module are those of ``vla_rt._core.samplers``.
"""

from vla_rt._core.samplers import FlowMatchingSampler, Sampler, noise

__all__ = ["FlowMatchingSampler", "Sampler", "noise"]
