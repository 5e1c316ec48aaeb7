"""Raising the errors of vla_rt from Python with the same fields as C++ fills."""

from __future__ import annotations

from typing import TypeVar

from vla_rt._core import ConfigError, FormatError, ModelError, RealtimeError, VlaRtError

__all__ = [
    "ConfigError",
    "FormatError",
    "ModelError",
    "RealtimeError",
    "VlaRtError",
    "error",
    "require",
]

_E = TypeVar("_E", bound=VlaRtError)


def error(kind: type[_E], name: str, value: object, bound: str) -> _E:
    """Builds an error that reads ``<name> = <value>: <bound>`` and carries the three as attributes.

    Args:
        kind: Class of the error.
        name: Offending field, with its index: ``"max_velocity[3]"``.
        value: What it had.
        bound: What it broke, as a sentence's end: ``"must be > 0"``.
    """
    text = str(value)
    instance = kind(f"{name} = {text}: {bound}" if text else f"{name}: {bound}")
    instance.name, instance.value, instance.bound = name, text, bound
    return instance


def require(condition: bool, name: str, value: object, bound: str) -> None:
    """Raises ConfigError about ``name`` unless ``condition`` holds."""
    if not condition:
        raise error(ConfigError, name, value, bound)
