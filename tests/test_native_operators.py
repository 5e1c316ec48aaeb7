"""Every operator of the native engine against PyTorch in double."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import vla_rt as vr
from native_networks import Denoiser, stages_of, step_error
from vla_rt.export import native


def table(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


X = table((1, 6, 4))
UNARY = [
    torch.relu,
    F.gelu,
    F.silu,
    F.mish,
    torch.tanh,
    torch.sigmoid,
    F.softplus,
    torch.exp,
    torch.neg,
    torch.abs,
    torch.square,
    torch.sin,
    torch.cos,
    F.leaky_relu,
    lambda x: F.gelu(x, approximate="tanh"),
    lambda x: torch.sqrt(x.abs() + 1),
    lambda x: torch.rsqrt(x * x + 1),
    lambda x: torch.log(x.abs() + 0.5),
    lambda x: x**2,
    lambda x: x**3,
    lambda x: (x * x + 1) ** -0.5,
    lambda x: 1 / (x * x + 1),
    lambda x: x.clamp(-0.5, 0.5),
    lambda x: x.clamp(min=0.1),
    lambda x: x.clamp_max(0.2),
    lambda x: 1 - x,
    lambda x: x - 2,
]
BINARY: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / (y * y + 1),
    torch.maximum,
    torch.minimum,
    lambda x, y: torch.add(x, y, alpha=0.5),
    lambda x, y: x + y[:, :, :1],
    lambda x, y: x[:, :1] * y,
    lambda x, y: torch.where(x < y, x, 2 * y),
    lambda x, y: x * (x >= 0) + y * (y > 0.3),
    lambda x, y: torch.lerp(x, y, 0.3),
    lambda x, y: torch.addcmul(x, x, y),
    lambda x, y: x.masked_fill(y > 0, 0.5),
    lambda x, y: x.transpose(1, 2).reshape(1, 6, 4) + y,
    lambda x, y: x.masked_fill((y > 0) & (x > 0), 3.0),
]
SHAPES: list[Callable[[Tensor], Tensor]] = [
    lambda x: x.flatten(1),
    lambda x: x.transpose(1, 2),
    lambda x: x.permute(0, 2, 1).reshape(1, 3, 8),
    lambda x: x[:, 1:5:2],
    lambda x: x[:, :, 2],
    lambda x: x.unsqueeze(2).expand(1, 6, 3, 4) * 2,
    lambda x: torch.cat([x, 2 * x[:, :2]], dim=1),
    lambda x: torch.cat([x, x * x], dim=-1),
    lambda x: torch.stack([x, x + 1], dim=1),
    lambda x: x.repeat(1, 2, 3),
    lambda x: sum(x.chunk(2, dim=-1)),
    lambda x: x.split([1, 3], dim=-1)[1],
    lambda x: torch.stack(x.unbind(1), dim=1) + 1,
    lambda x: F.pad(x, (1, 2)),
    lambda x: F.pad(x, (0, 0, 2, 1), value=3.0),
    lambda x: x.mean(1),
    lambda x: x.sum((1, 2), keepdim=True) * x,
    lambda x: x.amax(-1),
    lambda x: x.amin(1),
    lambda x: x.softmax(-1),
    lambda x: x.softmax(1),
    lambda x: x.narrow(1, 2, 3).squeeze(0)[None],
    lambda x: x @ x.transpose(1, 2),
    lambda x: x.index_select(1, torch.tensor([4, 0, 4])),
    lambda x: x + torch.zeros_like(x) + x.new_ones(4),
    lambda x: x / x.norm(dim=-1, keepdim=True),
    lambda x: F.normalize(x, dim=1),
    lambda x: sum(torch.broadcast_tensors(x, x[:, :1])),
]


@pytest.mark.parametrize("function", UNARY)
def test_unary(function: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    assert step_error(Denoiser(lambda x, t, o: function(x)), tmp_path, X) <= 1e-6


@pytest.mark.parametrize("function", BINARY)
def test_binary(function: Callable[[Tensor, Tensor], Tensor], tmp_path: Path) -> None:
    y = table((1, 7, 4))[:, 1:]
    assert step_error(Denoiser(lambda x, t, o: function(x, o)), tmp_path, X, (y.contiguous(),)) <= 1e-6


@pytest.mark.parametrize("function", SHAPES)
def test_shapes(function: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    assert step_error(Denoiser(lambda x, t, o: function(x)), tmp_path, X) <= 2e-6


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(5, 300), (1, 5)),
    "linear of rows": (nn.Sequential(nn.Linear(5, 37), nn.Mish(), nn.Linear(37, 3, bias=False)), (1, 7, 5)),
    "conv1d": (nn.Conv1d(5, 33, 3, padding=1), (1, 5, 8)),
    "conv1d, strided and dilated": (
        nn.Conv1d(5, 9, 3, stride=2, padding=2, dilation=2, bias=False),
        (1, 5, 11),
    ),
    "conv2d": (
        nn.Sequential(nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 2)), nn.ReLU(), nn.Conv2d(8, 4, 1)),
        (1, 3, 9, 7),
    ),
    "transposed, the U-Net's": (nn.ConvTranspose1d(6, 7, 4, stride=2, padding=1), (1, 6, 5)),
    "transposed, phases of unlike length": (
        nn.ConvTranspose1d(6, 7, 5, stride=3, padding=1, output_padding=1),
        (1, 6, 5),
    ),
    "max pool": (
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((1, 2))),
        (1, 3, 9, 13),
    ),
    "layer norm": (nn.LayerNorm(19), (1, 6, 19)),
    "layer norm over two axes": (nn.LayerNorm((6, 19), elementwise_affine=False), (1, 6, 19)),
    "group norm": (nn.Sequential(nn.Conv1d(5, 24, 1), nn.GroupNorm(4, 24), nn.SiLU()), (1, 5, 6)),
    "batch norm": (nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)), (1, 3, 4, 5)),
    "encoder layer": (nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu"), (1, 9, 16)),
    "encoder layer, norm first": (
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True),
        (1, 9, 16),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    layer, shape = LAYERS[name]
    for part in layer.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean, part.running_var = torch.randn(8), torch.rand(8) + 0.5
    for parameter in layer.parameters():  # no two alike, no zero bias
        parameter.data += 0.1 * torch.randn_like(parameter)
    assert step_error(Denoiser(lambda m, x, t, o: m(x), layer), tmp_path, table(shape)) <= 5e-6


@pytest.mark.parametrize("bias", [True, False])
def test_lstm(bias: bool, tmp_path: Path) -> None:
    layer = nn.LSTM(4, 9, num_layers=2, batch_first=True, bias=bias)

    def network(m: nn.Module, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        outputs, (hidden, cell) = m(x)
        return torch.cat([outputs, hidden.transpose(0, 1), cell.transpose(0, 1)], dim=1)

    assert step_error(Denoiser(network, layer), tmp_path, X) <= 1e-6


def heads(x: Tensor) -> Tensor:
    return x.view(1, -1, 2, 8).transpose(1, 2)


ATTENTIONS: dict[str, Callable[..., Tensor]] = {
    "self": lambda x, y: F.scaled_dot_product_attention(heads(x), heads(2 * x), heads(x + 1)),
    "causal": lambda x, y: F.scaled_dot_product_attention(heads(x), heads(x), heads(x), is_causal=True),
    "cross": lambda x, y: F.scaled_dot_product_attention(heads(x), heads(y), heads(y), scale=0.1),
    "masked": lambda x, y: F.scaled_dot_product_attention(
        heads(x), heads(y), heads(y), attn_mask=y[:, :, 0] > -0.5
    ),
    "biased": lambda x, y: F.scaled_dot_product_attention(
        heads(x), heads(y), heads(y), attn_mask=y[:, :, 0].clone()
    ),
    "by hand": lambda x, y: (x @ y.transpose(1, 2) / 4).softmax(-1) @ y,
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention(name: str, tmp_path: Path) -> None:
    policy = Denoiser(lambda x, t, y: ATTENTIONS[name](x, y))
    assert step_error(policy, tmp_path, table((1, 5, 16)), (table((1, 7, 16)),)) <= 5e-6


def test_embedding_of_tokens_and_bytes(tmp_path: Path) -> None:
    def network(words: nn.Module, x: Tensor, t: Tensor, tokens: Tensor, image: Tensor) -> Tensor:
        return x + words(tokens).mean(1) + image.float().mean() / 255.0  # type: ignore[no-any-return]

    observation = (torch.tensor([[3, 0, 9]]), torch.arange(12, dtype=torch.uint8).reshape(1, 3, 4) * 20)
    words = nn.Embedding(10, 4)
    assert step_error(Denoiser(network, words), tmp_path, X, observation) <= 1e-6


def sinusoid(t: Tensor) -> Tensor:
    angles = t[:, None] * torch.exp(torch.arange(8) * -0.9)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def test_time_is_embedded_at_load(tmp_path: Path) -> None:
    embed = nn.Sequential(nn.Linear(16, 4), nn.Mish())
    policy = Denoiser(lambda m, x, t, o: x * m(sinusoid(t))[:, None], embed)
    plan = native.compile_stages(stages_of(policy, X))
    assert [o.function for o in plan.stages["step"]] == ["multiply"]
    assert step_error(policy, tmp_path, X, times=(0.0, 0.3, 7.0, 99.0)) <= 2e-6


def test_an_operator_that_is_not_there_is_named_with_its_module(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.matrix_exp(x @ x.mT)

    with pytest.raises(vr.ModelError, match=r"matrix_exp.* of parts\.0; the torchscript backend takes it"):
        native.compile_stages(stages_of(Denoiser(lambda m, x, t, o: m(x), Odd()), X))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.Conv1d(4, 4, 1, groups=2), (1, 4, 6)), (nn.PReLU(), (1, 6, 4)), (nn.Softplus(beta=2), (1, 6, 4))],
)
def test_options_that_are_not_there_are_refused(layer: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(vr.ModelError, match="torchscript"):
        native.compile_stages(stages_of(Denoiser(lambda m, x, t, o: m(x), layer), table(shape)))


@pytest.mark.parametrize(
    "function",
    [
        lambda u: u + u,
        lambda u: u * 2,
        lambda u: u - 5,
        lambda u: -u,
        lambda u: (u.long() - 300).to(torch.uint8),
        lambda u: (u > 3) + (u > 5),
    ],
)
def test_bytes_and_truths_that_pytorch_computes_otherwise_are_refused(
    function: Callable[[Tensor], Tensor],
) -> None:
    policy = Denoiser(lambda x, t, u: x * function(u).float().mean())
    with pytest.raises(vr.ModelError, match=r"(of uint8|of bool|bytes); the torchscript backend takes it"):
        native.compile_stages(stages_of(policy, X, observation=(torch.full((1, 4), 200, dtype=torch.uint8),)))


def test_bytes_become_numbers_and_truths(tmp_path: Path) -> None:
    u = torch.tensor([[0, 3, 200, 255]], dtype=torch.uint8)
    policy = Denoiser(
        lambda x, t, u: (
            x * (u / 255) + ((u > 3) * (u < 255) | (u == 0)).float() + torch.where(u > 3, u.long(), -1)
        )
    )
    assert step_error(policy, tmp_path, X, (u,)) <= 1e-6


def functions(plan: Any) -> list[str]:
    return [f"{o.op} {o.function}".strip() for o in plan.stages["step"]]


def test_activations_and_copies_are_joined_with_what_they_follow() -> None:
    layers = nn.Sequential(nn.Linear(24, 8), nn.Mish(), nn.Linear(8, 24))
    plan = native.compile_stages(
        stages_of(Denoiser(lambda m, x, t, o: m(x.flatten(1)).view_as(x), layers), X)
    )
    assert functions(plan) == ["linear mish", "linear"]
    joined = native.compile_stages(
        stages_of(Denoiser(lambda m, x, t, o: torch.cat([m(x.flatten(1)), x.flatten(1)], 1), layers), X)
    )
    assert functions(joined) == ["linear mish", "linear", "elementwise copy", "elementwise copy"]


def test_what_is_used_twice_is_not_joined(tmp_path: Path) -> None:
    layer = nn.Linear(4, 4)

    def network(m: nn.Module, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        h = m(x)
        return torch.relu(h) + h

    assert step_error(Denoiser(network, layer), tmp_path, X) <= 1e-6


def test_a_norm_takes_scale_shift_activation_and_residual_in_this_order_alone(tmp_path: Path) -> None:
    def shifted(n: nn.Module, f: nn.Module, x: Tensor, o: Tensor) -> Tensor:
        scale, shift = f(o)[:, :, None].chunk(2, dim=1)
        shifted: Tensor = n(x) * (1 + scale) + shift
        return shifted

    networks: dict[str, Callable[..., Tensor]] = {
        "group_norm mish": lambda n, f, x, t, o: F.mish(shifted(n, f, x, o)) + x,
        "group_norm, elementwise relu": lambda n, f, x, t, o: torch.relu(n(x) + x),
        "group_norm mish, elementwise multiply": lambda n, f, x, t, o: F.mish(n(x)) * f(o)[:, :8, None],
        "group_norm, elementwise multiply": lambda n, f, x, t, o: (n(x) + x) * f(o)[:, 8:, None],
    }
    convolution = nn.Conv1d(8, 8, 1)
    for expected, network in networks.items():
        policy = Denoiser(
            lambda c, *rest, network=network: network(*rest[:2], c(rest[2]), *rest[3:]),
            convolution,
            nn.GroupNorm(2, 8),
            nn.Linear(3, 16),
        )
        observation = (table((1, 3)),)
        plan = native.compile_stages(stages_of(policy, table((1, 8, 5)), 0.5, observation))
        found = [
            f for f in functions(plan) if f not in ("convolution", "elementwise copy", "elementwise add")
        ]
        assert ", ".join(found) == expected
        assert step_error(policy, tmp_path, table((1, 8, 5)), observation) <= 2e-6
