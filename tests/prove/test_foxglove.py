"""The schemas of an MCAP file against Foxglove's own SDK, in an environment of its own.

Set `VLA_RT_FOXGLOVE_PYTHON` to the interpreter of an environment that has it, to use that one.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import run

from vla_rt.foxglove_messages import schemas

REQUIREMENTS = ("foxglove-sdk==0.30.3", "protobuf>=6")
OURS = {
    name.removeprefix("foxglove."): body for name, body in schemas().items() if name.startswith("foxglove.")
}
#: Of JSON: seconds and nanoseconds are named as in Foxglove's JSON schemas.
TIMES = {"google.protobuf.Timestamp", "google.protobuf.Duration"}


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str | None]]:
    python = os.environ.get("VLA_RT_FOXGLOVE_PYTHON")
    if python is None:
        venv = tmp_path_factory.mktemp("foxglove") / "venv"
        run(sys.executable, "-m", "venv", venv)
        run(venv / "bin/pip", "install", "-q", *REQUIREMENTS)
        python = str(venv / "bin/python")
    script = Path(__file__).parent / "foxglove" / "fields.py"
    known: dict[str, dict[str, str | None]] = json.loads(run(python, script, *OURS, cwd="/"))
    return known


def wrong(schema: dict[str, Any], message: str, fields: dict[str, dict[str, str | None]]) -> list[str]:
    """Properties that Foxglove's message does not have, or that hold another kind of thing."""
    found = []
    for name, part in schema["properties"].items():
        if name not in fields[message]:
            found.append(f"{message}.{name}")
            continue
        kind = fields[message][name]
        inner = part["items"] if part["type"] == "array" else part
        if kind in TIMES:
            if set(inner["properties"]) != {"sec", "nsec"}:
                found.append(f"{message}.{name}")
        elif kind in fields and inner["type"] == "object":
            found += wrong(inner, kind, fields)
        elif (kind is None) == (inner["type"] == "object"):
            found.append(f"{message}.{name}: {inner['type']} for {kind}")
    return found


@pytest.mark.parametrize("name", OURS)
def test_every_field_is_one_of_foxgloves(name: str, fields: dict[str, dict[str, str | None]]) -> None:
    assert wrong(OURS[name], f"foxglove.{name}", fields) == []


def test_a_field_that_is_none_of_foxgloves_is_found(fields: dict[str, dict[str, str | None]]) -> None:
    schema = {"properties": {"positions": {"type": "number"}, "joints": {"type": "number"}}}
    assert len(wrong(schema, "foxglove.JointStates", fields)) == 2
