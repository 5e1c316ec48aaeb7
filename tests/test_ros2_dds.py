"""The nodes' ports over DDS: bytes equal to another implementation's, two processes on one machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="pip install 'vla-rt[ros2]'")

import vla_rt as vr
from dds_arm import LIMITS, LOOPBACK, NAMES, ONE
from vla_rt.integrations import ros2
from vla_rt.integrations.ros2 import dds_types as dds
from vla_rt.integrations.ros2.dds_bridge import DdsBridge, Topics
from vla_rt.integrations.ros2.wire import image_of, to_wire

#: One a millisecond; 60000 for a minute of it.
MESSAGES = int(os.environ.get("VLA_RT_DDS_MESSAGES", "1500"))


def wire(message: Any) -> Any:
    return to_wire(message, dds.kind_of)


def header(kinds: Any) -> Any:
    return kinds["std_msgs/msg/Header"](kinds["builtin_interfaces/msg/Time"](12, 345_678_901), "")


def foreign(kinds: Any) -> list[tuple[str, Any, Any]]:
    """(name, message of rosbags, the same message here)."""
    now = 12_345_678_901
    vector, empty = kinds["geometry_msgs/msg/Vector3"], np.zeros(0)
    state = ros2.JointState(now, NAMES, (1.5, -2.0, 1e-300), (0.1, 0.2, 0.3))
    points = (
        ros2.JointTrajectoryPoint((1.0, 2.0, 3.0), (0.1, 0.2, 0.3), (-1.0, 0.0, 1.0), 0.0),
        ros2.JointTrajectoryPoint((1.5, 2.5, 3.5), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.05),
    )
    image = np.arange(24, dtype=np.uint8)
    return [
        (
            "std_msgs/msg/String",
            kinds["std_msgs/msg/String"]("pick up the cübe"),
            dds.String("pick up the cübe"),
        ),
        (
            "geometry_msgs/msg/Twist",
            kinds["geometry_msgs/msg/Twist"](vector(1.0, 0.0, -2.0), vector(0.0, 0.5, 0.25)),
            wire(ros2.Twist((1.0, 0.0, -2.0), (0.0, 0.5, 0.25))),
        ),
        (
            "geometry_msgs/msg/Pose",
            kinds["geometry_msgs/msg/Pose"](
                kinds["geometry_msgs/msg/Point"](1.0, 2.0, 3.0),
                kinds["geometry_msgs/msg/Quaternion"](0.0, 0.0, 1.0, 0.0),
            ),
            wire(ros2.Pose((1.0, 2.0, 3.0), (0.0, 0.0, 1.0, 0.0))),
        ),
        (
            "sensor_msgs/msg/JointState",
            kinds["sensor_msgs/msg/JointState"](
                header(kinds), list(NAMES), np.array(state.position), np.array(state.velocity), empty
            ),
            wire(state),
        ),
        (
            "trajectory_msgs/msg/JointTrajectory",
            kinds["trajectory_msgs/msg/JointTrajectory"](
                header(kinds),
                list(NAMES),
                [
                    kinds["trajectory_msgs/msg/JointTrajectoryPoint"](
                        np.array(p.positions),
                        np.array(p.velocities),
                        np.array(p.accelerations),
                        empty,
                        kinds["builtin_interfaces/msg/Duration"](
                            int(p.time_from_start_s), round(p.time_from_start_s % 1 * 1e9)
                        ),
                    )
                    for p in points
                ],
            ),
            wire(ros2.JointTrajectory(now, NAMES, points)),
        ),
        (
            "sensor_msgs/msg/Image",
            kinds["sensor_msgs/msg/Image"](header(kinds), 2, 4, "rgb8", 0, 12, image),
            dds.Image(dds.Header(dds.Time(12, 345_678_901), ""), 2, 4, "rgb8", 0, 12, image.tolist()),
        ),
    ]


def test_bytes_are_those_of_rosbags() -> None:
    typesys = pytest.importorskip("rosbags.typesys", reason="pip install rosbags")
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    for name, theirs, ours in foreign(store.types):
        assert bytes(store.serialize_cdr(theirs, name)) == ours.serialize(), name
        assert type(ours).deserialize(bytes(store.serialize_cdr(theirs, name))) == ours
        package, _, short = name.split("/")
        assert type(ours).__idl_typename__ == f"{package}::msg::dds_::{short}_"


def test_images_of_both_orders_and_padded_rows() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    head = dds.Header(dds.Time(0, 0), "")
    padded = np.zeros((2, 16), np.uint8)
    padded[:, :12] = pixels.reshape(2, 12)
    for encoding, expected in (("rgb8", pixels), ("bgr8", pixels[:, :, ::-1])):
        message = dds.Image(head, 2, 4, encoding, 0, 16, padded.ravel().tolist())
        np.testing.assert_array_equal(image_of(message), expected)
    for change in ({"encoding": "mono8"}, {"step": 11}, {"height": 3}):
        values = {"height": 2, "width": 4, "encoding": "rgb8", "step": 12, **change}
        bad = dds.Image(
            head, values["height"], values["width"], values["encoding"], 0, values["step"], [0] * 24
        )
        with pytest.raises(vr.ConfigError, match="image"):
            image_of(bad)


ROBOT = """
import json, os, time
from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration
from vla_rt.integrations.ros2 import dds_types as dds

