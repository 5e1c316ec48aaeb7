"""Bridges to what other people's stacks write and speak; each loads what it needs when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_rt.integrations import lerobot, openpi, ros2

__all__ = ["lerobot", "openpi", "ros2"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"vla_rt.integrations.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
