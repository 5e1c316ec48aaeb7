"""The sections of a run's configuration file: their fields, where each goes, and the JSON Schema of all."""

from __future__ import annotations

import inspect
import re
import types
import typing
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args, get_origin

from vla_rt.config_file import LIMIT_FIELDS
from vla_rt.control_config import ControlConfig

__all__ = ["CONTROL_SECTIONS", "OWN_SECTIONS", "Field", "schema", "section_fields"]


@dataclass(frozen=True)
class RobotSection:
    """The robot.

    Attributes:
        type: simulated (follows commands as a second-order system), mujoco (the simulated arm with a task) or
            shared_memory (a driver in another process).
        name: Of the shared memory segment.
        timeout_s: Longest silence of a driver in another process [s].
        joint_names: For reports, in the order of the limits.
        position: Where the simulated joints begin; by default in the middle of their limits.
        features: What a simulated robot shows the policy besides its joints: numbers by name.
        task: Of mujoco.
        seed: Of the task's goals.
        model_path: MJCF file of another arm, for mujoco.
    """

    type: Literal["simulated", "mujoco", "shared_memory"] = "simulated"
    name: str | None = None
    timeout_s: float = 0.1
    joint_names: tuple[str, ...] | None = None
    position: tuple[float, ...] | None = None
    features: dict[str, Any] | None = None
    task: str = "reach"
    seed: int = 0
    model_path: str | None = None


@dataclass(frozen=True)
class PolicySection:
    """The policy: a package here or a server elsewhere.

    Attributes:
        package: Folder of a policy package.
        backend: Network of the package; by default the first that can run here.
        host: Of a server that speaks openpi's protocol, instead of a package.
        port: Of the server.
        api_key_variable: Environment variable that holds the server's key; a key itself is no configuration.
        timeout_s: Longest wait for an answer of the server [s].
        prompt: Sent with every request to the server.
    """

    package: str | None = None
    backend: str | None = None
    host: str | None = None
    port: int = 8000
    api_key_variable: str | None = None
    timeout_s: float = 1.0
    prompt: str | None = None


@dataclass(frozen=True)
class LoggingSection:
    """What is kept of a run.

    Attributes:
        report: JSON file of the report.
        recording: The run with its arrays (.npz), for `vla-rt plot`.
        violation_log: File for every wish that was not granted.
        record: File that keeps every tick and chunk, for `vla-rt replay`.
        record_max_mb: Largest size of that file and of the part before it together [MiB].
        record_pictures: Keep the pictures that the policy sees in it too.
        mcap: File for Foxglove, written while the run goes on.
        mcap_rate_hz: Of joints and ticks in that file; null is every tick.
        trace_s: Newest part of a run that is kept for plots [s].
    """

    report: str | None = None
    recording: str | None = None
    violation_log: str | None = None
    record: str | None = None
    record_max_mb: float = 1024.0
    record_pictures: bool = False
    mcap: str | None = None
    mcap_rate_hz: float | None = 100.0
    trace_s: float = 60.0


@dataclass(frozen=True)
class LimitsSection:
    """Limits of the joints, one number each; needed unless the robot has its own.

    Attributes:
        min_position: [rad] or [m].
        max_position: [rad] or [m].
        max_velocity: [rad/s] or [m/s].
        max_acceleration: [rad/s^2] or [m/s^2].
        max_jerk: [rad/s^3] or [m/s^3].
    """

    min_position: tuple[float, ...]
    max_position: tuple[float, ...]
    max_velocity: tuple[float, ...]
    max_acceleration: tuple[float, ...]
    max_jerk: tuple[float, ...]


