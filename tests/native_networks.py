"""Networks as the native engine runs them, beside what PyTorch says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vla_rt as vr
from vla_rt import _core
from vla_rt.export import native
from vla_rt.export.network import Inputs, Network, capture
from vla_rt.export.stages import Stages, split

DTYPES = {torch.float32: "float32", torch.int64: "int64", torch.uint8: "uint8"}


def run_with(instructions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the kernels of one instruction set in this test, or skips it where the processor lacks them."""
    monkeypatch.setenv("VLA_RT_INSTRUCTION_SET", instructions)
    try:
        assert _core.instruction_set() == instructions
    except vr.ConfigError:
        pytest.skip(f"this processor has no {instructions}")


class Denoiser(nn.Module):
    """A function as a policy's network."""

    def __init__(self, function: Callable[..., Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def denoise(self, x: Tensor, t: Tensor, *observation: Tensor) -> Tensor:
        return self.function(*self.parts, x, t, *observation)


def stages_of(policy: Any, x: Tensor, t: float = 0.5, observation: tuple[Tensor, ...] = ()) -> Stages:
    """The stages of a policy's `denoise`."""
    torch.manual_seed(0)
    return split(
        capture(Network(policy), Inputs(x, torch.tensor([t]), (), observation or (torch.ones(1, 1),)))
    )


def opened(stages: Stages, folder: Path, answer: tuple[int, ...]) -> _core.Network:
    """The stages compiled, written and opened."""
    native.save(stages, folder)
    features = [(f"o_{i}", tuple(o.shape[1:]), DTYPES[o.dtype]) for i, o in enumerate(stages.observation)]
    return _core.Network(folder, "native", features, tuple(stages.x.shape[1:]), answer)


def step_error(
    policy: Any,
    folder: Path,
    x: Tensor,
    observation: tuple[Tensor, ...] = (),
    times: tuple[float, ...] = (0.1, 0.9),
) -> float:
    """Largest difference of a step from the policy itself, in double, over the largest number."""
    stages = stages_of(policy, x, times[0], observation)
    observation = stages.observation
    double = policy.eval().double()
    with torch.no_grad():
        wide = [o.double() if o.is_floating_point() else o for o in observation]
        expected = [
            double.denoise(x.double(), torch.tensor([t], dtype=torch.float64), *wide)[0].numpy()
            for t in times
        ]
    network = opened(stages, folder, expected[0].shape)
    network.prepare(list(times))
    network.encode([o[0].numpy() for o in observation])
    worst = 0.0
    for k in reversed(range(len(times))):
        actual = network.step(x[0].numpy(), k)
        worst = max(worst, float(np.abs(actual - expected[k]).max() / np.abs(expected[k]).max()))
    return worst
