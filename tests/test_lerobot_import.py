"""LeRobot checkpoints become packages that act as LeRobot does, or are refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import lerobot_checkpoints as own
import vla_rt as vr
from vla_rt.cli.main import main
from vla_rt.integrations import lerobot
from vla_rt.integrations.lerobot.resnet import FrozenNorm, ResNet

ANSWERS = json.loads(own.ANSWERS.read_text())
BOTH = {"act_image", "diffusion"}


def export(checkpoint: Path, package: Path, *words: str) -> int:
    return main(["export", "--from-lerobot", str(checkpoint), "--out", str(package), *words])


def split(case: dict[str, own.Array]) -> tuple[dict[str, own.Array], dict[str, own.Array]]:
    observation = {k.removeprefix("in/"): v for k, v in case.items() if k.startswith("in/")}
    return observation, {k: v for k, v in case.items() if not k.startswith("in/")}


@pytest.mark.parametrize("name", list(own.RECORDED))
def test_actions_are_those_that_lerobot_answered(tmp_path: Path, name: str) -> None:
    fields, inputs, old = own.RECORDED[name]
    checkpoint = own.write(tmp_path / "checkpoint", fields, inputs, old)
    words = () if name in BOTH else ("--backend", "native")
    assert export(checkpoint, tmp_path / "package", "--fps", "50", *words) == 0
    observation, noises = split(own.case(fields, inputs))
    expected = np.array(ANSWERS[name])
    for backend in ("native", "torchscript") if name in BOTH else ("native",):
        policy = vr.load_policy(tmp_path / "package", backend)
        actions = policy.sample(observation, **noises)
        assert actions.shape == expected.shape
        np.testing.assert_allclose(actions, expected, atol=1e-4 * np.ptp(expected, axis=0).max())
    spec = policy.spec
    assert spec.kind == f"lerobot_{fields['type']}"
    assert spec.n_obs_steps == fields["n_obs_steps"]
    assert spec.first_row == fields["n_obs_steps"] - 1
    assert spec.execution_horizon == fields["n_action_steps"]
    assert spec.period_s == pytest.approx(0.02)

    with pytest.raises(vr.ConfigError, match=r"observation\.state"):
        policy.sample({k: v for k, v in observation.items() if k != "observation.state"})
    with pytest.raises(vr.ConfigError, match=r"observation\.state.*shape"):
        policy.sample({**observation, "observation.state": np.zeros((7, 7))})
    with pytest.raises(vr.ConfigError, match=r"observation\.state\[1\]"):
        policy.sample(
            {**observation, "observation.state": observation["observation.state"] * [1, np.nan, 1, 1, 1]}
        )
    if name == "act_image":
        bytes_ = np.round(observation["observation.images.top"] * 255).astype(np.uint8)
        floats = policy.sample({**observation, "observation.images.top": bytes_.astype(np.float32) / 255})
        same = policy.sample({**observation, "observation.images.top": bytes_.transpose(1, 2, 0)})
        np.testing.assert_allclose(same, floats, atol=1e-6)


def test_a_type_without_a_mode_is_left_alone_and_names_are_those_that_the_robot_sends(tmp_path: Path) -> None:
    checkpoint = own.write(tmp_path, own.ACT)
    file = tmp_path / "policy_preprocessor.json"
    steps = json.loads(file.read_text())
    steps["steps"][0]["config"]["rename_map"] = {"joints": "observation.state", "unused": "other"}
    file.write_text(json.dumps(steps))
    policy = lerobot.load_checkpoint(checkpoint)
    assert [name for name, _, _ in policy.config.observation] == ["joints", "observation.environment_state"]
    assert policy.normalizers["joints"].mode == "mean_std"
    assert policy.normalizers["observation.environment_state"].mode == "identity"
    known = own.statistics("action", {"type": "ACTION", "shape": [4]})
    raw = policy.normalizers["action"].denormalize(np.zeros((1, 4)))
    np.testing.assert_allclose(raw[0], known["mean"], rtol=1e-6)


def test_frozen_norms_fold_into_convolutions() -> None:
    torch.manual_seed(0)
    net = ResNet("resnet18", FrozenNorm).requires_grad_(False)
    for name, buffer in net.named_buffers():
        buffer.copy_(
            torch.rand_like(buffer) + 0.5 if name.endswith("var") else torch.randn_like(buffer) * 0.3
        )
    image = torch.rand(1, 3, 40, 40)
    before = net(image)
    net.fold()
    assert not any(isinstance(module, FrozenNorm) for module in net.modules())
    torch.testing.assert_close(net(image), before, rtol=1e-4, atol=1e-4 * float(before.abs().max()))


def changed(file: str, path: tuple[Any, ...], value: Any) -> Any:
    """Sets, or with `...` removes, one entry of a JSON file of the checkpoint."""

    def change(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        target = content
        for key in path[:-1]:
            target = target[key]
        if value is ...:
            del target[path[-1]]
        else:
            target[path[-1]] = value
        (folder / file).write_text(json.dumps(content))

    return change


def tensor(name: str, value: Any, file: str = "model.safetensors") -> Any:
    def change(folder: Path) -> None:
        tensors = load_file(folder / file)
        if value is ...:
            del tensors[name]
        else:
            tensors[name] = value(tensors.get(name))
        save_file(tensors, folder / file)

    return change


def nan_at_one(x: own.Array) -> own.Array:
    x = x.copy()
    x[1] = np.nan
    return x


PRE, POST = "policy_preprocessor.json", "policy_postprocessor.json"
STATS = "policy_preprocessor_step_3_normalizer_processor.safetensors"
REFUSED: list[tuple[str, Any, str]] = [
    ("no config", lambda f: (f / "config.json").unlink(), "config.json: is missing"),
    ("no JSON", lambda f: (f / "config.json").write_text("{"), "config.json: cannot be read"),
    ("no object", lambda f: (f / "config.json").write_text("[1]"), "must be an object"),
    ("no weights", lambda f: (f / "model.safetensors").unlink(), "model.safetensors: is missing"),
    ("cut weights", lambda f: (f / "model.safetensors").write_bytes(b"\x10" * 9), "cannot be read"),
    (
        "pickle",
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "model.safetensors: is missing",
    ),
    ("other type", changed("config.json", ("type",), "smolvla"), '"smolvla": cannot be imported'),
    ("no type", changed("config.json", ("type",), ...), "#/type: is missing"),
    ("chunk", changed("config.json", ("chunk_size",), 300), "chunk_size = 300: must be at most 256"),
    ("a word", changed("config.json", ("dim_model",), "16"), '#/dim_model = "16": must be a whole number'),
    ("heads", changed("config.json", ("n_heads",), 3), "multiple of 4 and of n_heads"),
    (
        "steps",
        changed("config.json", ("n_action_steps",), 7),
        "n_action_steps = 7: must be a whole number in 1..6",
    ),
    ("glu", changed("config.json", ("feedforward_activation",), "glu"), "must be relu or gelu"),
    ("history", changed("config.json", ("n_obs_steps",), 2), "n_obs_steps = 2"),
    ("no inputs", changed("config.json", ("input_features",), {}), "needs an image or an environment state"),
    (
        "image",
        changed("config.json", ("input_features", "eye"), {"type": "VISUAL", "shape": [1, 8, 8]}),
        "(3, H, W)",
    ),
    ("no action", changed("config.json", ("output_features",), {}), "output_features/action: is missing"),
    ("actions", changed("config.json", ("output_features", "action", "shape"), [5]), "5 values|must be 5"),
    ("missing", tensor("model.action_head.bias", ...), "action_head.bias: is missing"),
    ("shape", tensor("model.action_head.bias", lambda x: x[:2].copy()), "shape (2,): must have shape (4,)"),
    (
        "unknown",
        tensor("model.extra", lambda x: np.zeros(2)),
        "model.safetensors: extra: belongs to no layer",
    ),
    ("stranger", tensor("extra", lambda x: np.zeros(2)), "extra: is no tensor of a policy of type act"),
    ("weight NaN", tensor("model.action_head.bias", nan_at_one), "action_head.bias: holds a number"),
    (
        "mode",
        changed(PRE, ("steps", 3, "config", "norm_map", "STATE"), "ZCA"),
        '/STATE = "ZCA": must be IDENTITY',
    ),
    ("eps", changed(PRE, ("steps", 3, "config", "eps"), 1e-3), "eps = 0.001: must be 1e-08"),
    (
        "step",
        changed(PRE, ("steps", 1, "registry_name"), "tokenizer_processor"),
        "what a policy package cannot hold",
    ),
    ("post step", changed(POST, ("steps", 1, "registry_name"), "delta"), "steps/1/registry_name"),
    ("no post", lambda f: (f / POST).unlink(), "policy_postprocessor.json: is missing"),
    ("outside", changed(PRE, ("steps", 3, "state_file"), "../x"), "must be a file beside it"),
    (
        "no statistics",
        tensor("observation.state.std", ..., STATS),
        "observation.state.std: is missing; MEAN_STD",
    ),
    ("statistics", tensor("observation.state.std", lambda x: x[:2].copy(), STATS), "2 values: must be 5"),
    ("std", tensor("observation.state.std", lambda x: -np.ones(5), STATS), "observation.state.std[0]"),
    ("NaN", tensor("observation.state.mean", nan_at_one, STATS), "observation.state.mean[1]"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own.write(tmp_path_factory.mktemp("whole"), own.ACT)


@pytest.mark.parametrize(
    ("change", "text"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_cannot_be_imported_is_refused_in_one_line(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, text: str
) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for file in whole.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    change(folder)
    assert export(folder, tmp_path / "package") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("vla-rt export: ")
    assert any(part in said for part in text.split("|")), said
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("horizon", 9, "must be a multiple of 2"),
        ("kernel_size", 4, "must be odd"),
        ("down_dims", [8, 18], "multiples of n_groups"),
        ("down_dims", [12, 16], "must begin with a multiple of 8"),
        ("diffusion_step_embed_dim", 7, "must be even"),
        ("num_inference_steps", 21, "1..20"),
        ("noise_scheduler_type", "Euler", "must be DDPM or DDIM"),
        ("beta_schedule", "sigmoid", "must be linear or"),
        ("prediction_type", "v_prediction", "must be epsilon or sample"),
        ("n_action_steps", 8, "1..7"),
    ],
)
def test_bounds_of_a_diffusion_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, value: Any, text: str
) -> None:
    folder = own.write(tmp_path / "checkpoint", {**own.DIFFUSION, field: value}, shapes={})
    assert export(folder, tmp_path / "package") == 2
    said = capsys.readouterr().err
    assert f"config.json#/{field}" in said
    assert text in said


def test_a_folder_that_is_no_package_stays(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "package" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    assert export(whole, precious.parent) == 2
    assert "is not a policy package" in capsys.readouterr().err
    assert precious.read_text() == "years of work"
    with pytest.raises(vr.ConfigError, match="fps"):
        lerobot.load_checkpoint(whole, fps=0)
    with pytest.raises(vr.FormatError, match="is no folder"):
        lerobot.load_checkpoint(tmp_path / "nowhere")


def test_nothing_of_lerobot_is_loaded() -> None:
    script = "import sys, vla_rt.integrations.lerobot; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert not loaded & {"lerobot", "torchvision", "einops", "diffusers", "transformers", "tyro"}
