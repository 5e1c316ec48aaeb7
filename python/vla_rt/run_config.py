"""One file that says what runs: robot, limits, policy, executor, safety, real time, logging."""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import numpy as np

from vla_rt._core import JointLimits, Robot, Workspace
from vla_rt.config_file import known_fields, limits_from_dict, parse_file, parse_text, refuse_unknown
from vla_rt.control_config import ControlConfig
from vla_rt.errors import ConfigError, error, require
from vla_rt.run_sections import (
    CONTROL_SECTIONS,
    LOG_FILES,
    LOG_OPTIONS,
    OWN_SECTIONS,
    LoggingSection,
    PolicySection,
    RobotSection,
    section_fields,
)

__all__ = ["RunConfig", "shipped_configurations"]

_FOLDER = Path(__file__).parent / "configs"
_TOP = ("base", "duration_s", *OWN_SECTIONS, *CONTROL_SECTIONS)
_MOST_BASES = 8


def shipped_configurations() -> dict[str, Path]:
    """Ready configurations by name: panda, ur5, so101, aloha."""
    return {file.stem: file for file in sorted(_FOLDER.glob("*.yaml"))}


@dataclass(frozen=True)
class RunConfig:
    """What runs, checked as a whole.

    Attributes:
        robot: The robot.
        policy: The policy.
        control: How the loop runs, limits and safety included.
        logging: What is kept.
        duration_s: Of the run [s].
        values: As the files and changes say it, in one piece.
    """

    robot: RobotSection
    policy: PolicySection
    control: ControlConfig
    logging: LoggingSection
    duration_s: float
    values: dict[str, Any]

    @classmethod
    def from_file(cls, path: str | Path, changes: Sequence[str] = ()) -> RunConfig:
        """Reads a file, or a configuration that ships with vla_rt, by its name.

        Args:
            path: A .yaml, .json or .toml file; relative paths in it are relative to its folder.
            changes: "section.key=value", as YAML reads the value.

        Raises:
            ConfigError: No such file, an unknown field (the nearest is named), a value of another type or out
                of its bounds; names section and field.
        """
        values, folder = _with_bases(Path(path))
        return cls.from_dict(changed(values, changes), folder)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], folder: Path | None = None) -> RunConfig:
        """From a mapping of sections; raises as `from_file`.

        Args:
            values: Sections.
            folder: What relative paths are relative to; None is the current one.
        """
        require(isinstance(values, Mapping), "values", type(values).__name__, "must be a mapping of sections")
        refuse_unknown(values, _TOP, "")
        folder = Path() if folder is None else folder
        own: dict[str, Any] = {}
        for name in OWN_SECTIONS:
            own[name] = _section(name, values)
        control: dict[str, Any] = {}
        for name in CONTROL_SECTIONS:
            control |= _section(name, values)
        logging = LoggingSection(**own["logging"])
        control |= {name: getattr(logging, name) for name in LOG_OPTIONS}
        control["joint_names"] = own["robot"].get("joint_names")
        for name in LOG_FILES:
            if (file := getattr(logging, name)) is not None:
                control[name] = str(_beside(folder, file))
        if own["limits"]:
            with _named("limits."):
                control["limits"] = limits_from_dict(own["limits"])
        with _named(""):
            config = _control(control, folder)
        duration_s = values.get("duration_s", 10.0)
        _require_type("duration_s", duration_s, float)
        require(0 < duration_s <= 1e6, "duration_s", duration_s, "must be in (0, 1e6] s")
        robot, policy = RobotSection(**own["robot"]), PolicySection(**own["policy"])
        _check(robot, config)
        logging = replace(
            logging,
            report=_path_or_none(folder, logging.report),
            recording=_path_or_none(folder, logging.recording),
        )
        policy = replace(policy, package=_path_or_none(folder, policy.package))
        robot = replace(robot, model_path=_path_or_none(folder, robot.model_path))
        return cls(robot, policy, config, logging, float(duration_s), {k: values[k] for k in values})

    def make_robot(self) -> Robot:
        """The robot.

        Raises:
            ConfigError: It cannot be had; the field is named.
        """
        from vla_rt import robots

        section = self.robot
        if section.type == "shared_memory":
            assert section.name is not None
            return robots.SharedMemoryRobot(section.name, section.timeout_s)
        if section.type == "mujoco":
            return robots.MujocoRobot(section.task, section.seed, section.model_path)
        limits = self.control.limits
        assert limits is not None
        middle = (np.asarray(limits.min_position) + np.asarray(limits.max_position)) / 2
        with _named("robot."):
            robot = robots.SimulatedRobot(
                limits,
                middle if section.position is None else section.position,
                period_s=self.control.period_s,
            )
            for name, value in (section.features or {}).items():
                robot.post_feature(name, np.asarray(value))
        return robot

    def make_policy(self) -> Any:
        """The policy.

        Raises:
            ConfigError: None is named, or the key is missing.
            FormatError, ModelError: The package or server cannot be had.
        """
        section = self.policy
        if section.host is not None:
            from vla_rt.integrations.openpi import RemotePolicy

            key = None
            if section.api_key_variable is not None:
                key = os.environ.get(section.api_key_variable)
                require(bool(key), "policy.api_key_variable", section.api_key_variable, "is not set")
            extra = {"prompt": section.prompt} if section.prompt is not None else {}
            with _named("policy."):
                return RemotePolicy(section.host, section.port, key, timeout_s=section.timeout_s, extra=extra)
        if section.package is None:
            raise error(
                ConfigError, "policy.package", "", "is missing: a folder, or policy.host for a server"
            )
        from vla_rt.package import load_policy

        return load_policy(section.package, section.backend)


