"""The example that trains a package gives one that its programs can run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import vla_rt as vr

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_a_package_is_trained_as_the_examples_run_it(tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLES / "train_reach.py", tmp_path / "package"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    assert float(re.search(r"mean error ([\d.]+) rad", done.stdout)[1]) < 0.02
    state, goal = np.array([0, -0.4, 0, -2.0, 0, 1.6, 0.8]), np.array([0.6, 0.2, -0.4, -1.5, 0.3, 2.0, 0.2])
    chunk = vr.load_policy(tmp_path / "package").sample({"observation.state": state, "goal": goal})
    assert np.linalg.norm(chunk[-1] - goal) < 0.7 * np.linalg.norm(state - goal)
