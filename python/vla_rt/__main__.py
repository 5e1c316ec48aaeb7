"""`python -m vla_rt`: the command line, and where C++ programs find the package.

`python -m vla_rt --cmake-dir` prints the folder for `-DCMAKE_PREFIX_PATH=...` (or `-Dvla_rt_DIR=...`),
`--include-dir` that of the headers, for C programs, which need only `vla_rt/execution/shared_memory.h`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vla_rt import _core
from vla_rt.cli.main import main

#: Folders of the C++ package, beside the library that Python uses.
FOLDERS = {"--cmake-dir": "share/cmake/vla_rt", "--include-dir": "include"}


def folder_of(flag: str) -> Path:
    """What `flag` asks for.

    Raises:
        SystemExit: This installation holds no C++ package.
    """
    folder = Path(_core.__file__).parent / FOLDERS[flag]
    if not folder.is_dir():
        sys.exit(f"{folder} is missing: this installation of vla_rt holds no C++ package")
    return folder


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1] in FOLDERS:
        print(folder_of(sys.argv[1]))
        sys.exit(0)
    sys.exit(main())
