"""A C++ program outside this repository: built with cmake against the installed wheel, run without Python."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import documented

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "embed_cmake"
CMAKE = shutil.which("cmake") or str(Path(sys.executable).parent / "cmake")
MAX_STACK_KB = 512
MAX_MEMORY_MB = 50


@pytest.fixture(scope="module")
def example(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, copied away from the repository, built and run by the commands of its page."""
    folder = tmp_path_factory.mktemp("outside")
    shutil.copytree(EXAMPLE, folder / "examples" / "embed_cmake")
    (folder / "package").symlink_to(folder / "examples" / "embed_cmake" / "package")
    prefix = run(python, "-m", "vla_rt", "--cmake-dir", cwd="/").strip()
    assert prefix.startswith(str(python.parents[1])), "not the installed package"
    [shown] = (block.code for block in documented.blocks() if block.after.startswith(documented.BY_PROVE))
    documented.run_console(shown, folder, (python.parent, Path(CMAKE).parent), timeout_s=600)
    return folder


def small_stacks(*command: str | Path) -> str:
    """Under the stack limit of an embedded target, for every thread."""
    line = f'ulimit -s {MAX_STACK_KB}; exec "$@"'
    return run("bash", "-c", line, "bash", *command, timeout=60)


def test_a_libfranka_callback_reaches_its_goal_in_little_memory(example: Path) -> None:
    said = small_stacks(example / "build" / "franka_callback", example / "package")
    assert "not locked" not in said, said
    found = re.search(r"(\d+) ticks, (\d+) chunks, ([\d.]+) rad from the goal, ([\d.]+) MB", said)
    assert found, said
    assert int(found[2]) >= 10
    assert float(found[4]) < MAX_MEMORY_MB


def test_a_ros2_control_update_reaches_its_goal(example: Path) -> None:
    assert small_stacks(example / "build" / "ros2_control_update", example / "package").startswith("ok")


def test_the_eigen_that_comes_along_serves_the_adapter(example: Path) -> None:
    run(example / "build" / "eigen_views")


def test_the_program_links_the_installed_library_and_no_python(example: Path, python: Path) -> None:
    linked = run("ldd", example / "build" / "franka_callback")
    assert re.search(rf"libvla_rt\.so => {re.escape(str(python.parents[1]))}", linked), linked
    assert "libpython" not in linked


def test_a_bad_package_is_refused_in_one_line(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [example / "build" / "franka_callback", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "policy.json" in done.stderr


def test_a_component_that_is_not_there_is_missed_by_name(python: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES CXX)\n"
        "find_package(vla_rt REQUIRED COMPONENTS core torch)\n"
    )
    prefix = run(python, "-m", "vla_rt", "--cmake-dir", cwd="/").strip()
    command = [CMAKE, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "without the component 'torch'" in " ".join(done.stderr.split())


def test_licences_travel_with_what_they_are_for(python: Path) -> None:
    package = next((python.parents[1] / "lib").glob("python*/site-packages/vla_rt"))
    assert (package / "include/vla_rt_eigen3/Eigen/Core").exists()
    licences = "".join(file.read_text() for file in (package / "share/licenses/vla_rt").iterdir())
    for name in ("Mozilla Public License", "Niels Lohmann", "Apache License"):
        assert name in licences
