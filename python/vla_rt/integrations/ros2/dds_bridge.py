"""A node's ports as ROS 2 topics over DDS, without ROS (`pip install 'vla-rt[ros2]'`)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._extras import require_extra
from vla_rt.errors import ConfigError, error
from vla_rt.integrations.ros2 import messages
from vla_rt.integrations.ros2.node_core import Rate
from vla_rt.integrations.ros2.policy_node import PolicyNode
from vla_rt.integrations.ros2.task_node import Outputs, TaskNode

require_extra("cyclonedds", __name__, "ros2")

from cyclonedds.core import Policy, Qos  # noqa: E402
from cyclonedds.domain import DomainParticipant  # noqa: E402
from cyclonedds.pub import DataWriter  # noqa: E402
from cyclonedds.sub import DataReader  # noqa: E402
from cyclonedds.topic import Topic  # noqa: E402
from cyclonedds.util import duration  # noqa: E402

from vla_rt.integrations.ros2 import dds_types as dds  # noqa: E402

__all__ = ["DdsBridge", "Topics", "image_of", "joint_state_of", "wire"]

_S = 1_000_000_000
_BATCH = 256
#: QoS of ROS 2: sensor data may be lost, the rest may not. A reader that accepts loss matches every writer.
_SENSOR = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(5), Policy.Durability.Volatile)
_DEFAULT = Qos(
    Policy.Reliability.Reliable(duration(milliseconds=100)),
    Policy.History.KeepLast(4096),  # four seconds of joint states at 1 kHz
    Policy.Durability.Volatile,
)
_ENCODINGS = {"rgb8": slice(None), "bgr8": slice(None, None, -1)}


@dataclass(frozen=True)
class Topics:
    """Names of the topics, as ROS 2 shows them.

    Attributes:
        image: sensor_msgs/Image in, rgb8 or bgr8.
        joint_states: sensor_msgs/JointState in.
        command: std_msgs/String in.
        twist: geometry_msgs/Twist out.
        joint_commands: sensor_msgs/JointState out.
        pose: geometry_msgs/Pose out.
        trajectory: trajectory_msgs/JointTrajectory out.
    """

    image: str = "/camera/image_raw"
    joint_states: str = "/joint_states"
    command: str = "/command"
    twist: str = "/cmd_vel"
    joint_commands: str = "/joint_commands"
    pose: str = "/target_pose"
    trajectory: str = "/joint_trajectory"


@dataclass
class BridgeCounts:
    """What crossed the bridge, by topic, and what could not."""

    received: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    last_refusal: str = ""


class DdsBridge:
    """Feeds a node from topics and sends what it answers.

    Ages are measured from when a message arrives here: clocks of other machines are not trusted. A message
    that the node refuses is counted. Thread: the one that calls `step` or `run`.

    Args:
        node: A `TaskNode` or a `PolicyNode`.
        topics: Their names.
        domain_id: ROS_DOMAIN_ID.
        clock: Time of arrival [ns].

    Attributes:
        counts: What crossed the bridge.
    """

    def __init__(
        self,
        node: TaskNode | PolicyNode,
        topics: Topics | None = None,
        domain_id: int = 0,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        names = topics if topics is not None else Topics()
        self._node, self._clock = node, clock
        self.counts = BridgeCounts()
        self._participant = DomainParticipant(domain_id)
        self._readers = (
            self._reader(names.image, dds.Image, _SENSOR, self._on_image),
            self._reader(names.joint_states, dds.JointState, _DEFAULT, self._on_joints),
            self._reader(names.command, dds.String, _DEFAULT, self._on_command),
        )
        out: dict[str, Any] = {}
        if isinstance(node, TaskNode):
            out = {"twist": dds.Twist, "joint_commands": dds.JointState, "pose": dds.Pose}
        else:
            out = {"trajectory": dds.JointTrajectory}
        self._writers = {
            port: (
                getattr(names, port),
                DataWriter(self._participant, self._topic(getattr(names, port), kind), qos=_DEFAULT),
            )
            for port, kind in out.items()
        }

    def step(self, now_ns: int) -> None:
        """Takes what arrived, asks the node, sends what it answers."""
        self.receive()
        if isinstance(self._node, TaskNode):
            self._send_outputs(self._node.step(now_ns))
        else:
            trajectory, _ = self._node.step(now_ns)
            self._send("trajectory", trajectory)

    def receive(self) -> None:
        """Takes what arrived, oldest first."""
        for name, reader, take in self._readers:
            for sample in self._taken(reader):
                self.counts.received[name] = self.counts.received.get(name, 0) + 1
                try:
                    take(sample)
                except ConfigError as refusal:
                    self.counts.refused += 1
                    self.counts.last_refusal = str(refusal)

    def run(self, rate_hz: float, keep_on: Callable[[], bool]) -> None:
        """Steps at a rate until `keep_on` is false."""
        Rate(rate_hz, self._clock).run(self.step, keep_on)

    def _taken(self, reader: Any) -> Iterator[Any]:
        while True:
            samples = [s for s in reader.take(N=_BATCH) if s.sample_info.valid_data]
            yield from samples
            if len(samples) < _BATCH:
                return

    def _topic(self, name: str, kind: Any) -> Any:
        if not name.startswith("/") or name.endswith("/"):
            raise error(ConfigError, "topic", name, "must begin with / and not end with it")
        return Topic(self._participant, f"rt{name}", kind)

    def _reader(self, name: str, kind: Any, qos: Any, take: Callable[[Any], None]) -> tuple[str, Any, Any]:
        return name, DataReader(self._participant, self._topic(name, kind), qos=qos), take

    def _on_image(self, sample: dds.Image) -> None:
        self._node.inputs.set_image(image_of(sample), self._clock())

    def _on_joints(self, sample: dds.JointState) -> None:
        self._node.inputs.set_joints(joint_state_of(sample, self._clock()))

    def _on_command(self, sample: dds.String) -> None:
        self._node.inputs.set_command(sample.data, self._clock())

    def _send_outputs(self, outputs: Outputs) -> None:
        self._send("twist", outputs.twist)
        self._send("joint_commands", outputs.joints)
        self._send("pose", outputs.pose)

    def _send(self, port: str, message: Any) -> None:
        if message is None:
            return
        name, writer = self._writers[port]
        with contextlib.suppress(
            Exception
        ):  # a writer whose readers are slow; the next message replaces this
            writer.write(wire(message))
            self.counts.sent[name] = self.counts.sent.get(name, 0) + 1


def image_of(sample: dds.Image) -> NDArray[np.uint8]:
    """The pixels (H, W, 3), red first. ConfigError for another encoding or fewer bytes than its sizes say."""
    if sample.encoding not in _ENCODINGS:
        raise error(ConfigError, "image.encoding", sample.encoding, f"must be {' or '.join(_ENCODINGS)}")
    width = 3 * sample.width
    data = np.frombuffer(bytes(sample.data), dtype=np.uint8)
    if sample.step < width or data.size != sample.step * sample.height:
        given = f"{data.size} bytes, {sample.height} x {sample.width}, step {sample.step}"
        raise error(
            ConfigError, "image.data", given, "must have step * height bytes, a step of 3 * width at least"
        )
    rows = data.reshape(sample.height, sample.step)[:, :width].reshape(sample.height, sample.width, 3)
    return np.ascontiguousarray(rows[:, :, _ENCODINGS[sample.encoding]])


def joint_state_of(sample: dds.JointState, time_ns: int) -> messages.JointState:
    """The message of the node's port."""
    return messages.JointState(time_ns, tuple(sample.name), tuple(sample.position), tuple(sample.velocity))


def wire(message: Any) -> Any:
    """The DDS message of one of `vla_rt.integrations.ros2.messages`."""
    if isinstance(message, messages.Twist):
        return dds.Twist(dds.Vector3(*message.linear), dds.Vector3(*message.angular))
    if isinstance(message, messages.Pose):
        return dds.Pose(dds.Point(*message.position), dds.Quaternion(*message.orientation))
    header = dds.Header(dds.Time(message.time_ns // _S, message.time_ns % _S), "")
    if isinstance(message, messages.JointState):
        velocity = list(message.velocity)
        return dds.JointState(header, list(message.name), list(message.position), velocity, [])
    points = [
        dds.JointTrajectoryPoint(
            list(p.positions), list(p.velocities), list(p.accelerations), [], _duration(p.time_from_start_s)
        )
        for p in message.points
    ]
    return dds.JointTrajectory(header, list(message.joint_names), points)


def _duration(seconds: float) -> dds.Duration:
    total = round(seconds * _S)
    return dds.Duration(total // _S, total % _S)
