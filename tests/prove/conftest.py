"""What the proofs about the installed package share: a wheel, and an empty environment with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from commands import run

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.fixture(scope="session")
def lerobot_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment with the real LeRobot; VLA_RT_LEROBOT_PYTHON names one."""
    python = os.environ.get("VLA_RT_LEROBOT_PYTHON")
    if python is None:
        venv = tmp_path_factory.mktemp("lerobot")
        run(sys.executable, "-m", "venv", venv)
        python = str(venv / "bin/python")
        run(python, "-m", "pip", "install", "-q", "torch==2.13.0")
        run(python, "-m", "pip", "install", "-q", "--no-deps", "lerobot==0.4.4", "torchvision==0.28.0")
        run(python, "-m", "pip", "install", "-q", *REQUIREMENTS)
    return python