qos = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepAll)
who = DomainParticipant(77)
topic = lambda name, kind: Topic(who, "rt" + name, kind)
states = DataWriter(who, topic("/joint_states", dds.JointState), qos=qos)
images = DataWriter(who, topic("/camera/image_raw", dds.Image), qos=qos)
commands = DataWriter(who, topic("/command", dds.String), qos=qos)
sent = DataReader(who, topic("/joint_trajectory", dds.JointTrajectory), qos=qos)
end = time.monotonic() + 20
while not (states.get_matched_subscriptions() and commands.get_matched_subscriptions()
           and sent.get_matched_publications()):
    assert time.monotonic() < end, "nobody is there"
    time.sleep(0.01)
head = dds.Header(dds.Time(0, 0), "")
commands.write(dds.String("fold"))
begin = time.monotonic()
count, got, late, wanted = 0, [], [], int(os.environ["MESSAGES"])

def take():
    while some := sent.take(N=100):
        now = time.time_ns()
        late.extend((now - t.header.stamp.sec * 10**9 - t.header.stamp.nanosec) * 1e-6 for t in some)
        got.extend(some)

while count < wanted:
    while count < wanted and time.monotonic() - begin >= count * 1e-3:
        if count % 50 == 0:
            images.write(dds.Image(head, 2, 2, "rgb8", 0, 6, [7] * 12))
        now = [time.monotonic(), 0.0, 0.0]
        states.write(dds.JointState(head, ["a", "b", "c"], [count * 1e-5, 0.0, 0.0], now, []))
        count += 1
    take()
    time.sleep(0.001)
end = time.monotonic() + 0.3
while time.monotonic() < end:
    take()
    time.sleep(0.001)
