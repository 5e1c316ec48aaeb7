"""Configuration files: JSON, TOML and YAML to checked mappings of field names."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vla_rt._core import JointLimits
from vla_rt.errors import ConfigError, error, require

__all__ = ["LIMIT_FIELDS", "known_fields", "limits_from_dict", "parse_file", "parse_text", "refuse_unknown"]

#: Of a `JointLimits`, in the order of its arguments.
LIMIT_FIELDS = ("min_position", "max_position", "max_velocity", "max_acceleration", "max_jerk")


def refuse_unknown(values: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raises ConfigError for the first key that is not known, naming the nearest that is."""
    names = list(known)
    for key in values:
        if key in names:
            continue
        import difflib  # only for the message

        near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.0)
        raise error(ConfigError, f"{where}{key}", "", f"no such field; did you mean {where}{near[0]}?")


def limits_from_dict(values: Mapping[str, Any]) -> JointLimits:
    """`JointLimits` from a mapping of the five fields."""
    return JointLimits(**known_fields(values, "limits", LIMIT_FIELDS))


def known_fields(
    values: Mapping[str, Any], where: str, needed: tuple[str, ...], open_or: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The values, all of them known and all that are needed among them; else ConfigError."""
    refuse_unknown(values, needed + open_or, f"{where}.")
    for name in needed:
        require(name in values, f"{where}.{name}", "", "is missing")
    return dict(values)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    for key in values:
        require(sum(key == other for other, _ in pairs) == 1, key, "", "occurs twice")
    return values


def parse_text(text: str, name: str) -> Any:
    """What a value of a YAML file is; ConfigError naming `name` where it is none."""
    try:
        return _parse_yaml(text)
    except ConfigError:
        raise
    except Exception as cause:
        raise error(ConfigError, name, text, "is no value of YAML") from cause


def _parse_yaml(text: str) -> Any:
    """YAML without tags; a key that occurs twice is an error, and 1e-3 is a number."""
    yaml: Any = importlib.import_module("yaml")

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined, unused-ignore]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            pairs = [(self.construct_object(key, deep=True), None) for key, _ in node.value]
            _without_repeats([(str(key), None) for key, _ in pairs])
            return super().construct_mapping(node, deep=deep)

    number = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return yaml.load(text, Loader)


def parse_file(file: Path) -> Any:
    """What a .json, .toml or .yaml file holds; ConfigError naming the file where it cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            return json.loads(text, object_pairs_hook=_without_repeats)
        if file.suffix == ".toml":
            if sys.version_info < (3, 11):
                raise error(ConfigError, str(file), "", "reading TOML takes Python 3.11 or later; use JSON")
            import tomllib

            return tomllib.loads(text)
        if file.suffix in (".yaml", ".yml"):
            return _parse_yaml(text)
    except ConfigError:
        raise
    except Exception as cause:  # each parser has errors of its own
        raise error(ConfigError, str(file), "", f"cannot be read: {cause}") from cause
    raise error(ConfigError, str(file), file.suffix, "must end in .json, .toml, .yaml or .yml")
