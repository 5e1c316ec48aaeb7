"""A C++ program outside this repository: built against wheel and prefix, run without Python."""

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
import vla_rt as vr
from vla_rt import _core

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "embed_cmake"
COMPATIBILITY = ROOT / "tests" / "compatibility"
MAX_STACK_KB = 512
MAX_MEMORY_MB = 50


@pytest.fixture(scope="module", params=["wheel", "prefix"])
def example(
    request: pytest.FixtureRequest, python: Path, cmake: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The example, copied away from the repository, built and run by the commands of its page."""
    folder = tmp_path_factory.mktemp("outside")
    shutil.copytree(EXAMPLE, folder / "examples" / "embed_cmake")
    (folder / "package").symlink_to(folder / "examples" / "embed_cmake" / "package")
    prefix = run(python, "-m", "vla_rt", "--cmake-dir", cwd="/").strip()
    assert prefix.startswith(str(python.parents[1])), "not the installed package"
    [shown] = (block.code for block in documented.blocks() if block.after.startswith(documented.BY_PROVE))
    if request.param == "prefix":
        prefix = str(request.getfixturevalue("prefix"))
        assert "$(python -m vla_rt --cmake-dir)" in shown
        shown = shown.replace("$(python -m vla_rt --cmake-dir)", prefix)
    (folder / "prefix").write_text(prefix)
    documented.run_console(shown, folder, (python.parent, Path(cmake).parent), timeout_s=600)
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


def test_unsafe_actions_are_answered_within_all_limits(example: Path, tmp_path: Path) -> None:
    urdf = tmp_path / "panda.urdf"
    urdf.write_text(vr.robots.panda_urdf())
    said = run(example / "build" / "safe_execution", urdf)
    for name, verdict in {
        "a small motion": "executed",
        "far outside the limits": "modified by position",
        "too fast": "modified by velocity",
        "into the table": r"modified by .*collision",
        "into itself": r"modified by .*collision",
        "not a number": "refused",
        "joints missing": "refused",
    }.items():
        assert re.search(rf"^{name} +{verdict}", said, re.MULTILINE), said
    assert "\n0 limits broken" in said


def test_the_program_links_the_installed_library_and_no_python(example: Path) -> None:
    installed = (example / "prefix").read_text().partition("/lib/python")[0]
    linked = run("ldd", example / "build" / "franka_callback")
    assert re.search(rf"libvla_rt\.so => {re.escape(installed)}", linked), linked
    assert "libpython" not in linked


@pytest.mark.skipif(_core.TORCH_VERSION is None, reason="this build has no torch backend")
def test_the_torch_target_serves_a_program(cmake: str, tmp_path: Path) -> None:
    prefix = run(sys.executable, "-m", "vla_rt", "--cmake-dir", cwd="/").strip()
    run(cmake, "-S", EXAMPLE, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    run(cmake, "--build", tmp_path, "--target", "torch_backends")
    assert {"torchscript", "aotinductor"} <= set(run(tmp_path / "torch_backends").split())


def test_a_program_written_for_this_interface_goes_on_working(
    example: Path, cmake: str, tmp_path: Path
) -> None:
    version = ".".join(vr.__version__.split(".")[:2])
    source = COMPATIBILITY / f"api_{version.replace('.', '_')}.cpp"
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES CXX)\n"
        f"find_package(vla_rt {version} REQUIRED)\n"
        f"add_executable(program {source})\ntarget_link_libraries(program PRIVATE vla_rt::core)\n"
    )
    prefix = (example / "prefix").read_text()
    run(cmake, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run(cmake, "--build", tmp_path / "build")
    program = tmp_path / "build" / "program"
    assert run(program, COMPATIBILITY / "package_schema_1", tmp_path / "run.flight") == "ok\n"


def test_a_bad_package_is_refused_in_one_line(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [example / "build" / "franka_callback", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "policy.json" in done.stderr


def test_a_component_that_is_not_there_is_missed_by_name(python: Path, cmake: str, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES CXX)\n"
        "find_package(vla_rt REQUIRED COMPONENTS core torch)\n"
    )
    prefix = run(python, "-m", "vla_rt", "--cmake-dir", cwd="/").strip()
    command = [cmake, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "without the component 'torch'" in " ".join(done.stderr.split())


def test_licences_travel_with_what_they_are_for(python: Path) -> None:
    package = next((python.parents[1] / "lib").glob("python*/site-packages/vla_rt"))
    assert (package / "include/vla_rt_eigen3/Eigen/Core").exists()
    licences = "".join(file.read_text() for file in (package / "share/licenses/vla_rt").iterdir())
    for name in ("Mozilla Public License", "Niels Lohmann", "Apache License"):
        assert name in licences
