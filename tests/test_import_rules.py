"""The room table is true: who includes whom, what links what, what `import vla_rt` loads."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import vla_rt
from vla_rt import _core

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.MULTILINE)


def room_table() -> dict[str, set[str]]:
    """Room → rooms it may include, from the one place that builds them."""
    table = {}
    for name, arguments in re.findall(
        r"^vla_rt_room\((\w+)([^)]*)\)", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE
    ):
        depends = re.search(r"DEPENDS ([\w ]+?)(?: LIBRARIES|$)", arguments.strip())
        table[name] = set(depends.group(1).split()) if depends else set()
    return table


ROOMS = room_table()


def sources(room: str) -> list[Path]:
    return [f for part in ("include/vla_rt", "src") for f in (ROOT / "cpp" / part / room).rglob("*.?pp")]


def includes(file: Path) -> list[str]:
    return INCLUDE.findall(file.read_text())


def room_of(include: str) -> str | None:
    """Room an include belongs to: <vla_rt/room/x.hpp> or a private "room/x.hpp"."""
    parts = include.split("/")
    if parts[0] == "vla_rt":
        return parts[1]
    return parts[0] if len(parts) > 1 and parts[0] in ROOMS else None


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_includes_only_its_neighbours(room: str) -> None:
    files = sources(room)
    assert files, f"room {room} is empty"
    for file in files:
        for include in includes(file):
            other = room_of(include)
            assert other is None or other == room or other in ROOMS[room], (
                f"{file.relative_to(ROOT)}: {include}"
            )


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_the_core_knows_neither_python_nor_torch(room: str) -> None:
    for file in sources(room):
        for include in includes(file):
            assert not re.match(r"(torch|ATen|c10|caffe2|pybind11|Python\.h)", include), (
                f"{file.relative_to(ROOT)}: {include}"
            )


def test_public_headers_hold_std_types_only() -> None:
    for file in (ROOT / "cpp" / "include").rglob("*.hpp"):
        if file.parent.name == "adapters":  # header only, for programs that have the other library anyway
            continue
        for include in includes(file):
            assert not re.match(r"(Eigen|nlohmann)", include), f"{file.relative_to(ROOT)}: {include}"


def test_torch_backend_does_not_use_torchs_own_pybind11() -> None:
    files = [*(ROOT / "cpp/src/backends").rglob("*.?pp"), ROOT / "cpp/src/bindings/module_torch.cpp"]
    for file in files:
        assert not {"torch/extension.h", "torch/python.h"} & set(includes(file)), file


def test_the_contributing_table_is_the_built_one() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    documented = {name: {d for d in re.findall(r"\w+", depends) if d in ROOMS} for name, depends in rows}
    assert documented == ROOMS


def test_core_links_no_torch() -> None:
    for library in (_core.__file__, next(Path(_core.__file__).parent.glob("libvla_rt.so*"))):
        linked = subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=True).stdout
        assert "libvla_rt" in linked or "libstdc++" in linked
        assert not re.search(r"lib(torch|c10)", linked), linked


def loaded_by_import(code: str) -> set[str]:
    script = f"{code}\nimport sys, vla_rt\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_is_light() -> None:
    heavy = {
        "torch",
        "mujoco",
        "matplotlib",
        "scipy",
        "tyro",
        "rich",
        "tqdm",
        "yaml",
        "pandas",
        "onnxruntime",
    }
    loaded = loaded_by_import("")
    assert "vla_rt" in loaded
    assert not loaded & heavy


def test_import_works_without_torch() -> None:
    block = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'torch': raise ImportError('no torch here')\n"
        "sys.meta_path.insert(0, Block())"
    )
    assert "torch" not in loaded_by_import(block)


def test_version_is_the_one_of_the_project() -> None:
    assert f'version = "{vla_rt.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_no_room_is_named_after_a_heap_of_things() -> None:
    for file in [*(ROOT / "cpp").rglob("*.?pp"), *(ROOT / "python").rglob("*.py")]:
        assert not re.search(r"(utils?|helpers?|common|manager|_impl)$", file.stem), file


def test_a_plain_pytest_collects_everything() -> None:
    """Two test modules of one name in folders that are no packages cannot be collected together."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
