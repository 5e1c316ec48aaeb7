"""ROS 2's messages as DDS knows them: the same names and the same bytes as `rmw` gives them.

A topic /x is "rt/x", a type pkg/Name is "pkg::msg::dds_::Name_". The fields are those of
https://github.com/ros2/common_interfaces and https://github.com/ros2/rcl_interfaces (builtin_interfaces).
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any

from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import float64, int32, sequence, uint8, uint32

__all__ = [
    "Duration",
    "Header",
    "Image",
    "JointState",
    "JointTrajectory",
    "JointTrajectoryPoint",
    "Point",
    "Pose",
    "Quaternion",
    "String",
    "Time",
    "Twist",
    "Vector3",
    "kind_of",
]

_KINDS: dict[str, Any] = {}


def kind_of(name: str) -> Any:
    """The class of the name that ROS 2 gives it, "sensor_msgs/JointState"."""
    return _KINDS[name]


def _message(name: str, /, **fields: Any) -> Any:
    """The class of a message; made so because cyclonedds reads its types while the class is made."""
    package, short = name.split("/")

    def fill(body: dict[str, Any]) -> None:
        body |= {"__annotations__": fields, "__doc__": f"{name}.", "__module__": __name__}

    typename = {"typename": f"{package}::msg::dds_::{short}_"}
    _KINDS[name] = dataclass(types.new_class(short, (IdlStruct,), typename, fill))
    return _KINDS[name]


Time = _message("builtin_interfaces/Time", sec=int32, nanosec=uint32)
Duration = _message("builtin_interfaces/Duration", sec=int32, nanosec=uint32)
Header = _message("std_msgs/Header", stamp=Time, frame_id=str)
String = _message("std_msgs/String", data=str)
Vector3 = _message("geometry_msgs/Vector3", x=float64, y=float64, z=float64)
Twist = _message("geometry_msgs/Twist", linear=Vector3, angular=Vector3)
Point = _message("geometry_msgs/Point", x=float64, y=float64, z=float64)
Quaternion = _message("geometry_msgs/Quaternion", x=float64, y=float64, z=float64, w=float64)
Pose = _message("geometry_msgs/Pose", position=Point, orientation=Quaternion)
JointState = _message(
    "sensor_msgs/JointState",
    header=Header,
    name=sequence[str],
    position=sequence[float64],
    velocity=sequence[float64],
    effort=sequence[float64],
)
Image = _message(
    "sensor_msgs/Image",
    header=Header,
    height=uint32,
    width=uint32,
    encoding=str,
    is_bigendian=uint8,
    step=uint32,
    data=sequence[uint8],
)
JointTrajectoryPoint = _message(
    "trajectory_msgs/JointTrajectoryPoint",
    positions=sequence[float64],
    velocities=sequence[float64],
    accelerations=sequence[float64],
    effort=sequence[float64],
    time_from_start=Duration,
)
JointTrajectory = _message(
    "trajectory_msgs/JointTrajectory",
    header=Header,
    joint_names=sequence[str],
    points=sequence[JointTrajectoryPoint],
)
