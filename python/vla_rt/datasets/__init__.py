"""Recorded demonstrations, as arrays."""

from vla_rt.datasets.demonstrations import Demonstrations

__all__ = ["Demonstrations"]
