"""Objects in JSON files, one or one per line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vla_rt._files import write_whole
from vla_rt.errors import FormatError, error

__all__ = ["entry_of", "read_lines", "read_object", "write_object"]


def read_object(path: Path) -> dict[str, Any]:
    """Reads a file that holds one object; a FormatError names what is wrong."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as cause:
        raise error(FormatError, str(path), "", f"is no JSON: {cause}") from cause
    if not isinstance(content, dict):
        raise error(FormatError, str(path), type(content).__name__, "must hold an object")
    return content


def read_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Reads a file that holds an object per line, with its number; a FormatError names what is wrong."""
    if not path.is_file():
        raise error(FormatError, str(path), "", "is missing")
    rows = []
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as cause:
            raise error(FormatError, f"{path}: line {line}", "", f"is no JSON: {cause}") from cause
        if not isinstance(row, dict):
            raise error(FormatError, f"{path}: line {line}", text[:40], "must be an object")
        rows.append((line, row))
    return rows


def entry_of(path: Path, line: int, row: Mapping[str, Any], name: str) -> Any:
    """A field of a line; a FormatError says that it is missing."""
    if name not in row:
        raise error(FormatError, f"{path}: line {line}: {name}", "", "is missing")
    return row[name]


def write_object(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a file that holds one object, durably and in one step."""
    text = json.dumps(content, indent=4, ensure_ascii=False)  # as LeRobot does

    def write(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    write_whole(path, write, durable=True)
