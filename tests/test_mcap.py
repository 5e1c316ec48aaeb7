"""Runs as MCAP files, read back by the mcap library: they say what happened, live as from recordings."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.cli import main
from vla_rt.foxglove_messages import png
from vla_rt.mcap_log import LogView, write_mcap

pytest.importorskip("mcap", reason="the extra `mcap` is not installed")
from mcap.reader import make_reader

HOME = np.array([0, -0.3, 0, -2.2, 0, 2.0, 0.8])
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
Messages = dict[str, list[tuple[int, dict[str, Any]]]]


def arm() -> vr.Kinematics:
    urdf = Path(__file__).with_name("_panda.urdf")
    urdf.write_text(vr.robots.panda_urdf())
    try:
        return vr.Kinematics.from_urdf(str(urdf), tip="panda_link7")
    finally:
        urdf.unlink()


def fly(duration_s: float = 0.6, **options: Any) -> vr.RunReport:
    robot = vr.robots.SimulatedRobot(vr.robots.panda_limits(), position=HOME)
    robot.post_feature("observation.image", PICTURE)
    rng = np.random.default_rng(0)

    def policy(observation: dict[str, np.ndarray]) -> np.ndarray:
        ramp = np.linspace(0, 0.3, 16)[:, None]
        return observation["observation.state"] + ramp + rng.normal(0, 0.004, size=(16, 7))

    given = {"chunk_period_s": 0.05, "inference_rate_hz": 10, "lock_memory": False, "mode": "async"}
    return vr.ControlLoop(robot, policy, vr.ControlConfig(**(given | options))).run(duration_s)


def read(path: Path) -> Messages:
    """Every message by topic, checked on the way: order, declared fields and their types."""
    found: Messages = {}
    times = []
    with path.open("rb") as stream:
        for schema, channel, message in make_reader(stream, validate_crcs=True).iter_messages():
            assert (schema.encoding, channel.message_encoding) == ("jsonschema", "json")
            content = json.loads(message.data)
            complain(content, json.loads(schema.data), channel.topic)
            found.setdefault(channel.topic, []).append((message.publish_time, content))
            times.append(message.log_time)
    assert times == sorted(times)
    return found


def complain(value: Any, schema: dict[str, Any], where: str) -> None:
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    kind = schema["type"]
    assert isinstance(value, kinds.get(kind, (int, float))), (where, value)
    if kind == "object":
        assert set(value) <= set(schema["properties"]), where
        for name, part in value.items():
            complain(part, schema["properties"][name], f"{where}.{name}")
    elif kind == "array":
        for part in value:
            complain(part, schema["items"], f"{where}[]")


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Messages, vr.RunReport]:
    """A recording, what was logged of it live, and its report."""
    folder = tmp_path_factory.mktemp("flight")
    report = fly(
        record=folder / "run.flight",
        mcap=folder / "live.mcap",
        mcap_rate_hz=None,
        kinematics=arm(),
        action_space="joint_position",
    )
    assert report.mcap is not None
    assert report.mcap["error"] is None
    messages = read(folder / "live.mcap")
    assert sum(map(len, messages.values())) == report.mcap["messages"]
    return folder / "run.flight", messages, report


def test_every_tick_chunk_and_picture_is_there(flight: tuple[Path, Messages, vr.RunReport]) -> None:
    path, live, report = flight
    recording = vr.FlightRecording(path)
    ticks, chunks = recording.ticks(), recording.chunks()
    assert len(ticks["tick"]) == report.ticks
    for topic, column in (("measured", "measured_position"), ("command", "command_position")):
        rows = [[joint["position"] for joint in m["joints"]] for _, m in live[f"/joints/{topic}"]]
        np.testing.assert_array_equal(rows, ticks[column])
    assert [joint["name"] for joint in live["/joints/command"][0][1]["joints"]] == arm().joint_names
    assert [m["actions"] for _, m in live["/chunk"]] == [chunk["actions"].tolist() for chunk in chunks]
    assert [m["wakeup_us"] for _, m in live["/tick"]] == (ticks["wakeup_ns"] / 1e3).tolist()
    share = np.array([m["velocity_share"] for _, m in live["/tick"]])
    np.testing.assert_allclose(share, ticks["command_velocity"] / report.limits["max_velocity"])
    assert live["/limits"][0][1]["max_jerk"] == report.limits["max_jerk"].tolist()
    assert len(live["/camera/image"]) == recording.num_pictures == len(chunks)


def test_seams_and_violations_are_those_of_the_run(
    flight: tuple[Path, Messages, vr.RunReport], tmp_path: Path
) -> None:
    _, live, report = flight
    assert len(live["/seam"]) == len(report.seams["time_s"]) > 2
    for (_, seam), row in zip(live["/seam"], report.seams["position"], strict=True):
        np.testing.assert_array_equal(seam["position"], row)
    told = [(m["name"], m["message"]) for _, m in live["/violations"]]
    assert len(told) > 10
    assert {re.match(r"(\w+): wanted \S+, given \S+$", text)[1] for _, text in told} <= set(
        report.limited_ticks
    )  # type: ignore[index]


def test_violations_are_those_of_the_violation_log(tmp_path: Path) -> None:
    fly(0.3, mcap=tmp_path / "run.mcap", violation_log=tmp_path / "wishes.jsonl")
    lines = (tmp_path / "wishes.jsonl").read_text().splitlines()
    wishes = [json.loads(line, parse_int=float) for line in lines]  # "-0" is a float
    told = [m["message"] for _, m in read(tmp_path / "run.mcap")["/violations"]]
    assert told == [f"{w['cause']}: wanted {w['wanted']:.6g}, given {w['given']:.6g}" for w in wishes]
    assert [file.name for file in tmp_path.iterdir() if "flight" in file.name] == []  # nobody asked for one


def test_a_recording_says_afterwards_what_was_logged_live(
    flight: tuple[Path, Messages, vr.RunReport], tmp_path: Path
) -> None:
    path, live, _ = flight
    out = tmp_path / "run.mcap"
    write_mcap(path, out, LogView(kinematics=arm()))
    again = read(out)
    assert again.keys() == live.keys()
    for topic, messages in live.items():
        assert again[topic] == messages, topic


def test_chunks_lead_the_tool_as_its_kinematics_say(
    flight: tuple[Path, Messages, vr.RunReport],
) -> None:
    path, live, _ = flight
    kinematics = arm()
    for (at, update), chunk in zip(live["/chunk/path"], vr.FlightRecording(path).chunks(), strict=True):
        [entity] = update["entities"]
        assert entity["timestamp"] == {"sec": at // 10**9, "nsec": at % 10**9}
        points = [[point[axis] for axis in "xyz"] for point in entity["lines"][0]["points"]]
        expected = [kinematics.forward(row)[:3, 3] for row in chunk["actions"]]
        np.testing.assert_allclose(points, expected, atol=1e-12)
        assert len(entity["lines"][0]["colors"]) == len(points)
    [transform] = live["/tf"][0][1]["transforms"]
    rotation = [transform["rotation"][axis] for axis in "xyzw"]
    pose = kinematics.forward(HOME)
    np.testing.assert_allclose(vr.rotations.quaternion_to_matrix(rotation), pose[:3, :3], atol=1e-6)


def test_times_are_of_the_wall_clock(flight: tuple[Path, Messages, vr.RunReport]) -> None:
    path, live, report = flight
    ended = path.stat().st_mtime_ns
    first, last = live["/tick"][0][0], live["/tick"][-1][0]
    assert -5e7 <= ended - last < 5e9  # the clock of files is a coarse one
    assert last - first == pytest.approx(1e9 * report.duration_s, abs=5e6)


def test_the_camera_shows_what_the_policy_saw(flight: tuple[Path, Messages, vr.RunReport]) -> None:
    pillow = pytest.importorskip("PIL.Image")
    _, live, _ = flight
    message = live["/camera/image"][-1][1]
    assert message["format"] == "png"
    shown = np.asarray(pillow.open(io.BytesIO(base64.b64decode(message["data"]))))
    np.testing.assert_array_equal(shown, PICTURE)
    one = np.zeros((1, 1, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(pillow.open(io.BytesIO(png(one)))), one)


def test_at_a_lower_rate_latencies_are_the_largest_between(
    flight: tuple[Path, Messages, vr.RunReport], tmp_path: Path
) -> None:
    path, _, report = flight
    assert main.main(["replay", str(path), "--mcap", str(tmp_path / "x.mcap"), "--mcap-rate", "50"]) == 0
    found = read(tmp_path / "x.mcap")
    assert len(found["/tick"]) == pytest.approx(50 * report.duration_s, abs=2)
    worst = max(m["compute_us"] for _, m in found["/tick"])
    ticks = vr.FlightRecording(path).ticks()
    shown = ticks["tick"] <= found["/tick"][-1][1]["tick"]
    assert worst == ticks["compute_ns"][shown].max() / 1e3
    assert "/tf" not in found  # nobody said where the joints are


def test_a_run_is_logged_through_rotations_of_its_recording(tmp_path: Path) -> None:
    report = fly(
        1.6, record=tmp_path / "run.flight", record_max_mb=1, mcap=tmp_path / "x.mcap", mcap_rate_hz=None
    )
    assert vr.FlightRecording(tmp_path / "run.flight").part >= 1
    assert report.unrecorded == 0
    assert [m["tick"] for _, m in read(tmp_path / "x.mcap")["/tick"]] == list(range(report.ticks))


def test_a_growing_recording_is_followed_record_by_record(
    flight: tuple[Path, Messages, vr.RunReport], tmp_path: Path
) -> None:
    path, _, report = flight
    data = path.read_bytes()
    grown = tmp_path / "run.flight"
    follower = vr.FlightFollower(grown)
    assert follower.read() is None
    seen = []
    for end in [*range(0, len(data), 7919), len(data)]:
        grown.write_bytes(data[:end])
        part = follower.read()
        if part is not None:
            seen += part["ticks"]["tick"].tolist()
    assert seen == list(range(len(seen)))
    times = vr.FlightRecording(grown).ticks()["time_ns"]
    assert len(seen) == (times <= times[-1] - 200_000_000).sum()  # the newest 0.2 s may still lack a chunk
    part = follower.read(is_over=True)
    while part["has_more"]:
        seen += part["ticks"]["tick"].tolist()
        part = follower.read(is_over=True)
    assert [*seen, *part["ticks"]["tick"].tolist()] == list(range(report.ticks))


def test_a_damaged_recording_is_followed_to_its_last_whole_record(
    flight: tuple[Path, Messages, vr.RunReport], tmp_path: Path
) -> None:
    """As FlightRecording reads it, whatever byte is cut or changed."""
    data = flight[0].read_bytes()[:60_000]
    rng = np.random.default_rng(5)
    file = tmp_path / "run.flight"
    outcomes = set()
    for k in range(150):
        damaged = bytearray(data[: rng.integers(0, len(data))] if k % 3 == 0 else data)
        if k % 3 and len(damaged):
            at = rng.integers(0, 600 if k % 3 == 1 else len(damaged))
            damaged[at] ^= 1 << rng.integers(0, 8)
        file.write_bytes(damaged)
        answers = []
        for ask in (recorded_ticks, followed_ticks):
            try:
                answers.append(ask(file))
            except vr.FormatError:
                answers.append(None)
        whole = answers[0] if answers[0] is not None else 0  # cut in its set-up: not there yet
        assert (answers[1] or 0) == whole
        outcomes.add(answers[0] is None)
    assert outcomes == {True, False}


def recorded_ticks(file: Path) -> int:
    return vr.FlightRecording(file).num_ticks


def followed_ticks(file: Path) -> int:
    follower, count = vr.FlightFollower(file), 0
    while (part := follower.read(is_over=True)) is not None:
        count += len(part["ticks"]["tick"])
        if not part["has_more"]:
            return count
    return count


def test_pictures_are_in_a_recording_only_if_asked_for(tmp_path: Path) -> None:
    fly(0.2, record=tmp_path / "without")
    fly(0.2, record=tmp_path / "with", record_pictures=True)
    assert vr.FlightRecording(tmp_path / "without").num_pictures == 0
    recording = vr.FlightRecording(tmp_path / "with")
    assert recording.num_pictures >= 2
    assert recording.replay()["difference"] is None


def test_a_log_that_cannot_be_written_is_an_error_before_the_robot_moves(tmp_path: Path) -> None:
    with pytest.raises(vr.ConfigError, match=r"mcap = .*: cannot be written"):
        fly(0.2, mcap=tmp_path / "nowhere" / "x.mcap")
    with pytest.raises(vr.ConfigError, match="joint_names"):
        fly(0.2, mcap=tmp_path / "x.mcap", joint_names=("a", "b"))
    with pytest.raises(vr.ConfigError, match="mcap_rate_hz"):
        fly(0.2, mcap=tmp_path / "x.mcap", mcap_rate_hz=0)


def test_a_log_that_a_crash_cut_off_is_read_up_to_its_last_block(tmp_path: Path) -> None:
    from mcap.exceptions import EndOfFile
    from mcap.records import Message
    from mcap.stream_reader import StreamReader

    report = fly(1.0, mcap=tmp_path / "x.mcap", mcap_rate_hz=None)
    assert report.mcap is not None
    data = (tmp_path / "x.mcap").read_bytes()
    records = []
    with contextlib.suppress(EndOfFile):
        records.extend(StreamReader(io.BytesIO(data[: len(data) // 2])).records)
    assert sum(isinstance(record, Message) for record in records) > report.mcap["messages"] / 5


def test_a_disk_that_fills_up_ends_the_log_and_not_the_run(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    report = fly(0.8, mcap=full, mcap_rate_hz=None, record=tmp_path / "run.flight")
    assert report.mcap is not None
    assert "No space left" in report.mcap["error"]
    assert report.fault is None
    assert report.limit_violations == 0


def test_without_the_package_the_error_says_so(
    monkeypatch: pytest.MonkeyPatch, flight: tuple[Path, Messages, vr.RunReport], tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name == "mcap" or name.startswith("mcap.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcap", None)
    with pytest.raises(vr.ModelError, match=r"vla-rt\[mcap\]"):
        write_mcap(flight[0], tmp_path / "x.mcap")
    with pytest.raises(vr.ModelError, match=r"vla-rt\[mcap\]"):
        fly(0.2, mcap=tmp_path / "x.mcap")


def test_a_package_that_is_broken_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch, flight: tuple[Path, Messages, vr.RunReport], tmp_path: Path
) -> None:
    """Only mcap itself may be absent: what it fails to import is another error."""
    broken = tmp_path / "broken" / "mcap"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("")
    (broken / "writer.py").write_text("import a_compression_that_is_not_there\n")
    for name in [name for name in sys.modules if name == "mcap" or name.startswith("mcap.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(broken.parent))
    with pytest.raises(ModuleNotFoundError, match="a_compression_that_is_not_there"):
        write_mcap(flight[0], tmp_path / "x.mcap")


def test_recordings_of_the_first_version_are_read(
    flight: tuple[Path, Messages, vr.RunReport], tmp_path: Path
) -> None:
    """Version 1 had no wall clock in its set-up."""
    import zlib

    data = flight[0].read_bytes()
    length, kind, _ = struct.unpack_from("<III", data, 8)
    payload = struct.pack("<I", 1) + data[20 + 4 + 8 : 20 + length]
    head = struct.pack("<III", len(payload), kind, zlib.crc32(payload, zlib.crc32(struct.pack("<I", kind))))
    old = tmp_path / "old.flight"
    old.write_bytes(data[:8] + head + payload + data[20 + length :])
    assert vr.FlightRecording(old).replay()["difference"] is None
    write_mcap(old, tmp_path / "old.mcap")
    assert len(read(tmp_path / "old.mcap")["/tick"]) == vr.FlightRecording(old).num_ticks
