import json
from pathlib import Path

import pytest

import vla_rt as vr
from vla_rt import _core
from vla_rt.cli import main

SPEC = {
    "schema_version": 1,
    "kind": "flow_matching",
    "horizon": 4,
    "action_dim": 2,
    "execution_horizon": 2,
    "n_obs_steps": 1,
    "first_row": 0,
    "period_s": 0.05,
    "precision": "float32",
    "device": "cpu",
    "observation": [
        {
            "name": "observation.state",
            "kind": "state",
            "dtype": "float32",
            "shape": [3],
            "normalizer": {"mode": "identity", "convention": "lerobot"},
        }
    ],
    "action_normalizer": {"mode": "min_max", "convention": "lerobot", "min": [0, 0], "max": [1, 2]},
    "action_space": {"type": "continuous", "lower": [0, 0], "upper": [1, 2]},
    "sampler": {"type": "flow_matching", "num_steps": 10, "solver": "euler", "noise_at": 1},
    "tokenizer": None,
    "backends": ["tensorrt"],
    "files": {
        "model.safetensors": {"bytes": 4, "crc32": "9be3e0a3"},
        "plan.json": {"bytes": 2, "crc32": "a3a6bf43"},
    },
    "checks": {"torch": "2.13.0"},
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "policy.json").write_text(json.dumps(SPEC))
    (tmp_path / "model.safetensors").write_bytes(b"1234")
    (tmp_path / "plan.json").write_bytes(b"{}")
    return tmp_path


def test_inspect_prints_and_writes(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = package / "out.json"
    assert main.main(["inspect", str(package), "--json", str(file)]) == 0
    text = capsys.readouterr().out
    for word in ("flow_matching", "observation.state", "min_max", "noise_at 1", "cannot run here", "2.13.0"):
        assert word in text
    found = json.loads(file.read_text())
    assert found["spec"] == SPEC
    assert found["runnable"] == []
    assert found["bytes"] == 6 + (package / "policy.json").stat().st_size


def test_inspect_of_something_else_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["inspect", str(tmp_path)]) == main.EXIT_ERROR
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "not a policy package" in error


@pytest.mark.parametrize("space", ["null", "discrete", "hybrid"])
def test_every_action_space_is_shown(package: Path, space: str, capsys: pytest.CaptureFixture[str]) -> None:
    spaces = {
        "null": (None, 2, "not named"),
        "discrete": ({"type": "discrete", "num_actions": 20}, 1, "20 actions"),
        "hybrid": (_core.action_space_dict(vr.HybridActionSpace(skills={"wave": None})), None, "wave"),
    }
    stored, dimension, word = spaces[space]
    spec = SPEC | {"action_space": stored, "action_normalizer": {"mode": "identity", "convention": "lerobot"}}
    spec["action_dim"] = dimension or vr.HybridActionSpace(skills={"wave": None}).dimension
    (package / "policy.json").write_text(json.dumps(spec))
    assert main.main(["inspect", str(package)]) == 0
    assert word in capsys.readouterr().out
