"""A node's ports as topics of `rclpy`, for those who have ROS 2; the node itself is that of the DDS bridge.

`rclpy` comes with ROS 2, not from PyPI. The ament package in integrations/ros2/vla_rt_ros starts `main`.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

try:
    import rclpy
    from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    from rclpy.node import Node
    from rclpy.qos import qos_profile_sensor_data
except ImportError as cause:
    raise ImportError(
        f"{__name__} needs ROS 2's rclpy ({cause}): source /opt/ros/<distribution>/setup.bash, "
        "or use vla_rt.integrations.ros2.dds_bridge, which needs no ROS"
    ) from cause

from vla_rt.integrations.ros2.node_ports import NodePorts, Topics
from vla_rt.integrations.ros2.node_settings import Features, NodeSettings, make_node
from vla_rt.integrations.ros2.policy_node import PolicyNode
from vla_rt.integrations.ros2.task_node import TaskNode

__all__ = ["PARAMETERS", "RosNode", "main"]

#: As ROS 2's own nodes have it for what is not sensor data: reliable, this many.
_DEPTH = 10
_SAID_EVERY_S = 5.0


class RosNode(Node):  # type: ignore[misc]
    """Feeds a node from subscriptions and publishes what it answers, at its rate, by the clock of ROS.

    Args:
        make: Makes a `TaskNode` or a `PolicyNode` of the settings that the parameters come to.
        name: Of the node.
    """

    def __init__(
        self, make: Callable[[NodeSettings], TaskNode | PolicyNode] = make_node, name: str = "vla_rt"
    ) -> None:
        super().__init__(name)
        for parameter, default in PARAMETERS.items():
            self.declare_parameter(parameter, default)
        settings = settings_of({key: self.get_parameter(key).value for key in PARAMETERS})
        self._reason = ""
        self._ports = NodePorts(make(settings), settings.topics, _kind_of, self._now_ns, self._now_ns)
        for port in self._ports.inputs:
            quality = qos_profile_sensor_data if port.is_sensor else _DEPTH
            self.create_subscription(_kind_of(port.kind), port.topic, port.take, quality)
        self._senders = {
            port: self.create_publisher(_kind_of(out.kind), out.topic, _DEPTH)
            for port, out in self._ports.outputs.items()
        }
        own = MutuallyExclusiveCallbackGroup()  # messages are taken while the policy thinks
        self.create_timer(1.0 / settings.rate_hz, self._step, callback_group=own)

    @property
    def ports(self) -> NodePorts:
        """What crossed, and the status of the newest step."""
        return self._ports

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _step(self) -> None:
        status = self._ports.step(self._now_ns(), lambda port, message: self._senders[port].publish(message))
        counts = self._ports.counts
        reason = " | ".join(filter(None, (status.reason, counts.last_failure, counts.last_refusal)))
        if reason and reason != self._reason:
            self.get_logger().warning(reason, throttle_duration_sec=_SAID_EVERY_S)
        self._reason = reason


def settings_of(parameters: Mapping[str, Any]) -> NodeSettings:
    """Settings of the parameters, "topics.image" and "features.image" among them."""
    plain = {key: value for key, value in parameters.items() if "." not in key}
    plain["set"] = tuple(change for change in plain["set"] if change)  # ROS knows no empty list of texts
    groups: dict[str, Any] = {}
    for group, kind in (("topics", Topics), ("features", Features)):
        groups[group] = kind(**{f.name: parameters[f"{group}.{f.name}"] for f in fields(kind)})
    return NodeSettings(**plain, **groups)


def _kind_of(name: str) -> Any:
    """ROS 2's class of messages of a name, "sensor_msgs/Image"."""
    package, short = name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), short)


def main(args: Sequence[str] | None = None) -> None:
    """Runs a node until it is told to end; the entry point of the ament package."""
    rclpy.init(args=args)
    try:
        node = RosNode()
        executor = MultiThreadedExecutor(num_threads=2)
        executor.add_node(node)
        with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):  # how a node is told to end
            executor.spin()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


def _parameters() -> dict[str, Any]:
    """Names and defaults of the parameters: the fields of `NodeSettings`."""
    known: dict[str, Any] = {}
    plain = NodeSettings()
    for entry in fields(plain):
        value = getattr(plain, entry.name)
        if entry.name in ("topics", "features"):
            known |= {f"{entry.name}.{inner.name}": getattr(value, inner.name) for inner in fields(value)}
        else:
            known[entry.name] = [""] if entry.name == "set" else value
    return known


PARAMETERS = _parameters()
