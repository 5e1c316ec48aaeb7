"""The examples run as their pages say; `tests/prove` runs those in C++."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def test_every_example_stands_beside_its_other_language() -> None:
    named = re.findall(r"`(\w+/?[\w/]*\.(?:py|cpp|c|hpp))`", (EXAMPLES / "README.md").read_text())
    there = {
        str(file.relative_to(EXAMPLES))
        for suffix in ("*.py", "*.cpp", "*.c", "*.hpp")
        for file in EXAMPLES.rglob(suffix)
    }
    assert there == {*named, "embed_python/arm_policy.py"}


def test_policies_in_callbacks_reach_their_goals() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, EXAMPLES / "embed_python" / name], stdout=subprocess.PIPE, text=True
        )
        for name in ("franka_callback.py", "ros2_control_update.py")
    ]
    franka, ros2 = (run.communicate(timeout=120)[0] for run in runs)
    assert [run.returncode for run in runs] == [0, 0], franka + ros2
    assert re.fullmatch(r"\d+ ticks, \d+ chunks, 0\.0[0-4]\d rad from the goal\n", franka)
    assert ros2.startswith("ok, ")
