"""Trained packages on disk, found by everything that shaped them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import vla_rt
from vla_rt.errors import ConfigError, error

#: Code and models that a trained package depends on, relative to the installed package.
SOURCES = (
    "datasets",
    "demo/preparation.py",
    "export",
    "policies",
    "robots/panda.py",
    "sim",
    "tasks",
    "training",
)


def default_cache_dir() -> Path:
    """``$XDG_CACHE_HOME/vla_rt/demo``, by default ``~/.cache/vla_rt/demo``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "vla_rt" / "demo"


def code_fingerprint(root: Path | None = None) -> str:
    """Hash of the sources that shape a trained package; below ``root``, or the installed package."""
    root = root if root is not None else Path(__file__).parents[1]
    digest = hashlib.sha256()
    for name in SOURCES:
        path = root / name
        files = sorted(p for p in path.rglob("*") if p.suffix in (".py", ".xml")) if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.relative_to(root).as_posix()}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def cache_key(settings: Mapping[str, Any], versions: Mapping[str, str], code: str | None = None) -> str:
    """Name of the package that these settings, versions and sources give: 16 hexadecimal digits."""
    content = {
        "settings": settings,
        "versions": {"vla_rt": vla_rt.__version__, **versions},
        "code": code if code is not None else code_fingerprint(),
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class CacheEntry:
    """One folder of the cache: either complete, with everything in it, or under work.

    Args:
        directory: The cache; made when it is first written to.
        key: Name of the entry.
    """

    def __init__(self, directory: Path, key: str) -> None:
        self.directory = directory
        self.path = directory / key  #: the finished entry
        self.work = directory / f"{key}.work"  #: where it is made; survives an interruption
        self._lock = directory / f"{key}.lock"

    @property
    def complete(self) -> bool:
        """Whether the entry can be used."""
        return (self.path / "preparation.json").is_file()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lets one process at a time make the entry; the others wait.

        Raises:
            ConfigError: The cache cannot be written.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            file = self._lock.open("w")
        except OSError as cause:
            raise error(
                ConfigError, "cache_dir", self.directory, f"cannot be written ({cause.strerror})"
            ) from cause
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def discard(self) -> None:
        """Removes the entry and what is left of unfinished work."""
        for path in (self.path, self.work):
            shutil.rmtree(path, ignore_errors=True)

    def begin(self) -> Path:
        """The folder to work in; what an interrupted run left there is still there."""
        self.work.mkdir(parents=True, exist_ok=True)
        return self.work

    def finish(self) -> None:
        """Puts the work in place as the entry, in one step."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.work.replace(self.path)
