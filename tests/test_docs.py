"""What README, docs and examples show runs as it stands there, or says that it does not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from importlib.metadata import distribution
from pathlib import Path

import pytest

import documented
import lerobot_checkpoints
import vla_rt as vr
from documented import PAGES, ROOT, Block, blocks, run_console
from vla_rt import _core

CMAKE = shutil.which("cmake") or str(Path(sys.executable).parent / "cmake")
#: ROS 2's topics stay on this machine.
LOOPBACK = re.search(r'CYCLONEDDS_URI="(.*)"', (ROOT / "docs/integrations-ros2.md").read_text())[1]  # type: ignore[index]
HERE = [block for block in blocks() if block.is_run_here]
RUN = {"python", "cpp", "cmake", "console", "yaml"}


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples assume: packages, a URDF, a checkpoint, the scripts."""
    from vla_rt.policies import FlowMatchingConfig, FlowMatchingPolicy

    folder = tmp_path_factory.mktemp("workplace")
    vr.export_policy(FlowMatchingPolicy(FlowMatchingConfig()), folder / "package", backends=["torchscript"])
    robots = distribution("example-robot-data").files or []
    urdf = next(file.locate() for file in robots if file.name == "panda.urdf")
    (folder / "panda.urdf").write_text(Path(str(urdf)).read_text())
    checkpoint = folder / "outputs/train/act/checkpoints/last/pretrained_model"
    lerobot_checkpoints.write(checkpoint, lerobot_checkpoints.ACT)
    for name in ("examples", "bench"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def by_page(*languages: str) -> dict[str, list[Block]]:
    pages: dict[str, list[Block]] = {}
    for block in HERE:
        if block.language in languages:
            pages.setdefault(block.page, []).append(block)
    return pages


def folder_of(page: str, workplace: Path, tmp_path: Path) -> Path:
    """A copy of the workplace for a page, with the files that it shows; of an example, its own folder."""
    if page.startswith("examples/"):
        return Path(shutil.copytree(ROOT / Path(page).parent, tmp_path / "example"))
    folder = tmp_path / "page"
    shutil.copytree(workplace, folder, symlinks=True)
    for block in HERE:
        if block.page == page and block.title is not None:
            (folder / block.title).write_text(block.code)
    return folder


@pytest.mark.parametrize("page", by_page("python", "console"))
def test_examples_and_commands_of_a_page_run(page: str, workplace: Path, tmp_path: Path) -> None:
    """The Python blocks one after the other, as they are read; then the commands, in the same folder."""
    folder = folder_of(page, workplace, tmp_path)
    python = by_page("python").get(page, [])
    program = "".join(f"# {block.name}\n{block.code}\n" for block in python)
    environment = {**os.environ, "CYCLONEDDS_URI": LOOPBACK}
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=240,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    for block in by_page("console").get(page, []):
        run_console(block.code, folder)


@pytest.mark.parametrize("block", by_page("cpp").get("README.md", []), ids=lambda block: block.name)
def test_cpp_examples_compile_and_run(block: Block, tmp_path: Path) -> None:
    source = tmp_path / "example.cpp"
    source.write_text(block.code if "int main" in block.code else block.code + "\nint main() {}\n")
    library = next(Path(_core.__file__).parent.glob("libvla_rt.so*"))
    program = tmp_path / "example"
    flags = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-pthread", f"-Wl,-rpath,{library.parent}"]
    command = [
        os.environ.get("CXX", "g++"),
        *flags,
        f"-I{ROOT / 'cpp/include'}",
        source,
        library,
        "-o",
        program,
    ]
    build = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert build.returncode == 0, build.stderr
    assert subprocess.run([str(program)], timeout=60).returncode == 0


def test_cpp_examples_are_all_in_the_readme() -> None:
    assert set(by_page("cpp")) == {"README.md"}


@pytest.mark.parametrize(
    "block", [block for block in HERE if block.language == "cmake"], ids=lambda block: block.name
)
def test_cmake_examples_configure(block: Block, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(example LANGUAGES CXX)\n"
        "add_executable(my_controller main.cpp)\n" + block.code
    )
    (tmp_path / "main.cpp").write_text("#include <vla_rt/core/status.hpp>\nint main() {}\n")
    run = subprocess.run(
        [sys.executable, "-m", "vla_rt", "--cmake-dir"], capture_output=True, text=True, check=True
    )
    command = [CMAKE, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={run.stdout.strip()}"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_every_block_is_run_or_says_why_not() -> None:
    for block in HERE:
        assert block.language in RUN, (
            f"{block.name}: no test runs {block.language or 'a block without language'}"
        )
        assert block.language != "yaml" or block.title, f"{block.name}: no test knows what this file is for"


def test_the_site_says_how_many_blocks_are_not_run() -> None:
    """The sentence of the FAQ, with the figures of today."""
    everything = blocks()
    marks = Counter(
        "not run" if block.after.startswith(documented.NOT_RUN) else "proved"
        for block in everything
        if not block.is_run_here
    )
    text = " ".join((ROOT / "docs/faq.md").read_text().split())
    said = (
        f"{len(HERE)} of their {len(everything)} code blocks; {marks['proved']} more is run by `make prove`, "
    )
    said += f"{marks['not run']} are not run."
    assert said in text, f"docs/faq.md should say: {said}"


def test_a_console_that_does_not_do_what_is_shown_is_found_out(tmp_path: Path) -> None:
    run_console("$ echo took 17 ms\ntook 3 ms\n$ x=5\n$ echo $x\n6\n", tmp_path)
    for console in ("$ echo no\nyes\n", "$ false\n", "$ echo 'vla-rt run: x'\nvla-rt run: x\n"):
        with pytest.raises(AssertionError):
            run_console(console, tmp_path)


def test_every_page_is_reachable() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name in navigation, f"{page.name} is missing in mkdocs.yml"


def test_relative_links_exist() -> None:
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            is_generated = (
                target.startswith("api/") and page.parent.name == "docs"
            )  # by scripts/*_reference.py
            assert is_generated or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_shows_both_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text
