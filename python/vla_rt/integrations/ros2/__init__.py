"""The nodes of a ROS 2 robot without ROS: plain messages in, plain messages out, time passed in.

Whoever has ROS, or DDS, connects topics to these ports.
"""

from vla_rt.integrations.ros2.messages import (
    JointState,
    JointTrajectory,
    JointTrajectoryPoint,
    Pose,
    Twist,
)
from vla_rt.integrations.ros2.node_core import InputMonitor, NodeStatus, Rate
from vla_rt.integrations.ros2.policy_node import PolicyNode, PolicyNodeConfig
from vla_rt.integrations.ros2.task_node import Outputs, TaskKind, TaskNode, TaskNodeConfig, task_of

__all__ = [
    "InputMonitor",
    "JointState",
    "JointTrajectory",
    "JointTrajectoryPoint",
    "NodeStatus",
    "Outputs",
    "PolicyNode",
    "PolicyNodeConfig",
    "Pose",
    "Rate",
    "TaskKind",
    "TaskNode",
    "TaskNodeConfig",
    "Twist",
    "task_of",
]
