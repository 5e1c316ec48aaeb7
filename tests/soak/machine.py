"""What the machine does to a run: load, memory pressure, a full disk, a wall clock that is set."""

from __future__ import annotations

import mmap
import os
import resource
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

from programs import HERE, Program

MEMORY_SHARE, MOST_MEMORY = 0.25, 2 << 30
CLOCK_STEP_S = 3600
HOG = "import sys; kept = bytearray(b'1') * int(sys.argv[1]); print(len(kept), flush=True); input()"


class WallClock:
    """The wall clock of the programs that are started in its environment."""

    def __init__(self, folder: Path) -> None:
        library, page = folder / "wall_clock.so", folder / "wall_clock"
        compiler = shutil.which("cc") or "gcc"
        subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", HERE / "wall_clock.c", "-o", library, "-ldl"], check=True
        )
        page.write_bytes(bytes(8))
        with page.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "SOAK_CLOCK": str(page)}
        self.offset_s = 0

    def step(self) -> None:
        """An hour forth, and back the next time."""
        self.offset_s = 0 if self.offset_s else CLOCK_STEP_S
        self._page[:] = struct.pack("<q", self.offset_s)

    def seen_by(self, pilot: Program) -> bool:
        """Whether that program's clock shows it."""
        pilot.say(clock=True)
        return bool(abs(pilot.answer("clock") - time.time() - self.offset_s) < CLOCK_STEP_S / 10)


def load_processors(seconds: float) -> bool:
    """Two processes per core that never sleep; true when they really took time."""
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))
    ]
    time.sleep(seconds)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for process in busy:
        process.kill()
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime > 0.2 * seconds


def press_memory(seconds: float) -> bool:
    """A quarter of what is free, written to; true when all of it was."""
    free = 1024 * int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0])
    size = min(int(MEMORY_SHARE * free), MOST_MEMORY)
    hog = subprocess.Popen(
        [sys.executable, "-c", HOG, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert hog.stdout is not None
    taken = hog.stdout.readline()
    time.sleep(seconds)
    hog.communicate("\n")
    return taken.strip() == str(size)


def fill_disk(pid: int, file: Path, seconds: float) -> bool:
    """For this process the disk is full where its file ends."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (file.stat().st_size, hard))
    time.sleep(seconds)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    return True