def changed(values: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """The values with "section.key=value" applied; ConfigError for what is none."""
    result = {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise error(ConfigError, "set", change, "must be section.key=value")
        *path, last = key.split(".")
        target: Any = result
        for part in path:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise error(ConfigError, "set", change, f"{part} is no section")
        target[last] = parse_text(text, f"set {key}")
    return result


def _with_bases(path: Path) -> tuple[dict[str, Any], Path]:
    """The values of a file over those of its bases, and the folder of the file itself."""
    layers: list[Mapping[str, Any]] = []
    file = _found(path, Path())
    folder = file.parent
    while True:
        values = parse_file(file)
        require(
            isinstance(values, Mapping), str(file), type(values).__name__, "must hold a mapping of sections"
        )
        refuse_unknown(values, _TOP, "")
        layers.append(values)
        base = values.get("base")
        if base is None:
            break
        _require_type("base", base, str)
        require(len(layers) < _MOST_BASES, "base", base, f"must not be deeper than {_MOST_BASES} files")
        file = _found(Path(base), file.parent)
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        for name, value in layer.items():
            if isinstance(value, Mapping) and isinstance(merged.get(name), dict):
                merged[name] = {**merged[name], **value}
            else:
                merged[name] = dict(value) if isinstance(value, Mapping) else value
    merged.pop("base", None)
    return merged, folder


def _found(path: Path, folder: Path) -> Path:
    file = folder / path
    if file.is_file():
        return file
    shipped = shipped_configurations()
    if str(path) in shipped:
        return shipped[str(path)]
    raise error(ConfigError, "config", path, f"is no file, and none of {', '.join(shipped)}")


def _section(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The checked fields of a section, lists as tuples."""
    given = values.get(name)
    if given is None:
        return {}
    require(isinstance(given, Mapping), name, type(given).__name__, "must be a mapping of fields")
    known = section_fields(name)
    refuse_unknown(given, known, f"{name}.")
    for field in known.values():
        required = field.default is MISSING and given
        require(not required or field.name in given, f"{name}.{field.name}", "", "is missing")
    for key, value in given.items():
        _require_type(f"{name}.{key}", value, known[key].hint)
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}


def _require_type(name: str, value: Any, hint: Any) -> None:
    """Raises ConfigError where a value of a file does not have the type of its field."""
    bound = _type_problem(value, hint)
    if bound is not None:
        raise error(ConfigError, name, repr(value)[:60], bound)


def _type_problem(value: Any, hint: Any) -> str | None:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return None if value in arguments else f"must be {' or '.join(map(str, arguments))}"
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return "must be a list"
        hints = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(hints) != len(value):
            return f"must be a list of {len(hints)}"
        inner = next((p for p in map(_type_problem, value, hints) if p is not None), None)
        return None if inner is None else f"{inner}, every one"
    if arguments and origin is not dict:  # a union: plain parts are checked here, objects by who makes them
        plain = [part for part in arguments if part in (str, float, int, bool, NoneType) or get_origin(part)]
        if len(plain) < len(arguments):
            return None
        problems = [_type_problem(value, part) for part in arguments]
        return (
            None
            if None in problems
            else next(p for p, a in zip(problems, arguments, strict=True) if a is not NoneType)
        )
    if hint is float:
        return None if isinstance(value, float | int) and not isinstance(value, bool) else "must be a number"
    if hint is int:
        return None if isinstance(value, int) and not isinstance(value, bool) else "must be a whole number"
    words = {str: "a text", bool: "true or false", NoneType: "null"}
    if hint in words:
        return None if isinstance(value, hint) else f"must be {words[hint]}"
    if typing.get_origin(hint) is dict:
        return None if isinstance(value, Mapping) else "must be a mapping"
    return None


def _control(values: dict[str, Any], folder: Path) -> ControlConfig:
    kinematics = values.get("kinematics")
    if isinstance(kinematics, Mapping) and isinstance(kinematics.get("path"), str):
        values["kinematics"] = {**kinematics, "path": str(_beside(folder, kinematics["path"]))}
    walls = values.get("workspace")
    if walls is not None:
        boxes = [walls] if isinstance(walls, Mapping) else walls
        is_list = isinstance(boxes, list | tuple)
        require(
            is_list, "workspace", repr(boxes)[:60], "must be a mapping of lower and upper, or a list of them"
        )
        values["workspace"] = [
            Workspace(**known_fields(_mapping(box, f"workspace[{i}]"), f"workspace[{i}]", ("lower", "upper")))
            for i, box in enumerate(boxes)
        ]
    return ControlConfig.from_dict(values)


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    require(isinstance(value, Mapping), name, type(value).__name__, "must be a mapping of lower and upper")
    return value  # type: ignore[no-any-return]


def _check(robot: RobotSection, config: ControlConfig) -> None:
    if robot.type == "shared_memory":
        require(robot.name is not None, "robot.name", "", "is missing: the segment of the driver")
    elif robot.type == "simulated" and config.limits is None:
        raise error(ConfigError, "limits", "", "are missing: a simulated robot has none of its own")
    joints = len(config.limits.min_position) if isinstance(config.limits, JointLimits) else None
    for name in ("position", "joint_names"):
        given = getattr(robot, name)
        fits = given is None or joints is None or len(given) == joints
        require(fits, f"robot.{name}", f"{len(given or ())} values", f"must be {joints}, as the limits are")


def _beside(folder: Path, path: str) -> Path:
    return folder / Path(path).expanduser()


def _path_or_none(folder: Path, path: str | None) -> str | None:
    return None if path is None else str(_beside(folder, path))


class _named:
    """Puts the section before the field that a ConfigError names."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, cause: Any, _: Any) -> None:
        if not isinstance(cause, ConfigError) or not cause.name:
            return
        prefix = self._prefix
        if not prefix:
            field = cause.name.partition("[")[0].partition(".")[0]
            owners = {**CONTROL_SECTIONS, "logging": (*LOG_FILES, *LOG_OPTIONS)}
            prefix = next((f"{s}." for s, names in owners.items() if field in names), "")
        if prefix and not cause.name.startswith(prefix):
            raise error(ConfigError, prefix + cause.name, cause.value, cause.bound) from cause
