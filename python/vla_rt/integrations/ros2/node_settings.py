"""A node from plain settings: what the parameters of a ROS 2 node come to."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import ConfigError, error, require
from vla_rt.integrations.ros2.node_core import NodeConfig
from vla_rt.integrations.ros2.node_ports import Topics
from vla_rt.integrations.ros2.policy_node import PolicyNode, PolicyNodeConfig
from vla_rt.integrations.ros2.task_node import TaskNode, TaskNodeConfig
from vla_rt.run_config import RunConfig

__all__ = ["ChunkSource", "Features", "NodeSettings", "make_node"]


@dataclass(frozen=True)
class Features:
    """What a package or server calls the values of the ports; one that is empty is not shown to it.

    Attributes:
        image: Of the image (H, W, 3), bytes.
        joints: Of the joint positions (N,).
        command: Of the text.
    """

    image: str = "observation.image"
    joints: str = "observation.state"
    command: str = ""


@dataclass(frozen=True)
class NodeSettings:
    """What a node is made of.

    Attributes:
        node: "policy" for a `PolicyNode`, "task" for a `TaskNode`.
        config: A file of `vla-rt run`, or the name of one that ships: joint names, limits, policy.
        set: Changes of it, "section.key=value".
        policy: "module:name" of a policy in Python; empty for that of `config`.
        rate_hz: Steps per second.
        image_timeout_s: Oldest image that is acted on [s].
        joints_timeout_s: Oldest joint state that is acted on [s].
        command_timeout_s: How long a command is acted on [s].
        max_linear: Of a task node, largest speed of a twist [m/s].
        max_angular: Of a task node, largest rate of a twist [rad/s].
        other_scale: Of a task node, share of a twist that is sent for tasks of no known kind.
        topics: Names of the topics.
        features: Names of the values.
    """

    node: str = "policy"
    config: str = ""
    set: tuple[str, ...] = ()
    policy: str = ""
    rate_hz: float = 10.0
    image_timeout_s: float = 0.5
    joints_timeout_s: float = 0.2
    command_timeout_s: float = 5.0
    max_linear: float = 0.5
    max_angular: float = 1.0
    other_scale: float = 0.2
    topics: Topics = field(default_factory=Topics)
    features: Features = field(default_factory=Features)


class ChunkSource:
    """Asks a package or a server for the rows of the values of a node's ports.

    Args:
        policy: With `sample(observation)`.
        features: What it calls the values.

    Raises:
        ConfigError: The policy looks at more than one observation.
    """

    def __init__(self, policy: Any, features: Features) -> None:
        spec = getattr(policy, "spec", policy)
        steps = getattr(spec, "n_obs_steps", 1)
        require(steps == 1, "policy.n_obs_steps", steps, "must be 1: a node shows the newest values alone")
        self._policy, self._names = policy, features
        self.period_s: float | None = getattr(spec, "period_s", None)

    def __call__(self, values: Mapping[str, Any]) -> NDArray[np.float64]:
        """The rows (T, N) of "image", "joints" and "command"."""
        given = {
            self._names.image: values["image"],
            self._names.joints: np.asarray(values["joints"], np.float32),
            self._names.command: values["command"],
        }
        rows = self._policy.sample({name: value for name, value in given.items() if name})
        return np.asarray(rows, dtype=np.float64)


def make_node(settings: NodeSettings) -> TaskNode | PolicyNode:
    """The node of the settings.

    Raises:
        ConfigError: A setting is out of its bounds or names nothing, or the configuration lacks limits or
            names of the joints.
        FormatError, ModelError: The package or server cannot be had.
    """
    require(settings.node in ("policy", "task"), "node", settings.node, "must be policy or task")
    require(
        bool(settings.config), "config", "", "is missing: a file of vla-rt run, or panda, ur5, so101, aloha"
    )
    run = RunConfig.from_file(settings.config, settings.set)
    limits, names = run.control.limits, run.robot.joint_names
    if limits is None or names is None:
        raise error(ConfigError, "config", settings.config, "must have limits and robot.joint_names")
    shared = {
        name: getattr(settings, name) for name in NodeConfig.__dataclass_fields__ if hasattr(settings, name)
    }
    if settings.node == "task":
        require(
            bool(settings.policy), "policy", "", "is missing: module:name of a function of values and task"
        )
        own = {name: getattr(settings, name) for name in ("max_linear", "max_angular", "other_scale")}
        return TaskNode(_named(settings.policy), TaskNodeConfig(tuple(names), limits, **shared, **own))
    if settings.policy:
        policy = _named(settings.policy)
        period_s = getattr(policy, "period_s", None)
    else:
        policy = ChunkSource(run.make_policy(), settings.features)
        period_s = policy.period_s
    period = {} if (chosen := run.control.chunk_period_s or period_s) is None else {"period_s": chosen}
    return PolicyNode(policy, PolicyNodeConfig(tuple(names), limits, **shared, **period))


def _named(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as cause:
        raise error(ConfigError, "policy", path, f"must be module:name ({cause})") from cause
    require(callable(found), "policy", path, "must be callable")
    return found  # type: ignore[no-any-return]
