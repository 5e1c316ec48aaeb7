"""A node's ports as topics, whatever carries them: what the DDS bridge and rclpy's node have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from vla_rt.errors import ConfigError
from vla_rt.integrations.ros2.node_core import NodeStatus
from vla_rt.integrations.ros2.policy_node import PolicyNode
from vla_rt.integrations.ros2.task_node import TaskNode
from vla_rt.integrations.ros2.wire import Kinds, image_of, joint_state_of, to_wire

__all__ = ["BridgeCounts", "InputPort", "NodePorts", "OutputPort", "Topics"]


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
    """What crossed a bridge, by topic, and what could not.

    Attributes:
        received: Messages that came.
        sent: Messages that went.
        refused: Messages that the node did not take.
        last_refusal: Why not.
        unsent: Messages that the transport did not take.
        unread: Times that the transport could not be read.
        last_failure: What it said.
    """

    received: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    last_refusal: str = ""
    unsent: int = 0
    unread: int = 0
    last_failure: str = ""


@dataclass(frozen=True)
class InputPort:
    """What a transport subscribes to.

    Attributes:
        topic: Its name.
        kind: Of its messages, as in "sensor_msgs/Image".
        is_sensor: Whether messages may be lost.
        take: Takes a message; one that the node refuses is counted.
    """

    topic: str
    kind: str
    is_sensor: bool
    take: Callable[[Any], None]


@dataclass(frozen=True)
class OutputPort:
    """What a transport publishes.

    Attributes:
        topic: Its name.
        kind: Of its messages.
    """

    topic: str
    kind: str


class NodePorts:
    """Feeds a node with messages of a transport and makes messages of what it answers.

    Ages are measured from when a message arrives here: clocks of other machines are not trusted. Thread: the
    transport's.

    Args:
        node: A `TaskNode` or a `PolicyNode`.
        topics: Their names.
        kinds: The transport's class of a message, by the name that ROS 2 gives it.
        clock: Time of arrival [ns], the one that steps are given.
        stamp: Time that messages are stamped with [ns]: ROS 2's, which is the system's.

    Attributes:
        inputs: To subscribe to.
        outputs: To publish, by port.
        counts: What crossed.
    """

    def __init__(
        self,
        node: TaskNode | PolicyNode,
        topics: Topics,
        kinds: Kinds,
        clock: Callable[[], int],
        stamp: Callable[[], int],
    ) -> None:
        self._node, self._kinds, self._stamp = node, kinds, stamp
        self.counts = BridgeCounts()
        ports = node.inputs
        self.inputs = (
            self._input(
                topics.image, "sensor_msgs/Image", lambda m: ports.set_image(image_of(m), clock()), True
            ),
            self._input(
                topics.joint_states,
                "sensor_msgs/JointState",
                lambda m: ports.set_joints(joint_state_of(m, clock())),
            ),
            self._input(topics.command, "std_msgs/String", lambda m: ports.set_command(m.data, clock())),
        )
        if isinstance(node, TaskNode):
            self.outputs = {
                "twist": OutputPort(topics.twist, "geometry_msgs/Twist"),
                "joints": OutputPort(topics.joint_commands, "sensor_msgs/JointState"),
                "pose": OutputPort(topics.pose, "geometry_msgs/Pose"),
            }
        else:
            self.outputs = {"trajectory": OutputPort(topics.trajectory, "trajectory_msgs/JointTrajectory")}

    def step(self, now_ns: int, send: Callable[[str, Any], None]) -> NodeStatus:
        """Asks the node and sends what it answers with `send(port, message)`; what that raises is counted."""
        for port, message in self._answers(now_ns):
            topic = self.outputs[port].topic
            try:
                send(port, message)
            except Exception as cause:  # whatever a transport raises must not end the node: it is reported
                self.counts.unsent += 1
                self.counts.last_failure = f"{topic}: {type(cause).__name__}: {cause}"
            else:
                self.counts.sent[topic] = self.counts.sent.get(topic, 0) + 1
        return self.status

    def _answers(self, now_ns: int) -> Iterator[tuple[str, Any]]:
        if isinstance(self._node, TaskNode):
            outputs = self._node.step(now_ns)
            self.status = outputs.status
            answers = [(port, getattr(outputs, port)) for port in self.outputs]
        else:
            trajectory, self.status = self._node.step(now_ns)
            answers = [("trajectory", trajectory)]
        for port, message in answers:
            if message is not None:
                is_stamped = hasattr(message, "time_ns")
                stamped = replace(message, time_ns=self._stamp()) if is_stamped else message
                yield port, to_wire(stamped, self._kinds)

    def _input(
        self, topic: str, kind: str, give: Callable[[Any], None], is_sensor: bool = False
    ) -> InputPort:
        def take(message: Any) -> None:
            self.counts.received[topic] = self.counts.received.get(topic, 0) + 1
            try:
                give(message)
            except ConfigError as refusal:
                self.counts.refused += 1
                self.counts.last_refusal = str(refusal)

        return InputPort(topic, kind, is_sensor, take)
