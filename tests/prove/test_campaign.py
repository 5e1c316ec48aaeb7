"""A slice of the adversarial campaign of the joint limits; `make adversary` is the whole of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ADVERSARY = Path(__file__).resolve().parents[2] / "build" / "editable" / "tests" / "cpp" / "adversary"


def test_no_stream_of_targets_breaks_a_limit() -> None:
    run = subprocess.run([ADVERSARY, "1e8"], capture_output=True, text=True, timeout=1500, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    total = re.search(r"total: (\d+) violations in (\d+) joint-ticks", run.stdout)
    assert total, run.stdout
    assert int(total[1]) == 0, run.stdout
    assert int(total[2]) >= 1e8, run.stdout
