"""Recordings from Python: runs replay bit by bit, files are hostile input; tests and MCAP come of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.cli import main

HOME = [0, -0.3, 0, -2.2, 0, 2.0, 0.8]


def noisy_policy(seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)

    def policy(observation: dict[str, np.ndarray]) -> np.ndarray:
        ramp = np.linspace(0, 0.2, 16)[:, None]
        return observation["observation.state"] + ramp + rng.normal(0, 0.002, size=(16, 7))

    return policy


def fly(path: Path, duration_s: float = 0.6, **options: Any) -> vr.RunReport:
    robot = vr.robots.SimulatedRobot(vr.robots.panda_limits(), position=HOME)
    given = {"chunk_period_s": 0.05, "inference_rate_hz": 10, "lock_memory": False, "mode": "async"}
    return vr.ControlLoop(robot, noisy_policy(), vr.ControlConfig(record=path, **(given | options))).run(
        duration_s
    )


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flight") / "run.flight"
    report = fly(path)
    assert report.unrecorded == 0
    assert vr.FlightRecording(path).num_ticks == report.ticks
    return path


@pytest.mark.parametrize("mode", ["receding", "ensemble", "rtc"])
def test_a_run_replays_bit_by_bit(mode: str, tmp_path: Path) -> None:
    report = fly(tmp_path / "run", 0.4, mode=mode, smoothing_s=0.005)
    replayed = vr.FlightRecording(tmp_path / "run").replay()
    assert replayed["difference"] is None
    assert replayed["enforcer_ticks"] == replayed["executor_ticks"] == report.ticks


def test_the_columns_are_the_reports(flight: Path) -> None:
    recording = vr.FlightRecording(flight)
    ticks = recording.ticks()
    assert (np.diff(ticks["tick"]) == 1).all()
    assert ticks["command_position"].shape == (recording.num_ticks, 7)
    np.testing.assert_allclose(ticks["measured_position"][0], HOME)
    assert not ticks["command_velocity"][-1].any()
    chunk = recording.chunks()[0]
    assert chunk["actions"].shape == (16, 7)
    assert chunk["result"] == "accepted"
    assert recording.num_chunks == len(recording.chunks()) >= 4


def test_a_run_with_walls_or_tool_actions_says_what_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "walls"
    (tmp_path / "panda.urdf").write_text(vr.robots.panda_urdf())
    kinematics = vr.Kinematics.from_urdf(str(tmp_path / "panda.urdf"), tip="panda_link7")
    room = vr.Workspace([-2, -2, -2], [2, 2, 2])
    fly(path, 0.3, kinematics=kinematics, workspace=room)
    recording = vr.FlightRecording(path)
    assert recording.has_surroundings
    replayed = recording.replay()
    assert replayed["difference"] is None
    assert replayed["enforcer_ticks"] == 0
    assert replayed["executor_ticks"] == recording.num_ticks


def test_the_command_replays_and_writes_its_result(flight: Path, tmp_path: Path, capsys: Any) -> None:
    assert main.main(["replay", str(flight), "--json", str(tmp_path / "r.json")]) == 0
    assert "bit-exact" in capsys.readouterr().out
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["difference"] is None
    assert result["ticks"] == result["enforcer_ticks"] > 500


def test_a_recording_becomes_a_regression_test(flight: Path, tmp_path: Path, capsys: Any) -> None:
    assert main.main(["replay", str(flight), "--save-test", str(tmp_path / "runs")]) == 0
    test = tmp_path / "runs" / "test_run.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout
    assert main.main(["replay", str(flight), "--save-test", str(tmp_path / "runs")]) == 2
    assert "is there already" in capsys.readouterr().err

    # What it is there for: a recording that another enforcer would have made fails it.
    recording = tmp_path / "runs" / "run.flight"
    recording.write_bytes(changed(recording.read_bytes()))
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert main.main(["replay", str(recording)]) == 1
    assert "first difference at tick" in capsys.readouterr().out


def changed(data: bytes) -> bytes:
    """The recording with the last bit of one number of a command flipped, its checksum mended."""
    import struct
    import zlib

    at = 8
    seen = 0
    while True:
        length, kind, _ = struct.unpack_from("<III", data, at)
        seen += kind == 2
        if seen == 300:
            break
        at += 12 + length
    payload = bytearray(data[at + 12 : at + 12 + length])
    payload[88 + 8 * (4 * 7 + 2)] ^= 1  # command_position[2]
    crc = zlib.crc32(payload, zlib.crc32(struct.pack("<I", kind)))
    return data[:at] + struct.pack("<III", length, kind, crc) + bytes(payload) + data[at + 12 + length :]


@pytest.mark.parametrize("content", [b"", b"VLARTFR1", b"VLARTFR2" + bytes(100), bytes(1000)])
def test_files_that_are_no_recording_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(vr.FormatError):
        vr.FlightRecording(tmp_path / "x")
    assert main.main(["replay", str(tmp_path / "x")]) == 2


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(vr.ConfigError, match="cannot be read"):
        vr.FlightRecording(tmp_path / "x")
    with pytest.raises(vr.ConfigError, match="cannot be written"):
        fly(tmp_path / "nowhere" / "x")
    with pytest.raises(vr.ConfigError, match="record_max_mb"):
        fly(tmp_path / "x", record_max_mb=0.5)
