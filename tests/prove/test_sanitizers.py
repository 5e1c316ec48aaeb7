"""C++ under sanitizers and fuzzers, in builds of their own; each is shown to catch what is planted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("script", ["tsan.sh", "asan.sh", "rtsan.sh", "fuzz.sh"])
def test_the_sanitizers_are_silent(script: str) -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = ["bash", HERE / script]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-8000:]
    assert f"{script.removesuffix('.sh')}: clean" in run.stdout
