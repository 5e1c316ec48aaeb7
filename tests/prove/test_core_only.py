"""The default build, without torch: a wheel built in isolation, installed into an empty environment, used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_WHEEL_BYTES = 5_000_000


def run(*command: str | Path, **kwargs: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **kwargs)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VLA_RT_")}
    build = out / "build"
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", out,
        f"-Cbuild-dir={build}", ROOT, env=environment)  # fmt: skip
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    venv = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", venv)
    run(venv / "bin/pip", "install", "-q", wheel)
    return venv / "bin/python"


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_a_stranger_limits_a_motion(python: Path) -> None:
    script = """
import sys, numpy as np, vla_rt as vr
limits = vr.JointLimits([-1.0], [1.0], [2.0], [10.0], [1000.0])
enforcer = vr.ConstraintEnforcer(limits, 0.001)
enforcer.reset([0.0])
out = enforcer.run(np.full((2000, 1), 5.0))
assert out["position"].max() <= 1.0 and out["limited"].any()
assert "torch" not in sys.modules
print("position", out["position"][-1, 0])
"""
    assert run(python, "-c", script, cwd="/").startswith("position 1.0") or "0.99" in run(
        python, "-c", script
    )


def test_the_torch_backend_is_missed_in_one_plain_sentence(python: Path, tmp_path: Path) -> None:
    script = """
import vla_rt as vr
from vla_rt import _backends
try:
    _backends.open_torch()
except vr.ModelError as error:
    print(error)
"""
    message = run(python, "-c", script, cwd=tmp_path).strip()
    assert "\n" not in message
    assert "torch" in message


def test_the_command_line_works_without_extras(python: Path, tmp_path: Path) -> None:
    report = tmp_path / "doctor.json"
    run(python.parent / "vla-rt", "doctor", "--duration", "0.2", "--json", report)
    assert report.stat().st_size > 0
    assert "demo" in run(python.parent / "vla-rt", "--help")
