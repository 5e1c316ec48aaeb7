"""A training on a dataset that SIGKILL ends, and its continuation."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pyarrow")

from test_data_parallel import make_policy, record, settings, weights  # noqa: E402
from vla_rt.datasets import LeRobotDataset  # noqa: E402
from vla_rt.training import train  # noqa: E402


def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    """Killed at some moment of a run that writes checkpoints all the time."""
    record(tmp_path / "data")
    dataset = LeRobotDataset(tmp_path / "data")
    config = settings(steps=150, checkpoint_every=1, log_every=10, output_dir=tmp_path / "run")
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_killed_training import *
dataset = LeRobotDataset({str(tmp_path / "data")!r})
output = Path({str(tmp_path / "run")!r})
train(make_policy(), dataset, settings(steps=150, checkpoint_every=1, log_every=10, output_dir=output))
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        while not (tmp_path / "run/checkpoint.pt").exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    resumed, whole = make_policy(), make_policy()
    result = train(resumed, dataset, dataclasses.replace(config, resume=True))
    train(whole, dataset, dataclasses.replace(config, output_dir=None))
    assert 1 <= result.resumed_at <= 150
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(weights(resumed)[name], value)
    steps = [line.split(",")[0] for line in (tmp_path / "run/log.csv").read_text().splitlines()]
    assert steps == ["step", *map(str, range(10, 151, 10))]