OWN_SECTIONS: dict[str, type] = {
    "robot": RobotSection,
    "limits": LimitsSection,
    "policy": PolicySection,
    "logging": LoggingSection,
}
#: Fields of `ControlConfig` by section; those of `ELSEWHERE` are in no file or stand in a section above.
CONTROL_SECTIONS: dict[str, tuple[str, ...]] = {
    "executor": (
        "mode",
        "execution_horizon",
        "blend_s",
        "interpolation",
        "merge",
        "merge_weights",
        "discrete_dims",
        "rotation_dims",
        "on_starvation",
        "temporal_ensemble_coeff",
        "chunk_period_s",
        "inference_rate_hz",
        "inline_budget_s",
        "inference_stop_timeout_s",
        "rtc_max_weight",
        "rtc_schedule",
        "rtc_jacobian",
        "relative_to",
        "relative_dims",
        "action_space",
        "delta_frame",
        "gripper",
        "posture",
        "rotation_scale",
        "smoothing_s",
        "seed",
    ),
    "safety": (
        "watchdog_s",
        "state_timeout_s",
        "plan_timeout_s",
        "max_following_error",
        "path_preserving",
        "kinematics",
        "workspace",
        "chain_joints",
    ),
    "realtime": (
        "period_s",
        "realtime",
        "priority",
        "cpu",
        "lock_memory",
        "spin_s",
        "first_state_timeout_s",
    ),
}
#: Fields of `ControlConfig` that stand in `logging`: files, and others.
LOG_FILES = ("violation_log", "record", "mcap")
LOG_OPTIONS = ("trace_s", "record_max_mb", "record_pictures", "mcap_rate_hz")
ELSEWHERE = ("limits", "collision", "joint_names", *LOG_FILES, *LOG_OPTIONS)
_CHOICES = {
    "mode": ("receding", "ensemble", "async", "rtc"),
    "interpolation": ("linear", "cubic", "quintic"),
    "merge": ("crossfade", "replace", "average"),
    "on_starvation": ("hold", "decelerate"),
    "rtc_schedule": ("exp", "linear", "ones", "zeros"),
    "rtc_jacobian": ("identity", "vjp", "finite_differences"),
    "delta_frame": ("base", "tool"),
    "realtime": ("best_effort", "enforce"),
}
_NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "number"}}
_BOX = {
    "type": "object",
    "properties": {"lower": _NUMBERS, "upper": _NUMBERS},
    "required": ["lower", "upper"],
    "additionalProperties": False,
}
_OBJECTS: dict[str, dict[str, Any]] = {
    "kinematics": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "tip": {"type": "string"}, "base": {"type": "string"}},
        "required": ["path", "tip"],
        "additionalProperties": False,
    },
    "gripper": {
        "type": "object",
        "properties": {
            "joint": {"type": "integer"},
            "open_position": {"type": "number"},
            "closed_position": {"type": "number"},
        },
        "required": ["joint", "open_position", "closed_position"],
        "additionalProperties": False,
    },
    "workspace": {"anyOf": [_BOX, {"type": "array", "items": _BOX}]},
    "action_space": {"type": "string"},
}


@dataclass(frozen=True)
class Field:
    """One field of a section.

    Attributes:
        name: Its key.
        hint: Type of its values.
        default: None where it may be left out, `MISSING` where it may not.
        doc: What it is.
    """

    name: str
    hint: Any
    default: Any
    doc: str

    def schema(self) -> dict[str, Any]:
        """Its part of the JSON Schema."""
        if self.name in _OBJECTS:
            found: dict[str, Any] = dict(_OBJECTS[self.name])
            found = {"anyOf": [found, {"type": "null"}]}
        else:
            found = _type_schema(self.hint)
            if self.name in _CHOICES:
                found["enum"] = list(_CHOICES[self.name])
        found["description"] = self.doc
        if self.default is not MISSING:
            found["default"] = list(self.default) if isinstance(self.default, tuple) else self.default
        return found


def section_fields(section: str) -> dict[str, Field]:
    """The fields of a section by name."""
    owner = OWN_SECTIONS.get(section, ControlConfig)
    chosen = CONTROL_SECTIONS.get(section)
    hints, docs = typing.get_type_hints(owner), _attributes(owner)
    return {
        f.name: Field(f.name, hints[f.name], f.default, docs.get(f.name, ""))
        for f in fields(owner)
        if chosen is None or f.name in chosen
    }


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a run's configuration file."""
    properties: dict[str, Any] = {
        "base": {
            "type": "string",
            "description": "What this one changes: a file, or the name of one that ships with vla_rt.",
        },
        "duration_s": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 10.0,
            "description": "Of the run [s].",
        },
    }
    for section in (*OWN_SECTIONS, *CONTROL_SECTIONS):
        known = section_fields(section)
        properties[section] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: field.schema() for name, field in known.items()},
        }
        if section == "limits":
            properties[section]["required"] = list(LIMIT_FIELDS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A run of vla_rt",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _attributes(owner: type) -> dict[str, str]:
    """The `Attributes:` of a docstring."""
    text = inspect.getdoc(owner) or ""
    _, _, listed = text.partition("Attributes:\n")
    listed = listed.partition("\n\n")[0]
    entries = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w+: |\Z)", listed, re.MULTILINE | re.DOTALL)
    return {name: " ".join(words.split()) for name, words in entries}


def _type_schema(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        parts = [_type_schema(part) for part in arguments]
        return {"anyOf": parts} if len(parts) > 1 else parts[0]
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": _type_schema(arguments[0])}
        size = len(arguments)
        items = [_type_schema(part) for part in arguments]
        return {"type": "array", "prefixItems": items, "minItems": size, "maxItems": size}
    plain = {str: "string", float: "number", int: "integer", bool: "boolean", type(None): "null"}
    return {"type": plain[hint]} if hint in plain else {"type": "object"}
