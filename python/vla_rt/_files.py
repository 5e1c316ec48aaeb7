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


def write_whole(path: Path, write: Callable[[Path], None], durable: bool = False) -> None:
    """Lets `write` make the file and puts it in place in one step.

    A symbolic link stays and its target is replaced; a device or pipe is written to. With `durable` it is on
    the disk before this returns.

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
        if durable:
            sync(partial)
        partial.replace(target)
        if durable:
            sync(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Brings a file, or the list of names of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
