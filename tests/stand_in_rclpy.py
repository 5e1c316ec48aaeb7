"""A stand-in for `rclpy` and ROS 2's messages: what a node calls of them, as strict about types as they are.

There is no rclpy outside ROS 2. Messages take keywords alone and refuse values of another type, as those that
rosidl generates do; executors, timers and clocks are moved by the test.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

_FIELDS: dict[str, dict[str, Any]] = {
    "builtin_interfaces/Time": {"sec": int, "nanosec": int},
    "builtin_interfaces/Duration": {"sec": int, "nanosec": int},
    "std_msgs/Header": {"stamp": "builtin_interfaces/Time", "frame_id": str},
    "std_msgs/String": {"data": str},
    "geometry_msgs/Vector3": dict.fromkeys("xyz", float),
    "geometry_msgs/Point": dict.fromkeys("xyz", float),
    "geometry_msgs/Quaternion": dict.fromkeys("xyzw", float),
    "geometry_msgs/Twist": dict.fromkeys(("linear", "angular"), "geometry_msgs/Vector3"),
    "geometry_msgs/Pose": {"position": "geometry_msgs/Point", "orientation": "geometry_msgs/Quaternion"},
    "sensor_msgs/Image": {
        "header": "std_msgs/Header", "height": int, "width": int, "encoding": str, "is_bigendian": int,
        "step": int, "data": [int],
    },
    "sensor_msgs/JointState": {
        "header": "std_msgs/Header", "name": [str], "position": [float], "velocity": [float],
        "effort": [float],
    },
    "trajectory_msgs/JointTrajectoryPoint": {
        **{key: [float] for key in ("positions", "velocities", "accelerations", "effort")},
        "time_from_start": "builtin_interfaces/Duration",
    },
    "trajectory_msgs/JointTrajectory": {
        "header": "std_msgs/Header", "joint_names": [str],
        "points": ["trajectory_msgs/JointTrajectoryPoint"],
    },
}  # fmt: skip


class Message:
    """Of one kind, with the fields of its table."""

    KIND = ""

    def __init__(self, **values: Any) -> None:
        fields = _FIELDS[self.KIND]
        assert set(values) <= set(fields), f"{self.KIND} has no {set(values) - set(fields)}"
        for name, kind in fields.items():
            value = values[name] if name in values else _default(kind)
            assert _is(value, kind), f"{self.KIND}.{name}: {value!r}"
            setattr(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)


def _default(kind: Any) -> Any:
    if isinstance(kind, list):
        return []
    return KINDS[kind]() if isinstance(kind, str) else kind()


def _is(value: Any, kind: Any) -> bool:
    if isinstance(kind, list):
        return isinstance(value, list | bytes) and all(_is(item, kind[0]) for item in value)
    if isinstance(kind, str):
        return type(value) is KINDS[kind]
    return type(value) is kind


KINDS = {kind: type(kind.split("/")[1], (Message,), {"KIND": kind}) for kind in _FIELDS}


class Node:
    """rclpy.node.Node as far as it is used; `world` is what the test sees."""

    def __init__(self, name: str) -> None:
        self.name, self.declared = name, {}
        self.subscriptions_: dict[str, tuple[Any, Callable[[Any], None], Any]] = {}
        self.published: dict[str, list[Any]] = {}
        self.timers_: list[tuple[float, Callable[[], None]]] = []
        self.said: list[str] = []
        self.now_ns, self.broken = 0, False

    def declare_parameter(self, name: str, default: Any) -> None:
        assert type(default) in (str, float, int, bool, list)
        assert default != [], "ROS 2 cannot tell the type of an empty list"
        given = WORLD["parameters"].get(name, default)
        assert type(given) is type(default), f"{name} must be {type(default).__name__}"
        self.declared[name] = given

    def get_parameter(self, name: str) -> Any:
        return types.SimpleNamespace(value=self.declared[name])

    def create_subscription(self, kind: Any, topic: str, take: Any, quality: Any) -> None:
        self.subscriptions_[topic] = (kind, take, quality)

    def create_publisher(self, kind: Any, topic: str, quality: Any) -> Any:
        assert quality == 10

        def publish(message: Any) -> None:
            assert type(message) is kind
            if self.broken:
                raise RuntimeError("the context is not valid")
            self.published.setdefault(topic, []).append(message)

        return types.SimpleNamespace(publish=publish)

    def create_timer(self, period_s: float, step: Callable[[], None], callback_group: Any) -> None:
        self.timers_.append((period_s, step))

    def get_clock(self) -> Any:
        return types.SimpleNamespace(now=lambda: types.SimpleNamespace(nanoseconds=self.now_ns))

    def get_logger(self) -> Any:
        return types.SimpleNamespace(warning=lambda text, throttle_duration_sec: self.said.append(text))

    def destroy_node(self) -> None:
        WORLD["calls"].append("destroy_node")

    def give(self, topic: str, message: Any) -> None:
        """What a publisher elsewhere sends."""
        kind, take, _ = self.subscriptions_[topic]
        assert type(message) is kind
        take(message)


class ExternalShutdownException(Exception):
    """rclpy's."""


class _Executor:
    def __init__(self, num_threads: int) -> None:
        self.num_threads = num_threads

    def add_node(self, node: Node) -> None:
        WORLD["node"] = node

    def spin(self) -> None:
        WORLD["spin"](WORLD["node"])


#: What the nodes of one test live in.
WORLD: dict[str, Any] = {}


def install(monkeypatch: pytest.MonkeyPatch, **parameters: Any) -> None:
    """Puts the stand-in where rclpy and the messages would be, with the parameters of a node."""
    WORLD.clear()
    WORLD.update(parameters=parameters, calls=[], spin=lambda node: None)
    modules: dict[str, dict[str, Any]] = {
        "rclpy": {
            "init": lambda args=None: WORLD["calls"].append("init"),
            "try_shutdown": lambda: WORLD["calls"].append("try_shutdown"),
        },
        "rclpy.node": {"Node": Node},
        "rclpy.callback_groups": {"MutuallyExclusiveCallbackGroup": type("Group", (), {})},
        "rclpy.executors": {
            "MultiThreadedExecutor": _Executor,
            "ExternalShutdownException": ExternalShutdownException,
        },
        "rclpy.qos": {"qos_profile_sensor_data": "sensor data"},
    }
    for kind, cls in KINDS.items():
        package, short = kind.split("/")
        modules.setdefault(package, {})
        modules.setdefault(f"{package}.msg", {})[short] = cls
    for name, contents in modules.items():
        module = types.ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
