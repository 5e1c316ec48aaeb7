"""Results on disk: written whole or not at all, without harm to what stands in their place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def is_writable(path: Path) -> bool:
    """Whether `write_whole` can be expected to succeed for `path`."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        return not target.is_dir() and os.access(target, os.W_OK)
    return os.access(target.parent, os.W_OK)


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` make the file and puts it in place in one step.

    A symbolic link stays and its target is replaced; a device or pipe is written to.

    Raises:
        OSError: The file cannot be written. Whatever `write` raises.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        write(target)
        return
    partial = target.with_name(f".{target.stem}.partial{target.suffix}")
    try:
        write(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
