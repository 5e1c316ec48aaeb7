"""A slice of the adversarial campaign of the joint limits (`make adversary`), and its planted fault."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ADVERSARY = Path(__file__).resolve().parents[2] / "build" / "editable" / "tests" / "cpp" / "adversary"


def test_no_stream_of_targets_breaks_a_limit() -> None:
    run = subprocess.run([ADVERSARY, "1e8"], capture_output=True, text=True, timeout=1500, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    total = re.search(r"total: (\d+) violations in (\d+) joint-ticks", run.stdout)
    assert total, run.stdout
    assert int(total[1]) == 0, run.stdout
    assert int(total[2]) >= 1e8, run.stdout


def test_a_limit_taken_for_a_thousandth_more_is_noticed() -> None:
    script = Path(__file__).with_name("campaign.sh")
    environment = {**os.environ, "PYTHON": sys.executable}
    run = subprocess.run([script], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
