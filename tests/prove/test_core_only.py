"""The default build, without torch: a wheel built in isolation, installed into an empty environment, used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
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


#: numpy, configuration and command line, with what those bring; the rest belongs to extras.
CORE = {
    "vla-rt", "pip", "setuptools", "numpy", "pyyaml",
    "rich", "markdown-it-py", "mdurl", "pygments",
    "tyro", "docstring-parser", "typing-extensions", "shtab", "typeguard",
}  # fmt: skip
#: What an extra is about, which no other may bring.
OWN = {
    "openpi": {"websockets"},
    "ros2": {"cyclonedds"},
    "sim": {"mujoco"},
    "video": {"av"},
    "viz": {"matplotlib"},
    "mcap": {"mcap"},
    "fast": {"tokenizers"},
    "lerobot": {"torch", "safetensors"},
}


def test_the_core_is_numpy_configuration_and_command_line(python: Path) -> None:
    listed = json.loads(run(python, "-m", "pip", "list", "--format", "json"))
    assert {entry["name"].lower().replace("_", "-") for entry in listed} <= CORE


@pytest.mark.parametrize("extra", OWN)
def test_an_extra_brings_its_own_alone(python: Path, wheel: Path, tmp_path: Path, extra: str) -> None:
    report = tmp_path / "report.json"
    run(python, "-m", "pip", "install", "-q", "--dry-run", "--report", report, f"{wheel}[{extra}]",
        *(["torch==2.13.0"] if extra == "lerobot" else []))  # fmt: skip
    added = {entry["metadata"]["name"].lower() for entry in json.loads(report.read_text())["install"]}
    assert OWN[extra] <= added
    others = set().union(*(names for name, names in OWN.items() if name != extra))
    others -= {"websockets"} if extra == "sim" else set()  # mujoco's own need
    assert not added & (others | {"scipy", "pandas", "pyarrow", "transformers"})


def test_what_an_extra_brings_is_missed_in_one_plain_sentence(python: Path, tmp_path: Path) -> None:
    script = """
import vla_rt as vr
from vla_rt.integrations import openpi, ros2
openpi.unpack(openpi.pack({"a": 1})), ros2.TaskNode
for module in ("openpi.client:RemotePolicy", "ros2.dds_bridge:", "lerobot:", "ros2.ros_node:"):
    name, _, made = module.partition(":")
    try:
        found = __import__(f"vla_rt.integrations.{name}", fromlist=["x"])
        getattr(found, made)()
    except ImportError as error:
        print(error)
"""
    said = run(python, "-c", script, cwd=tmp_path).strip().splitlines()
    assert [line.partition("pip install ")[2] for line in said[:3]] == [
        "'vla-rt[openpi]'", "'vla-rt[ros2]'", "'vla-rt[lerobot]'",
    ]  # fmt: skip
    assert "setup.bash" in said[3]
    assert len(said) == 4
