"""Networks compiled to machine code: the same answers, opened only when named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)
if shutil.which("g++") is None and shutil.which("clang++") is None:
    pytest.skip("AOTInductor needs a C++ compiler", allow_module_level=True)

import torch
from torch import Tensor

from exportable import OBSERVATION, TinyPolicy, torch_loop


class OneChoice(TinyPolicy):
    """Weights that could be packed in the step alone: each form of a stage takes a compiler seconds."""

    def encode(self, state: Tensor, goal: Tensor, task: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.cat([state, goal.flatten(1), task.float()], dim=1)
        return features, torch.tanh(features) + self.task(task[:, 0])


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    threads = torch.get_num_threads()
    path = vr.export_policy(OneChoice(), tmp_path_factory.mktemp("packages") / "tiny", "aotinductor")
    assert torch.get_num_threads() == threads
    return path


def test_a_compiled_network_answers_as_pytorch(package: Path) -> None:
    p = vr.load_policy(package, backend="aotinductor")
    assert p.backend == "aotinductor"
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(size=(4, 2))
        expected = torch_loop(OneChoice(), OBSERVATION, noise)
        np.testing.assert_allclose(p.sample(OBSERVATION, noise=noise), expected, rtol=0, atol=1e-5)


def test_machine_code_is_opened_only_when_named(package: Path) -> None:
    with pytest.raises(vr.ModelError, match="aotinductor"):
        vr.load_policy(package)


def test_what_was_chosen_is_written_down(package: Path) -> None:
    checks = _core.read_policy_spec(package).checks
    assert checks["aotinductor_max_error"] <= 1e-5
    assert checks["aotinductor_step_weights"] in ("frozen", "plain")
    assert "aotinductor_encode_weights" not in checks


def test_a_compiled_network_says_that_it_has_no_jacobian(package: Path) -> None:
    p = vr.load_policy(package, backend="aotinductor")
    guidance = vr.rtc.Guidance(np.zeros((4, 2)), 1, 3, jacobian="vjp")
    with pytest.raises(vr.ConfigError, match="Jacobian"):
        p.sample(OBSERVATION, guidance=guidance)
