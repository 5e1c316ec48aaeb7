"""The messages of a node's ports as ROS 2's own, and back: one mapping for every transport.

`Kinds` answers the transport's class of the name that ROS 2 gives it, "sensor_msgs/JointState".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import ConfigError, error
from vla_rt.integrations.ros2 import messages

__all__ = ["Kinds", "image_of", "joint_state_of", "to_wire"]

Kinds = Callable[[str], Any]

_S = 1_000_000_000
_ENCODINGS = {"rgb8": slice(None), "bgr8": slice(None, None, -1)}


def to_wire(message: Any, kinds: Kinds) -> Any:
    """One of `vla_rt.integrations.ros2.messages` as ROS 2's message of the same name."""
    if isinstance(message, messages.Twist):
        linear, angular = (
            _axes(kinds("geometry_msgs/Vector3"), v) for v in (message.linear, message.angular)
        )
        return kinds("geometry_msgs/Twist")(linear=linear, angular=angular)
    if isinstance(message, messages.Pose):
        position = _axes(kinds("geometry_msgs/Point"), message.position)
        orientation = _axes(kinds("geometry_msgs/Quaternion"), message.orientation)
        return kinds("geometry_msgs/Pose")(position=position, orientation=orientation)
    stamp = _time(kinds("builtin_interfaces/Time"), message.time_ns)
    header = kinds("std_msgs/Header")(stamp=stamp, frame_id="")
    if isinstance(message, messages.JointState):
        values = {"position": list(message.position), "velocity": list(message.velocity), "effort": []}
        return kinds("sensor_msgs/JointState")(header=header, name=list(message.name), **values)
    points = [
        kinds("trajectory_msgs/JointTrajectoryPoint")(
            positions=list(point.positions),
            velocities=list(point.velocities),
            accelerations=list(point.accelerations),
            effort=[],
            time_from_start=_time(kinds("builtin_interfaces/Duration"), round(point.time_from_start_s * _S)),
        )
        for point in message.points
    ]
    names = list(message.joint_names)
    return kinds("trajectory_msgs/JointTrajectory")(header=header, joint_names=names, points=points)


def image_of(sample: Any) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a sensor_msgs/Image, red first.

    Raises:
        ConfigError: Another encoding than rgb8 or bgr8, or fewer bytes than its sizes say.
    """
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


def joint_state_of(sample: Any, time_ns: int) -> messages.JointState:
    """A sensor_msgs/JointState that came at `time_ns`."""
    return messages.JointState(time_ns, tuple(sample.name), tuple(sample.position), tuple(sample.velocity))


def _axes(kind: Any, values: tuple[float, ...]) -> Any:
    return kind(**dict(zip("xyzw", values, strict=False)))


def _time(kind: Any, total_ns: int) -> Any:
    return kind(sec=total_ns // _S, nanosec=total_ns % _S)
