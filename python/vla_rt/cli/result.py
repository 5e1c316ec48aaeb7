"""Results on disk: what `--json FILE` writes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vla_rt._files import is_writable, write_whole
from vla_rt.errors import ConfigError, error, require


def require_writable(path: Path | None, name: str = "json") -> None:
    """Refuse a file that cannot be written, before the work whose result it is to hold.

    Args:
        path: The file; None is none.
        name: What errors call it.

    Raises:
        ConfigError: The folder of `path` is absent or not writable, or `path` is a folder.
    """
    if path is not None:
        require(path.parent.is_dir(), name, path, "its folder does not exist")
        require(is_writable(path), name, path, "cannot be written")


def require_picture(path: Path | None, name: str = "plot") -> None:
    """Refuse a picture that cannot be drawn, before the work that it is to show.

    Raises:
        ConfigError: matplotlib is not installed, or the ending is none of .png, .pdf and .svg.
    """
    if path is None:
        return
    if find_spec("matplotlib") is None:
        raise error(ConfigError, name, "", "needs matplotlib; run: pip install 'vla-rt[viz]'")
    kinds = (".png", ".pdf", ".svg", "")
    require(path.suffix.lower() in kinds, name, path, "must end in .png, .pdf or .svg")


def write_json(path: Path | None, result: Mapping[str, Any]) -> None:
    """Write a result as strict JSON; numpy values become plain ones, NaN and infinity become null.

    Args:
        path: Where to write; None writes nothing. A file is replaced in one step or not at all.
        result: What to write.

    Raises:
        ConfigError: `path` cannot be written.
    """
    if path is None:
        return
    text = json.dumps(plain(result), indent=2, allow_nan=False) + "\n"

    def write(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    try:
        write_whole(path, write)
    except OSError as cause:
        raise error(ConfigError, "json", path, f"cannot be written ({cause.strerror})") from cause


def plain(value: Any) -> Any:
    """Turn `value` into what JSON can hold: dict, list, str, int, float, bool or None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)
