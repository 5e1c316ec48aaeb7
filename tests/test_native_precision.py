"""Native networks of bfloat16 and int8: how far they are off, and what their packages say of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vla_rt as vr
from exportable import OBSERVATION, TinyPolicy
from native_networks import Denoiser, stages_of
from token_policy import SmallTokenPolicy
from vla_rt import _core
from vla_rt.export import native
from vla_rt.export.native.matrices import bfloat16_bits, int8_numbers

SETS = ("portable", "avx2", "avx512", "avx512_bf16")


def table(shape: tuple[int, ...], seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


#: Layers wide enough to be int8, each with an activation after it.
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Sequential(nn.Linear(200, 300), nn.SiLU()), (1, 200)),
    "linear of rows": (nn.Sequential(nn.Linear(190, 210), nn.ReLU(), nn.Linear(210, 180)), (1, 13, 190)),
    "conv1d": (nn.Conv1d(96, 130, 3, padding=1), (1, 96, 9)),
    "conv2d": (nn.Conv2d(40, 96, 3, stride=2, padding=1), (1, 40, 7, 6)),
    "transposed": (nn.ConvTranspose1d(96, 100, 4, stride=2, padding=1), (1, 96, 5)),
    "attention": (nn.TransformerEncoderLayer(192, 4, 256, batch_first=True), (1, 9, 192)),
}


def narrow_error(layer: nn.Module, x: Tensor, folder: Path, precision: str) -> float:
    policy = Denoiser(lambda m, x, t, o: m(x), layer.eval())
    stages = stages_of(policy, x)
    native.save(stages, folder, precision)
    network = native.open_network(stages, folder)
    network.prepare([0.5])
    network.encode([o[0].numpy() for o in stages.observation])
    with torch.no_grad():
        expected = layer.double()(x.double())[0].numpy()
    layer.float()
    return float(np.abs(network.step(x[0].numpy(), 0) - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("precision", "bound"), [("bfloat16", 8e-3), ("int8", 2.5e-2)])
def test_layers(name: str, precision: str, bound: float, tmp_path: Path) -> None:
    torch.manual_seed(3)
    layer, shape = LAYERS[name]
    error = narrow_error(layer, table(shape), tmp_path, precision)
    assert 1e-5 < error <= bound  # a float32 matrix would be far below
    header = (tmp_path / native.WEIGHTS_FILE).read_bytes()
    text = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
    dtypes = {entry["dtype"] for entry in text.values()}
    assert {"bfloat16": "BF16", "int8": "I8"}[precision] in dtypes


def test_bfloat16_is_what_torch_rounds_to() -> None:
    values = table((4096,)) * torch.logspace(-30, 30, 4096)
    expected = values.to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(bfloat16_bits(values.numpy()), expected)


def test_int8_numbers_are_off_by_half_a_step_at_most() -> None:
    values = table((5, 7, 3)).numpy()
    values[:, 2] = 0
    numbers, scales = int8_numbers(values, 1)
    assert np.abs(numbers * scales[None, :, None] - values).max() <= 0.5001 * scales.max()
    assert np.abs(numbers).max(axis=(0, 2)).tolist() == [127, 127, 0, 127, 127, 127, 127]


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_every_instruction_set_agrees(precision: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    layer, shape = LAYERS["linear of rows"]
    stages = stages_of(Denoiser(lambda m, x, t, o: m(x), layer.eval()), table(shape))
    native.save(stages, tmp_path, precision)
    script = (
        "import sys, numpy as np\n"
        "from vla_rt import _core\n"
        "n = _core.Network(sys.argv[1], 'native', [('o_0', (1,), 'float32')], (13, 190), (13, 180))\n"
        "n.prepare([0.5]); n.encode([np.ones(1)])\n"
        "x = np.random.default_rng(0).normal(size=(13, 190))\n"
        "np.save(sys.argv[2], n.step(x, 0))\n"
    )
    best = SETS.index(_core.best_instruction_set())
    answers = []
    for name in SETS[: best + 1]:
        to = tmp_path / f"{name}.npy"
        environment = os.environ | {"VLA_RT_INSTRUCTION_SET": name}
        subprocess.run([sys.executable, "-c", script, str(tmp_path), str(to)], check=True, env=environment)
        answers.append(np.load(to))
    for answer in answers[1:]:  # a number between two bfloat16 may go to either
        assert np.abs(answer - answers[0]).max() <= 4e-3 * np.abs(answers[0]).max()


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("kind", [TinyPolicy, SmallTokenPolicy])
def test_a_package_says_what_its_precision_costs(kind: type, precision: str, tmp_path: Path) -> None:
    path = vr.export_policy(kind(), tmp_path / "p", precision=precision)
    package = vr.load_policy(path)
    assert package.spec.precision == precision
    assert package.spec.backends == ["native"]
    checks = package.spec.checks
    assert 0 < checks["max_error"] <= checks["max_error_bound"]
    assert checks["native_max_error"] <= 1e-5  # of the float32 form

    document = json.loads((path / "policy.json").read_text())
    for changed in (
        {},
        {"max_error": 0.1},
        {"max_error": 0.3, "max_error_bound": 0.2},
        {"max_error": "small"},
    ):
        (path / "policy.json").write_text(json.dumps(document | {"checks": changed}))
        with pytest.raises(vr.FormatError, match="max_error"):
            vr.load_policy(path)


def test_calibration_is_the_users_own(tmp_path: Path) -> None:
    def export(**arguments: Any) -> dict[str, Any]:
        path = vr.export_policy(TinyPolicy(), tmp_path / "p", precision="bfloat16", **arguments)
        return dict(vr.load_policy(path).spec.checks)

    far = OBSERVATION | {"observation.state": np.array([300.0, -900.0, 700.0])}
    assert export()["max_error_observations"] == 16
    assert export(calibration=[OBSERVATION])["max_error_observations"] == 1
    assert export(calibration=[far], max_error=1e3)["max_error"] > 2 * export()["max_error"]


def test_narrow_numbers_where_no_matrix_is_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(3)
    stages = stages_of(Denoiser(lambda m, x, t, o: m(x), nn.Linear(200, 300)), table((1, 200)))
    native.save(stages, tmp_path, "int8")
    plan = json.loads((tmp_path / native.PLAN_FILE).read_text())
    operation = next(o for o in plan["step"] if o["op"] == "linear")

    def refused(text: str) -> None:
        (tmp_path / native.PLAN_FILE).write_text(json.dumps(plan))
        with pytest.raises(vr.FormatError, match=text):
            native.open_network(stages, tmp_path)

    bias, scale = operation["inputs"][2:]
    operation["inputs"][3] = -1
    refused("inputs/3")
    operation["inputs"][2:] = [operation["inputs"][1], scale]  # bytes for a bias
    refused("must be float32|must have 300 elements")
    operation["inputs"][2:] = [bias, operation["inputs"][0]]
    refused("inputs/3")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_two_threads_give_the_same_bits(precision: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    layers = nn.Sequential(nn.Conv1d(96, 700, 3, padding=1), nn.SiLU(), nn.Conv1d(700, 90, 1))
    stages = stages_of(Denoiser(lambda m, x, t, o: m(x), layers), table((1, 96, 9)))
    native.save(stages, tmp_path, precision)
    features, x = [("o_0", (1,), "float32")], np.random.default_rng(0).normal(size=(96, 9))
    answers = []
    for threads in (1, 2):
        network = _core.Network(tmp_path, "native", features, (96, 9), (90, 9), threads)
        network.prepare([0.5])
        network.encode([np.ones(1)])
        answers += [network.step(x, 0) for _ in range(50)]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])


def test_a_package_takes_one_or_two_threads(tmp_path: Path) -> None:
    path = vr.export_policy(TinyPolicy(), tmp_path / "p")
    chunks = [vr.load_policy(path, threads=n).sample(OBSERVATION) for n in (1, 2)]
    np.testing.assert_array_equal(chunks[0], chunks[1])
    for threads in (0, 3, -1):
        with pytest.raises(vr.ConfigError, match="threads"):
            vr.load_policy(path, threads=threads)
    if "torchscript" in vr.load_policy(path).spec.backends:
        with pytest.raises(vr.ModelError, match="threads"):
            vr.load_policy(path, "torchscript", threads=2)
