"""Fields of JSON files that somebody else wrote, checked where they are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vla_rt.errors import FormatError, error

_LARGEST = 1 << 20


class Fields:
    """One object of a JSON file; every getter raises a FormatError that names the field.

    Args:
        values: The object.
        where: How errors call it: "config.json#".
    """

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, dict):
            raise error(FormatError, where, type(values).__name__, "must be an object")
        self.values: dict[str, Any] = values
        self.where = where

    @classmethod
    def read(cls, file: Path) -> Fields:
        """The object that a file holds."""
        try:
            return cls(json.loads(file.read_text(encoding="utf-8")), f"{file.name}#")
        except FileNotFoundError:
            raise error(FormatError, str(file), "", "is missing") from None
        except (OSError, ValueError, RecursionError) as cause:
            reason = str(cause).split("\n", maxsplit=1)[0]
            raise error(FormatError, str(file), "", f"cannot be read as JSON: {reason}") from cause

    def wrong(self, name: str, bound: str) -> FormatError:
        """The error about a field."""
        value = json.dumps(self.values[name]) if name in self.values else ""
        return error(FormatError, f"{self.where}/{name}", value[:60], bound)

    def get(self, name: str, default: Any = None) -> Any:
        """The plain value, or `default` where the field is absent or null."""
        value = self.values.get(name)
        return default if value is None else value

    def word(self, name: str, choices: Sequence[str] = (), default: str | None = None) -> str:
        """A text, one of `choices` where there are any."""
        value = self.get(name, default)
        if value is None:
            raise self.wrong(name, "is missing")
        if not isinstance(value, str) or (choices and value not in choices):
            raise self.wrong(name, f"must be {' or '.join(choices) if choices else 'a text'}")
        return value

    def integer(self, name: str, default: int | None = None, least: int = 1, most: int = _LARGEST) -> int:
        """A whole number."""
        value = self.get(name, default)
        if value is None:
            raise self.wrong(name, "is missing")
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(name, f"must be a whole number in {least}..{most}")
        return value

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """A number."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.wrong(name, f"must be a number in [{least:g}, {most:g}]")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.get(name, default)
        if not isinstance(value, bool | int):
            raise self.wrong(name, "must be true or false")
        return bool(value)

    def sizes(self, name: str, count: int | None = None) -> tuple[int, ...] | None:
        """Whole numbers > 0, `count` of them where that is given; None where the field is absent or null."""
        value = self.get(name)
        if value is None:
            return None
        good = isinstance(value, list) and value and count in (None, len(value))
        if not good or any(
            isinstance(n, bool) or not isinstance(n, int) or not 0 < n <= _LARGEST for n in value
        ):
            raise self.wrong(name, f"must be {'a list of' if count is None else count} whole numbers > 0")
        return tuple(value)

    def object(self, name: str) -> Fields:
        """A nested object."""
        if self.get(name) is None:
            raise self.wrong(name, "is missing")
        return Fields(self.values[name], f"{self.where}/{name}")

    def objects(self, name: str) -> list[Fields]:
        """A list of objects."""
        value = self.get(name)
        if not isinstance(value, list):
            raise self.wrong(name, "must be a list of objects")
        return [Fields(entry, f"{self.where}/{name}/{i}") for i, entry in enumerate(value)]
