"""The node of rclpy, on a stand-in for it: topics, parameters, errors, the ament package."""

from __future__ import annotations

import ast
import importlib
import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import stand_in_rclpy as ros
import vla_rt as vr
from vla_rt.integrations import ros2
from vla_rt.integrations.ros2.node_settings import ChunkSource, Features, NodeSettings, make_node
from vla_rt.integrations.ros2.wire import to_wire
from vla_rt.run_config import RunConfig

PACKAGE = Path(__file__).resolve().parents[1] / "integrations/ros2/vla_rt_ros"
S = 1_000_000_000
NAMES = tuple(f"panda_joint{i}" for i in range(1, 8))
START = (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785)


def rows(values: Any) -> np.ndarray:
    """A policy in Python: on from where the arm is."""
    assert values["command"] == "fold"
    return values["joints"] + np.linspace(0, 0.1, 4)[:, None]


def act(values: Any, task: ros2.TaskKind) -> np.ndarray:
    return np.array([0.1, 0, 0, 0, 0, 0.2])


def imported() -> Any:
    """The module with what stands in for rclpy just now."""
    module = importlib.import_module("vla_rt.integrations.ros2.ros_node")
    del sys.modules[module.__name__]
    return module


def ros_node(monkeypatch: pytest.MonkeyPatch, **parameters: Any) -> Any:
    ros.install(monkeypatch, config="panda", **parameters)
    module = imported()
    node = module.RosNode()
    node.now_ns = 5 * S
    return node


def feed(node: Any, command: str = "fold") -> None:
    image = ros.KINDS["sensor_msgs/Image"](height=2, width=2, encoding="rgb8", step=6, data=bytes(12))
    state = {"name": list(NAMES), "position": list(START), "velocity": [0.0] * 7}
    node.give("/camera/image_raw", image)
    node.give("/joint_states", ros.KINDS["sensor_msgs/JointState"](**state))
    node.give("/command", ros.KINDS["std_msgs/String"](data=command))


def step(node: Any) -> None:
    ((_, call),) = node.timers_
    call()


def test_a_trajectory_goes_out_as_over_dds(monkeypatch: pytest.MonkeyPatch) -> None:
    node = ros_node(
        monkeypatch, policy="test_ros2_rclpy:rows", rate_hz=20.0, **{"topics.trajectory": "/arm/trajectory"}
    )
    assert node.timers_[0][0] == 0.05
    qualities = {topic: quality for topic, (_, _, quality) in node.subscriptions_.items()}
    assert qualities == {"/camera/image_raw": "sensor data", "/joint_states": 10, "/command": 10}
    step(node)
    assert node.published == {}
    assert "no image yet" in node.said[-1]
    feed(node)
    step(node)
    (sent,) = node.published["/arm/trajectory"]
    assert (sent.header.stamp.sec, sent.header.stamp.nanosec) == (5, 0)
    assert sent.joint_names == list(NAMES)
    np.testing.assert_allclose(sent.points[0].positions, START, atol=1e-7)
    np.testing.assert_allclose(sent.points[-1].positions, np.add(START, 0.1), atol=1e-7)
    assert [len(sent.points[1].velocities), len(sent.points[1].accelerations)] == [7, 7]
    assert node.ports.counts.sent == {"/arm/trajectory": 1}

    pytest.importorskip("cyclonedds", reason="pip install 'vla-rt[ros2]'")
    from vla_rt.integrations.ros2 import dds_types

    plain = ros2.JointState(7, ("a",), (1.0,), (2.0,))
    here, there = to_wire(plain, ros.KINDS.__getitem__), to_wire(plain, dds_types.kind_of)
    assert (here.name, here.position, here.velocity) == (there.name, there.position, there.velocity)
    assert list(vars(here)) == list(vars(there))


def test_a_task_node_has_its_three_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    node = ros_node(monkeypatch, node="task", policy="test_ros2_rclpy:act", max_linear=0.05)
    feed(node, "go to the door")
    step(node)
    (twist,) = node.published["/cmd_vel"]
    np.testing.assert_allclose((twist.linear.x, twist.angular.z), (0.05, 0.1))
    node.now_ns += 6 * S
    step(node)
    assert node.published["/cmd_vel"][-1] == ros.KINDS["geometry_msgs/Twist"]()
    assert "old" in node.said[-1]


def test_nothing_ends_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    node = ros_node(monkeypatch, policy="test_ros2_rclpy:rows")
    feed(node)
    node.give("/command", ros.KINDS["std_msgs/String"](data=" "))  # refused: the one before stays
    node.broken = True
    step(node)
    assert node.ports.counts.refused == node.ports.counts.unsent == 1
    assert "the context is not valid" in node.said[-1]
    assert "must not be empty" in node.said[-1]
    node.broken = False
    step(node)
    assert len(node.published["/joint_trajectory"]) == 1
    node.give("/command", ros.KINDS["std_msgs/String"](data="dance"))  # the policy asserts it away
    step(node)
    assert node.ports.status.errors == 1
    assert len(node.published["/joint_trajectory"]) == 1


@pytest.mark.parametrize("ends", [KeyboardInterrupt, ros.ExternalShutdownException, None])
def test_main_starts_and_ends(monkeypatch: pytest.MonkeyPatch, ends: Any) -> None:
    ros.install(monkeypatch, config="panda", policy="test_ros2_rclpy:rows")
    module = imported()

    def spin(node: Any) -> None:
        feed(node)
        step(node)
        if ends is not None:
            raise ends

    ros.WORLD["spin"] = spin
    module.main()
    assert ros.WORLD["calls"] == ["init", "destroy_node", "try_shutdown"]
    assert len(ros.WORLD["node"].published["/joint_trajectory"]) == 1
    ros.WORLD["parameters"]["node"] = "other"
    with pytest.raises(vr.ConfigError, match="must be policy or task"):
        module.main()
    assert ros.WORLD["calls"][-1] == "try_shutdown"


