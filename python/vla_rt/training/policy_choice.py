"""Policies by name, sized to fit a dataset."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from vla_rt.errors import ConfigError, error, require

__all__ = ["build_policy", "policy_classes"]


def policy_classes() -> dict[str, type[nn.Module]]:
    """Every policy of ``vla_rt.policies`` that can be trained, such as ``flow_matching``."""
    from vla_rt import policies

    found = {}
    for name in policies.__all__:
        value = getattr(policies, name)
        is_policy = inspect.isclass(value) and issubclass(value, policies.ChunkPolicy)
        if is_policy and not inspect.isabstract(value):
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
            found[words.removesuffix("_policy")] = value
    return found


def build_policy(name: str, fields: Mapping[str, Any], options: Mapping[str, Any], seed: int) -> nn.Module:
    """Makes a policy with weights that depend on the seed alone.

    Args:
        name: As of ``policy_classes``, or the name of the class.
        fields: Of its configuration, as the dataset asks for them; those that it does not have are left out.
            A dict holds the fields of the configuration of that name.
        options: Of its configuration, as the user asks for them; ``multimodal.width`` is the width of the
            configuration that ``multimodal`` holds.
        seed: Of the initial weights.

    Raises:
        ConfigError: No such policy, no such field, or a value out of its bounds.
    """
    classes = policy_classes()
    by_class = {kind.__name__: kind for kind in classes.values()}
    kind = classes.get(name, by_class.get(name))
    require(kind is not None, "policy", name, f"there are {', '.join(classes)}")
    hints = typing.get_type_hints(kind.__init__)  # type: ignore[misc]
    config_class: Any = next(
        t for t in typing.get_args(hints["config"]) or (hints["config"],) if dataclasses.is_dataclass(t)
    )
    try:
        config: Any = _configured(config_class, fields, options)
        config.validate()
    except TypeError as cause:  # a text where a number belongs
        raise error(
            ConfigError, "options", dict(options), f"do not fit {config_class.__name__}: {cause}"
        ) from cause
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy: nn.Module = kind(config)  # type: ignore[misc]
    return policy


def _configured(kind: Any, fields: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """A configuration of ``kind``, and of those that it holds."""
    known = {field.name for field in dataclasses.fields(kind)}
    nested: dict[str, dict[str, Any]] = {}
    plain: dict[str, Any] = {}
    for option, value in options.items():
        name, dot, rest = option.partition(".")
        require(name in known, option, value, f"{kind.__name__} has {', '.join(sorted(known))}")
        if dot:
            nested.setdefault(name, {})[rest] = value
        else:
            plain[name] = value
    values = {key: value for key, value in fields.items() if key in known and not isinstance(value, dict)}
    values.update(plain)
    for name, inner in fields.items():
        if name in known and isinstance(inner, dict):
            nested[name] = {**inner, **nested.get(name, {})}
    hints = typing.get_type_hints(kind)
    for name, inner in nested.items():
        kinds: list[Any] = [
            t for t in (hints[name], *typing.get_args(hints[name])) if dataclasses.is_dataclass(t)
        ]
        require(bool(kinds), name, inner, "holds no configuration of its own")
        start = values.get(name) or kinds[0]()
        values[name] = dataclasses.replace(start, **_checked(kinds[0], name, inner))
    return kind(**values)


def _checked(kind: Any, name: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    known = sorted(field.name for field in dataclasses.fields(kind))
    for option, value in options.items():
        require(option in known, f"{name}.{option}", value, f"{kind.__name__} has {', '.join(known)}")
    return options
