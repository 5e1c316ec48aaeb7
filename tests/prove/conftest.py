"""What the proofs about the installed package share: a wheel, a prefix, and an empty environment."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
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
#: Whatever asks for the network meets a closed door.
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
OFFLINE = {"PIP_NO_INDEX": "1", **dict.fromkeys(PROXIES, "http://127.0.0.1:9")}


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Without network, and without what would change a build."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VLA_RT_", "CMAKE_"))}
    return {**kept, **OFFLINE, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def source(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked far from the repository."""
    out = tmp_path_factory.mktemp("sdist")
    script = f"import scikit_build_core.build as build; print(build.build_sdist({str(out)!r}))"
    run(sys.executable, "-c", script, cwd=ROOT, env=environment)
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        archive.extractall(out, filter="data")
    return next(path for path in out.iterdir() if path.is_dir())


@pytest.fixture(scope="session")
def wheel(source: Path, environment: dict[str, str]) -> Path:
    """The default wheel, without torch, built offline with the build requirements of this environment."""
    options = ["--no-deps", "--no-build-isolation", "-q", f"-Cbuild-dir={source.parent / 'build'}"]
    run(sys.executable, "-m", "pip", "wheel", *options, "-w", source.parent, source, env=environment)
    return next(source.parent.glob("*.whl"))


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


@pytest.fixture(scope="session")
def cmake() -> str:
    """The program."""
    return shutil.which("cmake") or str(Path(sys.executable).parent / "cmake")


@pytest.fixture(scope="session")
def prefix(
    cmake: str,
    wheel: Path,
    source: Path,
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Where `cmake --install` has laid the C++ package out, as a build that knows of no wheel does.

    From the wheel's own objects: a second compilation would show nothing more.
    """
    build, folder = wheel.parent / "build", tmp_path_factory.mktemp("prefix")
    options = ["-USKBUILD*", "-DVLA_RT_BUILD_PYTHON=OFF", f"-DPython_EXECUTABLE={sys.executable}"]
    run(cmake, "-S", source, "-B", build, *options, env=environment)
    run(cmake, "--build", build, env=environment)
    run(cmake, "--install", build, "--prefix", folder, env=environment)
    return folder
