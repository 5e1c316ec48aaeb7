"""`python -m vla_rt`: the command line, and where C++ programs find the package.

`python -m vla_rt --cmake-dir` prints the folder for `-DCMAKE_PREFIX_PATH=...` (or `-Dvla_rt_DIR=...`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from vla_rt import _core
from vla_rt.cli.main import main


def cmake_dir() -> Path:
    """Folder of the CMake package `vla_rt`, beside the library that Python uses."""
    return Path(_core.__file__).parent / "share" / "cmake" / "vla_rt"


if __name__ == "__main__":
    if sys.argv[1:] == ["--cmake-dir"]:
        folder = cmake_dir()
        if not folder.is_dir():
            sys.exit(f"{folder} is missing: this installation of vla_rt holds no C++ package")
        print(folder)
        sys.exit(0)
    sys.exit(main())