def test_without_ros_it_says_what_to_do() -> None:
    with pytest.raises(ImportError, match=r"setup\.bash.*dds_bridge"):
        importlib.import_module("vla_rt.integrations.ros2.ros_node")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"config": ""}, "config: is missing"),
        ({"config": "panda"}, "policy.package"),
        ({"config": "pandas"}, "pandas"),
        ({"node": "task"}, "policy: is missing"),
        ({"policy": "nowhere:act"}, "must be module:name"),
        ({"policy": "test_ros2_rclpy:S"}, "must be callable"),
        ({"set": ("robot.joint_names=null",), "policy": "test_ros2_rclpy:rows"}, "joint_names"),
        ({"rate_hz": 0.0, "policy": "test_ros2_rclpy:rows"}, "rate_hz"),
        ({"image_timeout_s": 0.0, "policy": "test_ros2_rclpy:rows"}, "image_timeout_s"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(vr.ConfigError, match=text):
        make_node(NodeSettings(**{"config": "panda", **changes}))


def test_a_package_is_shown_what_it_calls_the_values() -> None:
    seen: list[dict[str, Any]] = []

    class Package:
        spec = types.SimpleNamespace(n_obs_steps=1, period_s=0.05)

        def sample(self, observation: dict[str, Any]) -> np.ndarray:
            seen.append(observation)
            return np.zeros((2, 7))

    source = ChunkSource(Package(), Features(image="top", command="prompt"))
    assert source.period_s == 0.05
    values = {"image": np.zeros((2, 2, 3), np.uint8), "joints": np.zeros(7), "command": "fold"}
    source(values)
    assert set(seen[0]) == {"top", "observation.state", "prompt"}
    ChunkSource(Package(), Features(image=""))(values)
    assert set(seen[1]) == {"observation.state"}
    Package.spec.n_obs_steps = 2
    with pytest.raises(vr.ConfigError, match="n_obs_steps"):
        ChunkSource(Package(), Features())


# --- the ament package ------------------------------------------------------------------------------------


def test_shipped_parameters_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    ros.install(monkeypatch)
    module = imported()
    for file in sorted((PACKAGE / "config").glob("*.yaml")):
        given = yaml.safe_load(file.read_text())["/**"]["ros__parameters"]
        flat = {
            f"{key}.{inner}" if inner else key: value
            for key, group in given.items()
            for inner, value in (group.items() if isinstance(group, dict) else [("", group)])
        }
        assert set(flat) <= set(module.PARAMETERS), file.name
        for key, value in flat.items():
            assert type(value) is type(module.PARAMETERS[key]), key
        settings = module.settings_of({**module.PARAMETERS, **flat})
        assert settings.node == file.stem.partition("_")[0]
        RunConfig.from_file(settings.config, settings.set)


def test_the_ament_package_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = ElementTree.parse(PACKAGE / "package.xml").getroot()
    assert manifest.findtext("name") == PACKAGE.name
    assert manifest.findtext("version") == vr.__version__
    assert manifest.findtext("export/build_type") == "ament_python"
    needed = {element.text for element in manifest.iter("exec_depend")}
    assert {kind.split("/")[0] for kind in ros.KINDS} | {"rclpy", "launch_ros"} <= needed
    given: dict[str, Any] = {}
    setup = types.ModuleType("setuptools")
    setup.setup = given.update  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "setuptools", setup)
    exec(compile((PACKAGE / "setup.py").read_text(), "setup.py", "exec"), {})
    assert (given["name"], given["version"]) == (PACKAGE.name, vr.__version__)
    assert all((PACKAGE / file).is_file() for _, files in given["data_files"] for file in files)
    listed = {file for _, files in given["data_files"] for file in files}
    assert {f"{d}/{f.name}" for d in ("launch", "config") for f in (PACKAGE / d).iterdir()} <= listed
    name, _, target = given["entry_points"]["console_scripts"][0].partition(" = ")
    module, _, function = target.partition(":")
    source = Path(vr.__file__).parents[1] / (module.replace(".", "/") + ".py")
    defined = {n.name for n in ast.parse(source.read_text()).body if isinstance(n, ast.FunctionDef)}
    assert function in defined
    assert f'executable="{name}"' in (PACKAGE / "launch/node.launch.py").read_text()


def test_the_launch_file_describes_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(name: str) -> Any:
        return type(name, (), {"__init__": lambda self, *a, **k: vars(self).update(given=(a, k))})

    for module, names in {
        "launch": ["LaunchDescription"],
        "launch.actions": ["DeclareLaunchArgument"],
        "launch.substitutions": ["LaunchConfiguration", "PathJoinSubstitution"],
        "launch_ros": [],
        "launch_ros.actions": ["Node"],
        "launch_ros.substitutions": ["FindPackageShare"],
    }.items():
        stand_in = types.ModuleType(module)
        vars(stand_in).update({name: kind(name) for name in names})
        monkeypatch.setitem(sys.modules, module, stand_in)
    body: dict[str, Any] = {}
    file = PACKAGE / "launch/node.launch.py"
    exec(compile(file.read_text(), file.name, "exec"), body)
    described = body["generate_launch_description"]()
    node = described.given[0][0][-1]
    assert node.given[1]["package"] == PACKAGE.name
    assert node.given[1]["parameters"][0].given[0] == ("params_file",)
