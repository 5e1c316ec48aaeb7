"""The real LeRobot, in an environment of its own, against packages imported from its checkpoints."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from commands import run

import vla_rt as vr
from vla_rt.cli.main import main

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import lerobot_checkpoints as own

REFERENCE = Path(__file__).parent / "lerobot" / "reference.py"
CASES = sorted(
    line.split('"')[1]
    for line in REFERENCE.read_text().splitlines()
    if line.startswith(('    "act_', '    "diff'))
)
TOLERANCE = 1e-4


@pytest.fixture(scope="session")
def checkpoints(lerobot_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    run(lerobot_python, REFERENCE, "make", folder)
    return folder


@pytest.mark.parametrize("backend", ["native", "torchscript"])
@pytest.mark.parametrize("name", CASES)
def test_actions_are_those_of_lerobot(checkpoints: Path, tmp_path: Path, name: str, backend: str) -> None:
    package = tmp_path / "package"
    words = ["export", "--from-lerobot", checkpoints / name, "--out", package, "--backend", backend]
    assert main([str(word) for word in words]) == 0
    policy = vr.load_policy(package)
    assert policy.backend == backend

    case = np.load(checkpoints / name / "case.npz")
    observation = {key.removeprefix("in/"): case[key] for key in case.files if key.startswith("in/")}
    noise = {key: case[key] for key in ("noise", "step_noise") if key in case.files}
    actions, expected = policy.sample(observation, **noise), case["actions"]
    assert actions.shape == expected.shape
    spread = np.ptp(expected, axis=0).max()
    assert np.abs(actions - expected).max() <= TOLERANCE * spread

    other = {key: value + 0.05 for key, value in observation.items()}
    assert np.abs(policy.sample(other, **noise) - expected).max() > TOLERANCE * spread


def test_the_recorded_answers_are_those_of_lerobot(lerobot_python: str, tmp_path: Path) -> None:
    """Those that `tests/test_lerobot_import.py` compares with; VLA_RT_RECORD=1 writes them."""
    for name, (fields, inputs, old) in own.RECORDED.items():
        own.write(tmp_path / name, fields, inputs, old)
        np.savez(tmp_path / name / "case.npz", **own.case(fields, inputs))
    run(lerobot_python, REFERENCE, "answer", tmp_path)
    answers = {name: np.load(tmp_path / name / "case.npz")["actions"] for name in own.RECORDED}
    if os.environ.get("VLA_RT_RECORD"):
        text = json.dumps({k: np.round(v.astype(float), 7).tolist() for k, v in answers.items()})
        own.ANSWERS.write_text(text + "\n")
    for name, recorded in json.loads(own.ANSWERS.read_text()).items():
        np.testing.assert_allclose(answers[name], recorded, atol=1e-5)


@pytest.fixture(scope="module")
def live(lerobot_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What came of LeRobot's policy objects, with vla_rt in their environment."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "backbone").mkdir()
    run(lerobot_python, REFERENCE.with_name("live_reference.py"), sysconfig.get_path("platlib"), folder)
    return folder


@pytest.mark.parametrize("name", ["smolvla", "smolvla_told"])
def test_smolvla_is_exported_in_two_stages(live: Path, name: str) -> None:
    package, case = vr.load_policy(live / name), np.load(live / "smolvla.npz")
    spec = package.spec
    assert (spec.kind, spec.action_dim, spec.generated_dim) == ("lerobot_smolvla", 4, 7)
    assert spec.backends == [
        "torchscript"
    ]  # the native engine lacks an operator of the backbone, and says which
    assert name == "smolvla_told" or "has no operator" in str(spec.checks["native"])
    assert spec.checks["step_operators"] < spec.checks["network_operators"] / 2
    given = {key: case[key] for key in case.files if key.startswith("observation")}
    if name == "smolvla_told":
        told, length = np.zeros((2, 8), np.int64), len(case["tokens"])
        told[0, :length], told[1, :length] = case["tokens"], 1
        given |= {"observation.language.tokens": told[0], "observation.language.attention_mask": told[1]}
    actions, expected = package.sample(given, noise=case["noise"]), case["actions"]
    spread = np.ptp(expected, axis=0).max()
    assert np.abs(actions - expected).max() <= TOLERANCE * spread
    given["observation.state"] = given["observation.state"] + 0.5
    assert np.abs(package.sample(given, noise=case["noise"]) - expected).max() > TOLERANCE * spread


@pytest.mark.parametrize("name", ["act", "diffusion", "smolvla"])
def test_lerobots_objects_run_in_the_loop(live: Path, name: str) -> None:
    said = json.loads((live / "live.json").read_text())[name]
    assert said["chunks"] >= 2, said
    assert said["failures"] == said["refused"] == said["violations"] == 0, said
    assert said["moved"] > 0.01
    if name == "act":
        assert said["difference"] < 1e-6
        assert said["exported_difference"] <= TOLERANCE
