"""A step takes the same instructions whatever the numbers are (callgrind), and denormals slow nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import callgrind
import pytest
import torch

import vla_rt as vr
from vla_rt import _core
from vla_rt import policies as vp

HERE = Path(__file__).resolve().parent
KINDS = ("zeros", "random", "denormals", "huge", "mixed")
OBSERVATION = (("observation.state", (9,), "float32"),)


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return callgrind.program(HERE / "step_counter.cpp", tmp_path_factory.mktemp("counter"))


@pytest.fixture(scope="module", params=["flow", "noise", "unet"])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    sizes = {"observation": OBSERVATION, "horizon": 8, "execution_horizon": 4, "action_dim": 4, "obs_dim": 16}
    policy = {
        "flow": lambda: vp.FlowMatchingPolicy(vp.FlowMatchingConfig(hidden=48, **sizes)),
        "noise": lambda: vp.DiffusionPolicy(
            vp.DiffusionConfig(network="mlp", hidden=48, time_dim=16, num_steps=4, **sizes)
        ),
        "unet": lambda: vp.DiffusionPolicy(
            vp.DiffusionConfig(channels=(16, 24), cond_dim=16, groups=4, num_steps=4, **sizes)
        ),
    }[request.param]()
    return vr.export_policy(policy, tmp_path_factory.mktemp("counted") / request.param, ["native"])


def instructions(counter: Path, package: Path, kind: str, folder: Path) -> int:
    command = (counter, package, "count", kind)
    (count,) = callgrind.instructions_per_call(
        "COUNTED_STEP", *command, folder=folder, VLA_RT_INSTRUCTION_SET="avx2"
    )
    return count


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
@pytest.mark.skipif(_core.best_instruction_set() == "portable", reason="this processor has no AVX2")
def test_a_step_takes_the_same_instructions_whatever_the_numbers(
    counter: Path, package: Path, tmp_path: Path
) -> None:
    counts = {kind: instructions(counter, package, kind, tmp_path) for kind in KINDS}
    assert min(counts.values()) > 1000
    assert len(set(counts.values())) == 1, counts


@pytest.mark.parametrize("instruction_set", ["portable", "avx2", "avx512"])
def test_denormals_slow_nothing(counter: Path, package: Path, instruction_set: str) -> None:
    sets = ["portable", "avx2", "avx512", "avx512_bf16"]
    if sets.index(instruction_set) > sets.index(_core.best_instruction_set()):
        pytest.skip(f"this processor has no {instruction_set}")
    environment = {**os.environ, "VLA_RT_INSTRUCTION_SET": instruction_set}
    run = subprocess.run(
        [counter, package, "time"], capture_output=True, text=True, env=environment, check=True
    )
    times = {kind: int(ns) for kind, ns in map(str.split, run.stdout.splitlines())}
    # A denormal that is not flushed costs some hundred cycles each: factors, not per cents.
    assert times["denormals"] < 1.5 * times["random"], times
    assert times["mixed"] < 1.5 * times["random"], times
