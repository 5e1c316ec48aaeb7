"""The messages that cross a node's ports, with the fields of ROS 2's own of the same names."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["JointState", "JointTrajectory", "JointTrajectoryPoint", "Pose", "Twist"]


@dataclass(frozen=True)
class JointState:
    """sensor_msgs/JointState.

    Attributes:
        time_ns: When it was measured, or is for.
        name: Of the joints.
        position: [rad] or [m].
        velocity: [rad/s] or [m/s]; empty where it is not known.
    """

    time_ns: int
    name: tuple[str, ...]
    position: tuple[float, ...]
    velocity: tuple[float, ...] = ()


@dataclass(frozen=True)
class JointTrajectoryPoint:
    """trajectory_msgs/JointTrajectoryPoint.

    Attributes:
        positions: [rad] or [m].
        velocities: [rad/s] or [m/s].
        accelerations: [rad/s^2] or [m/s^2].
        time_from_start_s: After the stamp of the trajectory.
    """

    positions: tuple[float, ...]
    velocities: tuple[float, ...]
    accelerations: tuple[float, ...]
    time_from_start_s: float


@dataclass(frozen=True)
class JointTrajectory:
    """trajectory_msgs/JointTrajectory.

    Attributes:
        time_ns: When it begins.
        joint_names: Of the columns.
        points: In time.
    """

    time_ns: int
    joint_names: tuple[str, ...]
    points: tuple[JointTrajectoryPoint, ...]


@dataclass(frozen=True)
class Twist:
    """geometry_msgs/Twist.

    Attributes:
        linear: x, y, z [m/s].
        angular: x, y, z [rad/s].
    """

    linear: tuple[float, float, float] = (0.0, 0.0, 0.0)
    angular: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Pose:
    """geometry_msgs/Pose.

    Attributes:
        position: x, y, z [m].
        orientation: Unit quaternion x, y, z, w.
    """

    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float]
