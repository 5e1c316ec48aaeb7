"""Counting the heap allocations of a thread, in C++ and Python alike, by a preloaded library."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_MARK = "VLA_RT_ALLOCATION_COUNTER"


@dataclass(frozen=True)
class Counter:
    """`count()` is this thread's allocations so far; `address` is the C function behind it."""

    count: Callable[[], int]
    address: int


def counter() -> Counter | None:
    """The counter; starts this program again with it, once. None where it cannot be built."""
    library = os.environ.get(_MARK)
    if library is None:
        library = _build()
        if library is None:
            return None
        os.environ |= {_MARK: library, "LD_PRELOAD": f"{library} {os.environ.get('LD_PRELOAD', '')}".strip()}
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    shutil.rmtree(Path(library).parent, ignore_errors=True)  # loaded already
    os.environ.pop("LD_PRELOAD", None)  # not for the programs started from here
    try:
        function = ctypes.CDLL(None).vla_rt_allocations
    except AttributeError:
        return None
    function.restype = ctypes.c_long
    return Counter(function, ctypes.cast(function, ctypes.c_void_p).value or 0)


def _build() -> str | None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = Path(tempfile.mkdtemp(prefix="vla_rt_bench_")) / "allocation_counter.so"
    source = Path(__file__).with_name("counter.c")
    command = [compiler, "-O2", "-shared", "-fPIC", "-fno-builtin", "-o", str(library), str(source)]
    return str(library) if subprocess.run(command, check=False).returncode == 0 else None
