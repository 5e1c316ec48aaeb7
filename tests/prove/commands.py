"""Commands that must succeed."""

from __future__ import annotations

import subprocess
from pathlib import Path


def run(*command: str | Path, **kwargs: object) -> str:
    """What the command prints; its failure is the test's."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **kwargs)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)