stamps = [t.header.stamp.sec * 10**9 + t.header.stamp.nanosec for t in got]
print(json.dumps([count, max(len(t.points) for t in got), got[-1].joint_names, stamps, late]), flush=True)
"""


def test_two_processes_over_dds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLONEDDS_URI", LOOPBACK)
    monkeypatch.setenv("MESSAGES", str(MESSAGES))
    rows = np.linspace(0, 0.5, 8)[:, None] * ONE
    node = ros2.PolicyNode(
        lambda values: values["joints"] + rows,
        ros2.PolicyNodeConfig(
            NAMES, LIMITS, image_timeout_s=2.0, joints_timeout_s=1.0, command_timeout_s=3600.0
        ),
    )
    seen: list[float] = []
    delays: list[float] = []
    stamped: list[int] = []
    take = node.inputs.set_joints

    def watched(state: ros2.JointState) -> None:
        delays.append(1e3 * (time.monotonic() - state.velocity[0]))
        seen.append(state.position[0])
        take(state)

    def stamp() -> int:
        stamped.append(time.time_ns())
        return stamped[-1]

    monkeypatch.setattr(node.inputs, "set_joints", watched)
    bridge = DdsBridge(node, domain_id=77, stamp=stamp)
    with subprocess.Popen([sys.executable, "-c", ROBOT], stdout=subprocess.PIPE, text=True) as robot:
        assert robot.stdout is not None
        said: list[str] = []  # it is much: read as it comes
        reading = threading.Thread(target=lambda: said.append(robot.stdout.read()))  # type: ignore[union-attr]
        reading.start()
        end = time.monotonic() + 60 + 3e-3 * MESSAGES
        bridge.run(50.0, lambda: robot.poll() is None and time.monotonic() < end)
        reading.join()
    bridge.receive()
    assert robot.returncode == 0
    count, points, names, received, late = json.loads(said[0])
    assert count == MESSAGES
    np.testing.assert_allclose(seen, 1e-5 * np.arange(MESSAGES), atol=1e-12)  # nothing lost, in order
    counts = bridge.counts
    assert counts.refused == counts.unread == counts.unsent == 0
    first, last = stamped.index(received[0]), stamped.index(received[-1])
    assert received == stamped[first : last + 1]
    assert len(received) >= 0.5 * 50e-3 * MESSAGES
    assert (points, names) == (8, list(NAMES))
    for what, times in (("joint states", delays), ("trajectories", late)):
        p50, p99, most = np.quantile(times, [0.5, 0.99, 1.0])
        print(f"{len(times)} {what}: {p50:.2f} ms p50, {p99:.2f} ms p99, {most:.1f} ms at most")
        assert -1.0 < p50 < 1000.0


def test_bad_messages_are_counted_and_a_task_node_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from cyclonedds.core import Policy, Qos
    from cyclonedds.domain import DomainParticipant
    from cyclonedds.pub import DataWriter
    from cyclonedds.sub import DataReader
    from cyclonedds.topic import Topic

    monkeypatch.setenv("CYCLONEDDS_URI", LOOPBACK)
    node = ros2.TaskNode(lambda values, task: np.full(6, 0.1), ros2.TaskNodeConfig(NAMES, LIMITS))
    bridge = DdsBridge(node, Topics(command="/say"), domain_id=78)
    who, qos = DomainParticipant(78), Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(9))
    say = DataWriter(who, Topic(who, "rt/say", dds.String))
    states = DataWriter(who, Topic(who, "rt/joint_states", dds.JointState))
    twists = DataReader(who, Topic(who, "rt/cmd_vel", dds.Twist), qos=qos)
    del say
    reliable = Qos(Policy.Reliability.Reliable(1_000_000_000))
    say = DataWriter(who, Topic(who, "rt/say", dds.String), qos=reliable)
    states = DataWriter(who, Topic(who, "rt/joint_states", dds.JointState), qos=reliable)
    end = time.monotonic() + 20
    while not (
        say.get_matched_subscriptions()
        and states.get_matched_subscriptions()
        and twists.get_matched_publications()
    ):
        assert time.monotonic() < end
        time.sleep(0.01)
    say.write(dds.String("  "))
    states.write(dds.JointState(dds.Header(dds.Time(0, 0), ""), ["a"], [0.0], [], []))
    got: list[Any] = []
    while (bridge.counts.refused < 2 or not got) and time.monotonic() < end:
        bridge.step(time.monotonic_ns())
        got += twists.take(N=9)
        time.sleep(0.01)
    assert bridge.counts.refused == 2
    assert bridge.counts.last_refusal
    assert got[0] == wire(ros2.Twist())  # nothing to go by: the robot stands
    with pytest.raises(vr.ConfigError, match="topic"):
        DdsBridge(node, Topics(twist="cmd_vel"), domain_id=78)
    assert threading.active_count() < 50
