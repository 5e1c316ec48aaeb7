"""Real-time chunking: a new chunk that continues the one being executed (Black, Galliker and Levine 2025)."""

from vla_rt._core import Guidance, prefix_weights

__all__ = ["Guidance", "prefix_weights"]
