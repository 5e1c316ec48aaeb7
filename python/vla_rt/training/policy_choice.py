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
        options: Of its configuration, as the user asks for them.
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
    known = {field.name for field in dataclasses.fields(config_class)}
    for option in options:
        require(
            option in known,
            option,
            options[option],
            f"{config_class.__name__} has {', '.join(sorted(known))}",
        )
    values = {**{key: value for key, value in fields.items() if key in known}, **options}
    try:
        config: Any = config_class(**values)
        config.validate()
    except TypeError as cause:  # a text where a number belongs
        raise error(
            ConfigError, "options", dict(options), f"do not fit {config_class.__name__}: {cause}"
        ) from cause
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy: nn.Module = kind(config)  # type: ignore[misc]
    return policy
