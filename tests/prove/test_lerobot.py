"""The real LeRobot, in an environment of its own, against packages imported from its checkpoints.

Set `VLA_RT_LEROBOT_PYTHON` to the interpreter of an environment that has it, to use that one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.cli.main import main

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import lerobot_checkpoints as own

REFERENCE = Path(__file__).parent / "lerobot" / "reference.py"
CASES = sorted(
    line.split('"')[1]
    for line in REFERENCE.read_text().splitlines()
    if line.startswith(('    "act_', '    "diff'))
)
#: No release of LeRobot accepts this torch: it is installed without its dependencies, then what it imports.
REQUIREMENTS = (
    "draccus==0.10.0",
    "huggingface-hub>=0.34.2,<0.36",
    "einops",
    "safetensors",
    "gymnasium",
    "termcolor",
    "jsonlines",
    "deepdiff<9",
    "packaging<26",
    "datasets>=4,<5",
    "accelerate>=1.10,<2",
    "diffusers>=0.27.2,<0.36",
    "av>=15,<16",
    "opencv-python-headless",
    "imageio",
    "pyserial<4",
    "transformers>=4.57.1,<5",
    "num2words",
    "peft",
)
TOLERANCE = 1e-4


def run(*command: str | Path) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session")
def lerobot_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    python = os.environ.get("VLA_RT_LEROBOT_PYTHON")
    if python is None:
        venv = tmp_path_factory.mktemp("lerobot")
        run(sys.executable, "-m", "venv", venv)
        python = str(venv / "bin/python")
        run(python, "-m", "pip", "install", "-q", "torch==2.13.0")
        run(python, "-m", "pip", "install", "-q", "--no-deps", "lerobot==0.4.4", "torchvision==0.28.0")
        run(python, "-m", "pip", "install", "-q", *REQUIREMENTS)
    return python


@pytest.fixture(scope="session")
def checkpoints(lerobot_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    run(lerobot_python, REFERENCE, "make", folder)
    return folder


@pytest.mark.parametrize("backend", ["native", "torchscript"])
@pytest.mark.parametrize("name", CASES)
def test_actions_are_those_of_lerobot(checkpoints: Path, tmp_path: Path, name: str, backend: str) -> None:
    package = tmp_path / "package"
    words = ["export", "--from-lerobot", checkpoints / name, "--out", package, "--backend", backend]
    assert main([str(word) for word in words]) == 0
    policy = vr.load_policy(package)
    assert policy.backend == backend

    case = np.load(checkpoints / name / "case.npz")
    observation = {key.removeprefix("in/"): case[key] for key in case.files if key.startswith("in/")}
    noise = {key: case[key] for key in ("noise", "step_noise") if key in case.files}
    actions, expected = policy.sample(observation, **noise), case["actions"]
    assert actions.shape == expected.shape
    spread = np.ptp(expected, axis=0).max()
    assert np.abs(actions - expected).max() <= TOLERANCE * spread

    other = {key: value + 0.05 for key, value in observation.items()}
    assert np.abs(policy.sample(other, **noise) - expected).max() > TOLERANCE * spread


def test_the_recorded_answers_are_those_of_lerobot(lerobot_python: str, tmp_path: Path) -> None:
    """Those that `tests/test_lerobot_import.py` compares with; VLA_RT_RECORD=1 writes them."""
    for name, (fields, inputs, old) in own.RECORDED.items():
        own.write(tmp_path / name, fields, inputs, old)
        np.savez(tmp_path / name / "case.npz", **own.case(fields, inputs))
    run(lerobot_python, REFERENCE, "answer", tmp_path)
    answers = {name: np.load(tmp_path / name / "case.npz")["actions"] for name in own.RECORDED}
    if os.environ.get("VLA_RT_RECORD"):
        text = json.dumps({k: np.round(v.astype(float), 7).tolist() for k, v in answers.items()})
        own.ANSWERS.write_text(text + "\n")
    for name, recorded in json.loads(own.ANSWERS.read_text()).items():
        np.testing.assert_allclose(answers[name], recorded, atol=1e-5)
