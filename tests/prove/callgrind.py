"""Instructions counted by valgrind's callgrind: of one library the same on every machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from vla_rt import _core

ROOT = Path(__file__).resolve().parents[2]


def program(source: Path, folder: Path) -> Path:
    """A C++ program on the installed library."""
    library = Path(_core.__file__).parent
    made = folder / source.stem
    compiler = shutil.which("g++") or shutil.which("c++")
    assert compiler is not None
    include = [f"-I{ROOT / 'cpp' / 'include'}", f"-I{ROOT / 'tests' / 'cpp'}"]
    link = [f"-L{library}", f"-Wl,-rpath,{library}", "-lvla_rt"]
    subprocess.run([compiler, "-std=c++20", "-O2", *include, source, "-o", made, *link], check=True)
    return made


def instructions_per_call(function: str, *command: str | Path, folder: Path, **environment: str) -> list[int]:
    """Of each call of `function`, in turn; symbols are looked up before it begins."""
    for old in folder.glob("calls.*"):
        old.unlink()
    tool = ["valgrind", "--tool=callgrind", f"--toggle-collect={function}", f"--dump-after={function}"]
    subprocess.run(
        [*tool, f"--callgrind-out-file={folder}/calls", *command],
        capture_output=True,
        env={**os.environ, "LD_BIND_NOW": "1", **environment},
        check=True,
    )
    counts = {}
    for file in folder.glob("calls.*"):
        found = re.search(r"^totals: (\d+)", file.read_text(), re.MULTILINE)
        assert found is not None, file
        counts[int(file.suffix[1:])] = int(found.group(1))
    return [counts[number] for number in sorted(counts)]
