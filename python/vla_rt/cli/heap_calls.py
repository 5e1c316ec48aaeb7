"""Counting the heap calls of a chunk, in a process of its own with a preloaded counter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_COUNTER = """
#include <stddef.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
static long count;
static void add(void) { __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED); }
long vla_rt_heap_calls(void) { return __atomic_load_n(&count, __ATOMIC_RELAXED); }
void *malloc(size_t n) { add(); return __libc_malloc(n); }
void *calloc(size_t n, size_t size) { add(); return __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { add(); return __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { add(); return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { add(); *p = __libc_memalign(a, n); return *p ? 0 : 12; }
"""
_CHUNKS = 8
#: Two runs of the benchmark that differ by _CHUNKS chunks: what they differ by is the chunks' own.
_PROGRAM = f"""
import ctypes, sys
import vla_rt
policy = vla_rt.load_policy(sys.argv[1], sys.argv[2])
count = ctypes.CDLL(None).vla_rt_heap_calls
count.restype = ctypes.c_long
policy.benchmark(5)
marks = [count()]
for n in (2, 2 + {_CHUNKS}):
    policy.benchmark(n)
    marks.append(count())
print((marks[2] - marks[1]) - (marks[1] - marks[0]))
"""


def heap_calls(package: Path, backend: str) -> float | None:
    """Heap calls of all threads per chunk; None where they cannot be counted (no C compiler, not glibc)."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    with tempfile.TemporaryDirectory(prefix="vla_rt_heap_") as folder:
        library = Path(folder) / "counter.so"
        command = [compiler, "-O2", "-shared", "-fPIC", "-fno-builtin", "-x", "c", "-", "-o", str(library)]
        if (
            subprocess.run(command, input=_COUNTER, text=True, capture_output=True, check=False).returncode
            != 0
        ):
            return None
        child = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(package), backend],
            env={**os.environ, "LD_PRELOAD": str(library)},
            capture_output=True,
            text=True,
            check=False,
        )
    return int(child.stdout) / _CHUNKS if child.returncode == 0 else None
