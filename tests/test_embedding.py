"""What C++ programs find beside the Python package."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import vla_rt as vr

ROOT = Path(__file__).resolve().parent.parent


def test_the_module_says_where_cmake_finds_the_package() -> None:
    command = [sys.executable, "-m", "vla_rt", "--cmake-dir"]
    folder = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    assert (folder / "vla_rt-config.cmake").exists()
    assert f'PACKAGE_VERSION "{vr.__version__}"' in (folder / "vla_rt-config-version.cmake").read_text()
    prefix = folder.parents[2]
    assert list(prefix.glob("libvla_rt.so*"))
    headers = {file.relative_to(ROOT / "cpp/include") for file in (ROOT / "cpp/include").rglob("*.h*")}
    assert all((prefix / "include" / header).exists() for header in headers)


def test_the_module_is_the_command_line_too() -> None:
    command = [sys.executable, "-m", "vla_rt", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"vla-rt {vr.__version__}"


def test_the_version_asked_for_by_the_example_is_this_one() -> None:
    text = (ROOT / "examples/embed_cmake/CMakeLists.txt").read_text()
    asked = re.search(r"find_package\(vla_rt ([\d.]+)", text)
    assert asked is not None
    assert vr.__version__.startswith(asked[1] + ".")


def test_the_example_package_of_the_repository_reaches() -> None:
    import numpy as np

    policy = vr.load_policy(ROOT / "examples/embed_cmake/package")
    state, goal = np.array([0, -0.4, 0, -2.0, 0, 1.6, 0.8]), np.array([0.6, 0.2, -0.4, -1.5, 0.3, 2.0, 0.2])
    chunk = policy.sample({"observation.state": state, "goal": goal})
    assert np.abs(chunk[0] - state).max() < 0.05
    assert np.linalg.norm(chunk[-1] - goal) < 0.7 * np.linalg.norm(state - goal)
