"""The nodes' topics against DDS of a second vendor: Fast DDS reads what the bridge sends, and is read by it.

apt-get install --no-install-recommends libfastrtps-dev libfastcdr-dev fastddsgen
python -m pytest tests/prove/test_fastdds.py -s
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run

pytest.importorskip("cyclonedds", reason="pip install 'vla-rt[ros2]'")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dds_arm import LIMITS, LOOPBACK, NAMES, ONE
from vla_rt.integrations import ros2
from vla_rt.integrations.ros2.dds_bridge import DdsBridge

SOURCES = Path(__file__).parent / "fastdds"
DOMAIN, SECONDS = 79, 6


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("fastddsgen") is None or not Path("/usr/include/fastdds").is_dir():
        pytest.skip("apt-get install libfastrtps-dev libfastcdr-dev fastddsgen")
    folder = tmp_path_factory.mktemp("fastdds")
    shutil.copy(SOURCES / "messages.idl", folder)
    run("fastddsgen", "-replace", "messages.idl", cwd=folder)
    sources = [SOURCES / "peer.cpp", *sorted(folder.glob("*.cxx"))]
    run("g++", "-std=c++17", "-O0", "-I", folder, *sources, "-o", folder / "peer",
        "-lfastrtps", "-lfastcdr", "-lpthread", cwd=folder)  # fmt: skip
    return folder / "peer"


def test_fast_dds_reads_what_is_sent_and_is_read(peer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLONEDDS_URI", LOOPBACK)
    rows = np.linspace(0, 0.5, 8)[:, None] * ONE
    answers: dict[ros2.TaskKind, Any] = {
        ros2.TaskKind.GRASPING: np.array([0.1, 0.2, 0.3]),
        ros2.TaskKind.MANIPULATION: np.array([0.4, 0, 0, 0, 0, 1.0, 0]),
        ros2.TaskKind.NAVIGATION: np.array([0.25, 0, 0, 0, 0, -0.5]),
    }
    timeouts = {"image_timeout_s": 2.0, "joints_timeout_s": 1.0}
    policy = ros2.PolicyNode(
        lambda values: values["joints"] + rows, ros2.PolicyNodeConfig(NAMES, LIMITS, **timeouts)
    )
    task = ros2.TaskNode(
        lambda values, kind: answers[kind], ros2.TaskNodeConfig(NAMES, LIMITS, rate_hz=50.0, **timeouts)
    )
    seen: list[float] = []
    take = policy.inputs.set_joints

    def watched(state: ros2.JointState) -> None:
        seen.append(state.position[0])
        take(state)

    monkeypatch.setattr(policy.inputs, "set_joints", watched)
    bridges = [DdsBridge(policy, domain_id=DOMAIN), DdsBridge(task, domain_id=DOMAIN)]
    with subprocess.Popen([peer, str(DOMAIN), str(SECONDS)], stdout=subprocess.PIPE, text=True) as process:
        threads = [
            threading.Thread(target=bridge.run, args=(50.0, lambda: process.poll() is None))
            for bridge in bridges
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert process.stdout is not None
        printed = process.stdout.read()
    assert process.returncode == 0
    said = json.loads(printed)
    print({key: said[key] for key in ("sent", "trajectories", "twists", "poses", "joint_commands")})
    assert said["sent"] == 1000 * SECONDS
    np.testing.assert_allclose(seen, 1e-6 * np.arange(1000 * SECONDS), atol=1e-12)  # nothing lost, in order
    for bridge in bridges:
        assert bridge.counts.refused == bridge.counts.unsent == bridge.counts.unread == 0
    wanted = 0.5 * 50 * SECONDS
    assert said["trajectories"] >= wanted
    assert said["twists"] >= wanted
    assert said["poses"] >= wanted / 6
    assert said["joint_commands"] >= wanted / 2
    np.testing.assert_allclose(said["positions"], 0.5, atol=0.01)
    assert len(said["accelerations"]) == 3
    assert said["time_from_start"] == pytest.approx(0.7)
    assert said["joint"] == "c"
    assert said["stamp"] > 1_500_000_000  # the system's clock, as ROS 2 stamps
    np.testing.assert_allclose(said["twist"], (0.25, -0.5))
    np.testing.assert_allclose(said["pose"], (0.4, 1.0, 0.0))
    np.testing.assert_allclose(said["command"], (0.1, 0.2, 0.3), atol=1e-3)
