"""openpi's own client, in an environment of its own, against messages and server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import run

import vla_rt as vr
from vla_rt.integrations import openpi

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from exportable import OBSERVATION, TinyPolicy
from openpi_fixtures import RECORDED, VALUES

REFERENCE = Path(__file__).parent / "openpi" / "reference.py"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with openpi-client, whose bound on numpy is an old one."""
    venv = tmp_path_factory.mktemp("openpi")
    run(sys.executable, "-m", "venv", venv)
    run(venv / "bin/pip", "install", "-q", "--no-deps", "openpi-client==0.1.2")
    run(venv / "bin/pip", "install", "-q", "numpy", "msgpack", "websockets", "typing-extensions")
    return venv / "bin/python"


def test_bytes_are_those_of_openpi(client: Path) -> None:
    """The recorded ones too; VLA_RT_RECORD=1 writes them."""
    theirs = json.loads(run(client, REFERENCE, "bytes"))
    if os.environ.get("VLA_RT_RECORD"):
        RECORDED.write_text(json.dumps(theirs, indent=0) + "\n")
    assert {name: openpi.pack({"value": value}).hex() for name, value in VALUES.items()} == theirs
    assert json.loads(RECORDED.read_text()) == theirs


@pytest.mark.parametrize("token", [None, "secret"])
def test_openpis_client_is_served(client: Path, tmp_path: Path, token: str | None) -> None:
    package = vr.export_policy(TinyPolicy(), tmp_path / "tiny", backends="native")
    policy = vr.load_policy(package)
    host = "127.0.0.1" if token is None else "0.0.0.0"
    with openpi.PolicyServer(policy, host, 0, token, seed=5) as server:
        said = json.loads(run(client, REFERENCE, "ask", str(server.port), *([token] if token else [])))
        for i, actions in enumerate(said["actions"]):
            np.testing.assert_array_equal(actions, policy.sample(OBSERVATION, seed=5 + i))
        assert said["metadata"]["vla_rt"]["action_dim"] == 2
        assert said["timing"] == [["infer_ms"], ["infer_ms", "prev_total_ms"]]
        assert "the observation has no such feature" in said["refusal"]
