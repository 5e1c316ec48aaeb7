"""What `bench/inference.py` holds its rows against: the work of a plan, and the least time for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from native_networks import Denoiser, stages_of
from vla_rt.export import native

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import floor

LIMITS = floor.Limits(float32=100.0, bfloat16=200.0, int8=0.0, l2=100.0, l3=50.0, memory=10.0)


def test_the_work_of_a_plan_is_its_matrices(tmp_path: Path) -> None:
    layers = nn.Sequential(nn.Conv1d(8, 16, 3, padding=1), nn.ConvTranspose1d(16, 4, 4, 2, 1))
    stages = stages_of(Denoiser(lambda m, x, t, o: m(x), layers), torch.randn(1, 8, 5))
    native.save(stages, tmp_path, "bfloat16")
    work = floor.work(tmp_path, "step")
    assert work.products["BF16"] == 5 * 16 * 8 * 3 + 5 * 16 * 4 * 4
    assert work.bytes == {"F32": 0.0, "BF16": 2.0 * (16 * 8 * 3 + 16 * 4 * 4), "I8": 0.0}
    assert floor.work(tmp_path, "encode").operations == 0


def test_the_least_time_is_the_slower_of_computing_and_reading() -> None:
    nothing = floor.Work({"F32": 0.0, "BF16": 0.0, "I8": 0.0}, {"F32": 0.0})
    computing = floor.Work({"F32": 5e6, "BF16": 0.0, "I8": 0.0}, {"F32": 4.0})
    reading = floor.Work({"F32": 5.0, "BF16": 0.0, "I8": 0.0}, {"F32": 100e6})
    assert floor.least_us(LIMITS, nothing, computing, 3) == pytest.approx(3 * 100.0, rel=1e-3)
    assert floor.least_us(LIMITS, reading, nothing, 1) == pytest.approx(100e6 / 10 * 1e-3, rel=1e-3)
    narrow = floor.Work({"F32": 0.0, "BF16": 5e6, "I8": 5e6}, {"F32": 4.0})
    assert floor.least_us(LIMITS, nothing, narrow, 1) == pytest.approx(50.0 + 100.0, rel=1e-3)
