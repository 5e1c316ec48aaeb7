"""`policy.json`: what a package says about itself."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from vla_rt import _core
from vla_rt.errors import ConfigError, FormatError, error

DESCRIPTION_FILE = "policy.json"


def write_description(folder: Path, spec: dict[str, Any]) -> None:
    """Writes the description of the package in `folder`; its `files` become those that are there.

    Raises:
        ConfigError: Something in it cannot be stored, or no package may hold it.
    """
    files = sorted(file for file in folder.iterdir() if file.name != DESCRIPTION_FILE)
    spec["files"] = {file.name: _file_spec(file) for file in files}
    try:
        text = json.dumps(spec, indent=2, allow_nan=False)
        _core.parse_policy_spec(text)
    except (TypeError, ValueError) as cause:
        raise error(ConfigError, "policy.config", "", f"cannot be stored as JSON: {cause}") from cause
    except FormatError as cause:
        raise error(
            ConfigError, cause.name.removeprefix("policy.json#/"), cause.value, cause.bound
        ) from cause
    (folder / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")


def _file_spec(file: Path) -> dict[str, Any]:
    crc32 = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            crc32 = zlib.crc32(block, crc32)
    return {"bytes": file.stat().st_size, "crc32": f"{crc32:08x}"}
