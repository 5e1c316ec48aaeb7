"""What the fields of a `ControlConfig` may hold."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from pathlib import Path

import numpy as np

from vla_rt._core import CollisionModel, GripperJoint, JointLimits, Kinematics
from vla_rt.errors import require
from vla_rt.tool_actions import ActionMeaning

__all__ = ["MOST", "SEQUENCES", "check_type", "none_is_off"]

_WORDS = (
    "mode",
    "interpolation",
    "merge",
    "on_starvation",
    "realtime",
    "rtc_schedule",
    "rtc_jacobian",
    "relative_to",
    "delta_frame",
)
_INTEGERS = ("execution_horizon", "priority", "cpu", "seed")
_FLAGS = ("path_preserving", "lock_memory", "record_pictures")
_PATHS = ("violation_log", "record", "mcap")
_OBJECTS = {
    "limits": JointLimits,
    "kinematics": Kinematics,
    "collision": CollisionModel,
    "gripper": GripperJoint,
}
SEQUENCES = ("merge_weights", "discrete_dims", "relative_dims", "rotation_dims", "posture", "chain_joints")
#: Fields whose None switches a check off, with their largest value.
MOST = {
    "watchdog_s": 1e6,
    "max_following_error": 1e6,
    "plan_timeout_s": 1e6,
    "inference_rate_hz": 1e4,
    "inline_budget_s": 1,
}
#: Fields whose None means that the robot or the policy says it, or that a check is off.
_OPTIONAL = (
    "execution_horizon",
    "chunk_period_s",
    "plan_timeout_s",
    "max_following_error",
    "watchdog_s",
    "inference_rate_hz",
    "inline_budget_s",
    "cpu",
    "limits",
    "relative_to",
    "relative_dims",
    "kinematics",
    "workspace",
    "collision",
    *_PATHS,
    "mcap_rate_hz",
    "joint_names",
    "action_space",
    "gripper",
    "posture",
    "chain_joints",
)


def check_type(name: str, value: object) -> None:
    """Raises ConfigError where the field `name` cannot hold a value of this type."""
    if value is None and name in _OPTIONAL:
        return
    if name == "workspace":  # one or several, which the core tells apart and checks
        return
    if name in _OBJECTS:
        kind = _OBJECTS[name]
        found = type(value).__name__
        require(isinstance(value, kind), name, found, f"must be a {kind.__name__} or None")
    elif name in _PATHS:
        require(isinstance(value, (str, Path)), name, value, "must be a path")
    elif name == "joint_names":
        named = isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value)
        require(named, name, value, "must be a sequence of names")
    elif name == "action_space":
        ActionMeaning.of(value)
    elif name in _WORDS:
        require(isinstance(value, str), name, value, "must be a word")
    elif name in _FLAGS:
        require(isinstance(value, bool), name, value, "must be True or False")
    elif name in SEQUENCES:
        require(
            isinstance(value, Iterable) and not isinstance(value, str),
            name,
            value,
            "must be a sequence of numbers",
        )
    elif name in _INTEGERS:
        number = int(value) if isinstance(value, (int, np.integer)) else 2**31
        whole = not isinstance(value, bool) and abs(number) < 2**31
        require(whole, name, value, "must be an integer")
    else:
        require(isinstance(value, Real) and not isinstance(value, bool), name, value, "must be a number")


def none_is_off(name: str, value: float | None) -> float:
    """None is off, which the core spells 0; so that 0 itself is no silent way to switch a check off.

    Raises:
        ConfigError: A value that is not in (0, most].
    """
    if value is None:
        return 0.0
    most = MOST[name]
    require(0 < value <= most, name, value, f"must be > 0 and at most {most:.0f}, or None")
    return value
