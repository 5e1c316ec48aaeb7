"""The default build, without torch: a wheel built in isolation, installed into an empty environment, used."""

from __future__ import annotations

from pathlib import Path

from commands import run

MAX_WHEEL_BYTES = 5_000_000


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
    assert "panda_joint7" in run(python.parent / "vla-rt", "run", "panda", "--check")
