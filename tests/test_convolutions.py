"""Convolutions written as linears of unfolded rows: the same numbers, and a choice that is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import vla_rt as vr
from exportable import TinyConfig, TinyPolicy
from vla_rt.export import convolutions, timing
from vla_rt.export.network import Network, capture, example_inputs
from vla_rt.export.stages import Stages, split

T, D = 8, 3
aten = torch.ops.aten


class Convolving(TinyPolicy):
    """`layer` along the chunk's rows, brought back to its length."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__(
            TinyConfig(observation=(("o", (2,), "float32"),), horizon=T, action_dim=D, solver="euler")
        )
        self.layer = layer

    @property
    def normalizers(self) -> dict[str, Any]:
        return {}

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        h = self.layer(x.transpose(1, 2)) + o.sum() + t
        return F.interpolate(h, size=T).transpose(1, 2)


def stages_of(layer: nn.Module) -> Stages:
    policy = Convolving(layer)
    return split(capture(Network(policy), example_inputs(policy, policy.config.observation)))


@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 2), (2, 1), (3, 0)])
@pytest.mark.parametrize("kind", [nn.Conv1d, nn.ConvTranspose1d])
@pytest.mark.parametrize("bias", [True, False])
def test_the_linear_form_answers_as_the_convolution(
    kind: Any, width: int, stride: int, padding: int, bias: bool
) -> None:
    torch.manual_seed(width)
    if kind is nn.ConvTranspose1d and padding >= width:
        padding = 0
    stages = stages_of(kind(D, 3, width, stride=stride, padding=padding, bias=bias))
    linear = convolutions.as_linears(stages.step)
    assert linear is not None
    targets = {node.target for node in linear.graph.nodes}
    assert not targets & {aten.conv1d.default, aten.conv_transpose1d.default}
    for _ in range(3):
        x = torch.randn_like(stages.x)
        expected = stages.step(x, *stages.rows, *stages.context)
        torch.testing.assert_close(linear(x, *stages.rows, *stages.context), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(3, 3, 3, groups=3),
        nn.Conv1d(3, 3, 3, dilation=2),
        nn.ConvTranspose1d(3, 3, 3, stride=2, output_padding=1),
        nn.Linear(8, 8),
    ],
)
def test_what_has_no_linear_form_is_left_alone(layer: nn.Module) -> None:
    assert convolutions.as_linears(stages_of(layer).step) is None


def test_the_quicker_form_is_taken_and_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Convolving(nn.Conv1d(D, D, 3, padding=1))
    for form in ("plain", "linear"):
        monkeypatch.setattr(convolutions, "fastest", lambda candidates, form=form: form)
        package = vr.load_policy(vr.export_policy(policy, tmp_path / "p"))
        assert package.spec.checks["convolutions_in_step"] == form
        assert "convolutions_in_encode" not in package.spec.checks
        assert package.spec.checks["torchscript_max_error"] <= 1e-5
        traced = torch.jit.load(str(tmp_path / "p" / "model.ts"))
        assert ("aten::linear" in str(traced.step.graph)) == (form == "linear")


def test_fastest_is_the_fastest() -> None:
    threads = torch.get_num_threads()
    small, large = torch.ones(10, 10), torch.ones(400, 400)
    candidates = {"large": lambda: large @ large, "small": lambda: small @ small}
    assert timing.fastest(candidates) == "small"
    assert torch.get_num_threads() == threads
