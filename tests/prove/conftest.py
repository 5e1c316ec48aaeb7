"""What the proofs about the installed package share: a wheel, and an empty environment with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from commands import run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default wheel, without torch; VLA_RT_WHEEL names one that is there already."""
    if given := os.environ.get("VLA_RT_WHEEL"):
        return Path(given)
    out = tmp_path_factory.mktemp("wheel")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VLA_RT_")}
    build = out / "build"
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", out,
        f"-Cbuild-dir={build}", ROOT, env=environment)  # fmt: skip
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and nothing else."""
    venv = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", venv)
    run(venv / "bin/pip", "install", "-q", wheel)
    return venv / "bin/python"
