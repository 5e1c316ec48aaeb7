"""What was written for an earlier release goes on working, and what is too new is refused by name."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr

ROOT = Path(__file__).resolve().parent.parent
KEPT = Path(__file__).resolve().parent / "compatibility"
STATE = [0, -0.4, 0, -2.0, 0, 1.6, 0.8]
GOAL = [0.6, 0.2, -0.4, -1.5, 0.3, 2.0, 0.2]


def test_everything_has_one_version() -> None:
    header = (ROOT / "cpp/include/vla_rt/core/version.hpp").read_text()
    numbers = re.search(r"kVersion\{(\d+), (\d+), (\d+)\}", header)
    cmake = re.search(r"project\(vla_rt VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert numbers is not None
    assert cmake is not None
    project = re.search(r'^version = "([\d.]+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert project is not None
    assert {".".join(numbers.groups()), cmake[1], project[1]} == {vr.__version__}


def test_the_program_of_this_interface_is_kept() -> None:
    """tests/prove compiles and runs it; a new interface needs a new one beside it."""
    major, minor, _ = vr.__version__.split(".")
    assert (KEPT / f"api_{major}_{minor}.cpp").exists()


def test_a_package_of_schema_1_answers_as_it_did_when_it_was_written() -> None:
    policy = vr.load_policy(KEPT / "package_schema_1")
    answer = policy.sample({"observation.state": np.array(STATE), "goal": np.array(GOAL)})
    recorded = np.array(json.loads((KEPT / "answer_schema_1.json").read_text()))
    assert recorded.shape == (16, 7)
    np.testing.assert_allclose(answer, recorded, atol=1e-5)


@pytest.mark.parametrize("version", [0, 2])
def test_another_schema_is_refused_by_name(version: int, tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(KEPT / "package_schema_1", package)
    content = json.loads((package / "policy.json").read_text())
    assert content["schema_version"] == 1
    content["schema_version"] = version
    (package / "policy.json").write_text(json.dumps(content))
    with pytest.raises(vr.FormatError, match=f"schema_version = {version}: must be"):
        vr.load_policy(package)
