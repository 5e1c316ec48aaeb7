"""What README and docs show runs as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

import vla_rt as vr
from vla_rt import _core

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for i, code in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        ):
            found.append((f"{page.name}:{i}", code))
    return found


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the examples assume: the policy package `package` and `panda.urdf`."""
    from vla_rt.policies import FlowMatchingConfig, FlowMatchingPolicy

    folder = tmp_path_factory.mktemp("examples")
    vr.export_policy(FlowMatchingPolicy(FlowMatchingConfig()), folder / "package", backends=["torchscript"])
    robots = distribution("example-robot-data").files or []
    urdf = next(file.locate() for file in robots if file.name == "panda.urdf")
    (folder / "panda.urdf").write_text(Path(str(urdf)).read_text())
    return folder


def programs() -> dict[str, str]:
    """The Python blocks of each page, one after the other as they are read."""
    pages: dict[str, str] = {}
    for where, code in blocks("python"):
        page = where.partition(":")[0]
        pages[page] = pages.get(page, "") + f"# {where}\n{code}\n"
    return pages


@pytest.mark.parametrize("page", programs())
def test_python_examples_run(page: str, workplace: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", programs()[page]], capture_output=True, text=True, cwd=workplace, timeout=240
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(("where", "code"), blocks("cpp"), ids=lambda x: x if len(x) < 40 else "")
def test_cpp_examples_compile_and_link(where: str, code: str, tmp_path: Path) -> None:
    source = tmp_path / "example.cpp"
    source.write_text(code if "int main" in code else code + "\nint main() {}\n")
    library = next(Path(_core.__file__).parent.glob("libvla_rt.so*"))
    command = [
        os.environ.get("CXX", "g++"),
        "-std=c++20",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{ROOT / 'cpp/include'}",
    ]
    command += [
        str(source),
        str(library),
        "-pthread",
        f"-Wl,-rpath,{library.parent}",
        "-o",
        str(tmp_path / "example"),
    ]
    build = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert build.returncode == 0, build.stderr
    assert subprocess.run([str(tmp_path / "example")], timeout=60).returncode == 0


def test_every_page_is_reachable() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name in navigation, f"{page.name} is missing in mkdocs.yml"


def test_relative_links_exist() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_shows_both_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text
