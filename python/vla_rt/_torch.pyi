"""
libtorch backends of vla_rt; importing this module registers them with the C++ backend registry.
"""

from __future__ import annotations

__all__: list[str] = ["TORCH_VERSION"]
TORCH_VERSION: str = "2.13.0"
