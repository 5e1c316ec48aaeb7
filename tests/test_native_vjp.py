"""The native engine's derivative of a step against autograd: every operator, whole networks, guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vla_rt as vr
from native_networks import Denoiser, opened, run_with, stages_of
from test_native_engine import NETWORKS
from test_native_engine import network as whole_network
from test_native_operators import ATTENTIONS, BINARY, LAYERS, SHAPES, UNARY, X, table
from vla_rt import policies as vp
from vla_rt.export.network import Network

TIMES = (0.1, 0.9)
#: Largest and smallest of an axis, and rows by number.
REFUSED = (17, 18, 23)


def vjp_error(
    policy: Any,
    folder: Path,
    x: Tensor,
    observation: tuple[Tensor, ...] = (),
    times: tuple[float, ...] = TIMES,
) -> float:
    """Largest difference of (d answer / d x)^T c from autograd in double, over the largest number."""
    stages = stages_of(policy, x, times[0], observation)
    observation = stages.observation
    double = policy.eval().double()
    wide = [o.double() if o.is_floating_point() else o for o in observation]
    expected, seeds = [], []
    for t in times:
        leaf = x.double().requires_grad_()
        answer = double.denoise(leaf, torch.tensor([t], dtype=torch.float64), *wide)
        seeds.append(torch.randn(answer.shape[1:], generator=torch.Generator().manual_seed(7)))
        (gradient,) = torch.autograd.grad(answer, leaf, seeds[-1].double()[None], allow_unused=True)
        expected.append(torch.zeros_like(leaf)[0].numpy() if gradient is None else gradient[0].numpy())
    network = opened(stages, folder, tuple(seeds[0].shape))
    network.prepare(list(times))
    network.prepare_vjp()
    network.encode([o[0].numpy() for o in observation])
    worst = 0.0
    for k in reversed(range(len(times))):
        before = network.step(x[0].numpy(), k)
        actual = network.vjp(x[0].numpy(), k, seeds[k].numpy())
        np.testing.assert_array_equal(before, network.step(x[0].numpy(), k))  # the way back disturbs nothing
        worst = max(worst, float(np.abs(actual - expected[k]).max() / max(np.abs(expected[k]).max(), 1e-9)))
    return worst


def each_error(
    functions: Sequence[Callable[..., Tensor]], folder: Path, x: Tensor, observation: tuple[Tensor, ...] = ()
) -> dict[int, float]:
    """The same of many functions in one network, each with a seed of its own; those beyond 1e-5."""

    def together(x: Tensor, t: Tensor, *o: Tensor) -> Tensor:
        return torch.cat([function(x, *o).reshape(1, -1) for function in functions], dim=1)

    def alone(x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        return together(x, t)

    stages = stages_of(Denoiser(together if observation else alone), x, 0.5, observation)
    observation = stages.observation
    sizes = [
        function(x, *observation[: len(observation) if observation[0].numel() > 1 else 0]).numel()
        for function in functions
    ]
    network = opened(stages, folder, (sum(sizes),))
    network.prepare([0.5])
    network.prepare_vjp()
    network.encode([o[0].numpy() for o in observation])
    worst, begin = {}, 0
    for i, (function, size) in enumerate(zip(functions, sizes, strict=True)):
        seed = np.zeros(sum(sizes), np.float32)
        seed[begin : begin + size] = np.random.default_rng(i).normal(size=size)
        leaf = x.double().requires_grad_()
        wide = [o.double() for o in observation if observation[0].numel() > 1]
        answer = function(leaf, *wide)
        (expected,) = torch.autograd.grad(
            answer, leaf, torch.tensor(seed[begin : begin + size]).double().reshape(answer.shape)
        )
        error = np.abs(network.vjp(x[0].numpy(), 0, seed) - expected[0].numpy()).max()
        if error > 1e-5 * max(1e-9, expected.abs().max().item()):
            worst[i] = float(error)
        begin += size
    return worst


def test_functions_of_one_operand(tmp_path: Path) -> None:
    assert each_error(UNARY, tmp_path, X) == {}


def test_functions_of_two_operands(tmp_path: Path) -> None:
    y = table((1, 7, 4))[:, 1:].contiguous()
    assert each_error(BINARY, tmp_path, X, (y,)) == {}
    both = [lambda x, f=f: f(x, 0.7 * x + 0.1) for f in BINARY[:-3]]
    assert each_error(both, tmp_path, X) == {}


def test_shapes(tmp_path: Path) -> None:
    functions = [function for i, function in enumerate(SHAPES) if i not in REFUSED]
    assert each_error([lambda x, f=f: f(x) * f(x) for f in functions], tmp_path, X) == {}
    for i in REFUSED:
        with pytest.raises(vr.ModelError, match=r"of maximum|of minimum|\(gather\)"):
            each_error([SHAPES[i]], tmp_path, X)


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    layer, shape = LAYERS[name]
    for parameter in layer.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    policy = Denoiser(lambda m, x, t, o: m(x), layer.float())
    if name in ("conv1d, strided and dilated", "conv2d"):
        with pytest.raises(vr.ModelError, match=r"plan\.json#/step/.*finite_differences"):
            vjp_error(policy, tmp_path, table(shape))
        return
    assert vjp_error(policy, tmp_path, table(shape)) <= 1e-5


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention(name: str, tmp_path: Path) -> None:
    policy = Denoiser(lambda x, t, y: ATTENTIONS[name](x, y))
    assert vjp_error(policy, tmp_path, table((1, 5, 16)), (table((1, 7, 16)),)) <= 1e-5
    if name not in ("masked", "biased"):
        itself = Denoiser(lambda x, t, o: ATTENTIONS[name](x, 1.3 * x))
        assert vjp_error(itself, tmp_path, table((1, 5, 16))) <= 1e-5


def test_a_recurrent_network(tmp_path: Path) -> None:
    layer = nn.LSTM(4, 9, num_layers=2, batch_first=True)
    assert vjp_error(Denoiser(lambda m, x, t, o: m(x)[0], layer), tmp_path, X) <= 1e-5


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("instructions", ["portable", "avx2", "avx512"])
def test_networks(name: str, instructions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_with(instructions, monkeypatch)
    policy, x, observation = whole_network(name)
    assert vjp_error(policy, tmp_path, x, observation, (0.0, 0.5, 3.0)) <= 1e-5


SIZES: dict[str, Any] = {
    "observation": (("observation.state", (5,), "float32"),),
    "horizon": 8,
    "execution_horizon": 4,
    "action_dim": 3,
    "obs_dim": 16,
}
COURSE: dict[str, Callable[[], nn.Module]] = {
    "flow MLP": lambda: vp.FlowMatchingPolicy(vp.FlowMatchingConfig(hidden=32, **SIZES)),
    "noise MLP": lambda: vp.DiffusionPolicy(
        vp.DiffusionConfig(network="mlp", hidden=32, time_dim=16, **SIZES)
    ),
    "U-Net": lambda: vp.DiffusionPolicy(
        vp.DiffusionConfig(channels=(16, 24), cond_dim=16, groups=4, **SIZES)
    ),
}


@pytest.mark.parametrize("name", COURSE)
def test_the_course_s_policies(name: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    policy = Denoiser(lambda m, x, t, o: m(x, t, o), Network(COURSE[name]()))
    assert vjp_error(policy, tmp_path, table((1, 8, 3)), (table((1, 5)),)) <= 1e-5
