"""The node that acts on what it is told: navigation, grasping, manipulation, or anything else, carefully."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._core import ConstraintEnforcer
from vla_rt.errors import ModelError, error, require
from vla_rt.integrations.ros2.messages import JointState, Pose, Twist
from vla_rt.integrations.ros2.node_core import Node, NodeConfig, NodeStatus

__all__ = ["Outputs", "TaskKind", "TaskNode", "TaskNodeConfig", "task_of"]


class TaskKind(str, Enum):
    """What a command asks for, and with it which port the answer goes to."""

    NAVIGATION = "navigation"  #: a twist (6,)
    GRASPING = "grasping"  #: joint positions (N,)
    MANIPULATION = "manipulation"  #: a pose (7,): position and quaternion x, y, z, w
    OTHER = "other"  #: a twist (6,), scaled down


_WORDS = {
    TaskKind.NAVIGATION: ("go", "drive", "move to", "navigate", "turn", "follow", "come"),
    TaskKind.GRASPING: ("grasp", "grab", "pick", "hold", "grip"),
    TaskKind.MANIPULATION: ("place", "put", "push", "pull", "open", "close", "pour", "insert", "stack"),
}


def task_of(command: str) -> TaskKind:
    """The kind of task that a command names first; OTHER where it names none."""
    found = {
        match.start(): kind
        for kind, words in _WORDS.items()
        for word in words
        if (match := re.search(rf"\b{re.escape(word)}\b", command.lower()))
    }
    return found[min(found)] if found else TaskKind.OTHER


@dataclass(frozen=True)
class TaskNodeConfig(NodeConfig):
    """How a `TaskNode` acts.

    Attributes:
        max_linear: Largest speed of a twist [m/s].
        max_angular: Largest rate of a twist [rad/s].
        other_scale: Share of a twist that is sent for tasks of no known kind.
    """

    max_linear: float = 0.5
    max_angular: float = 1.0
    other_scale: float = 0.2

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        for name in ("max_linear", "max_angular"):
            value = getattr(self, name)
            require(0 < value <= 100, name, value, "must be in (0, 100]")
        require(0 <= self.other_scale <= 1, "other_scale", self.other_scale, "must be in [0, 1]")


@dataclass(frozen=True)
class Outputs:
    """What one step sends. What is None is not sent.

    Attributes:
        twist: Of the base; zero whenever the base is not to move.
        joints: Joint commands, within every limit; while nothing is to be done they come to rest and stay.
        pose: Of the tool.
        task: What the command was taken for.
        status: What the step came to.
    """

    twist: Twist | None
    joints: JointState | None
    pose: Pose | None
    task: TaskKind | None
    status: NodeStatus


class TaskNode(Node):
    """Image, joints and command in; twist, joint commands and pose out.

    A step never raises. Whatever is missing, too old, wrong or failing stops the robot: a zero twist, and
    joint commands that come to rest within their limits from where they were.

    Args:
        policy: `policy(observation, task)` with "image" (H, W, 3), "joints" (N,), "command" (text); answers
            what the `TaskKind` says.
        config: Names, limits, rates and timeouts.
        classify: What a command asks for.

    Attributes:
        inputs: Ports of image, joints and command.

    Raises:
        ConfigError: A field of `config` is out of its bounds.
    """

    def __init__(
        self,
        policy: Callable[[Mapping[str, Any], TaskKind], Any],
        config: TaskNodeConfig,
        classify: Callable[[str], TaskKind] = task_of,
    ) -> None:
        super().__init__(config)
        self._policy, self._config, self._classify = policy, config, classify
        self._enforcer = ConstraintEnforcer(config.limits, 1.0 / config.rate_hz)
        self._command: NDArray[np.float64] | None = None

    def step(self, now_ns: int) -> Outputs:
        """What to send at `now_ns`."""
        self._steps += 1
        values, reason = self.inputs.snapshot(now_ns)
        if reason:
            return self._stop(now_ns, reason)
        task: TaskKind | None = None
        try:
            task = TaskKind(self._classify(values["command"]))
            size = {TaskKind.GRASPING: len(self._config.joint_names), TaskKind.MANIPULATION: 7}.get(task, 6)
            action = np.asarray(self._policy(values, task), dtype=np.float64)
            if action.shape != (size,) or not np.isfinite(action).all():
                bound = f"must be {size} finite numbers for {task.value}"
                raise error(ModelError, "action", f"shape {action.shape}", bound)
            return self._dispatch(now_ns, task, action, values["joints"])
        except Exception as cause:  # whatever a policy raises must not end the node
            return self._stop(now_ns, self._failed(cause), task)

    def _dispatch(
        self, now_ns: int, task: TaskKind, action: NDArray[np.float64], joints: NDArray[np.float64]
    ) -> Outputs:
        status = self._status("")
        if task is TaskKind.GRASPING:
            if self._command is None:
                self._enforcer.reset(joints)
            return Outputs(Twist(), self._joints(now_ns, action, None), None, task, status)
        held = self._at_rest(now_ns)
        if task is TaskKind.MANIPULATION:
            length = float(np.linalg.norm(action[3:]))
            if length < 1e-6:
                raise error(ModelError, "action[3:]", length, "must be a quaternion")
            x, y, z, *rotation = (*action[:3], *(action[3:] / length))
            return Outputs(Twist(), held, Pose((x, y, z), _four(rotation)), task, status)
        scale = self._config.other_scale if task is TaskKind.OTHER else 1.0
        return Outputs(self._twist(scale * action), held, None, task, status)

    def _twist(self, action: NDArray[np.float64]) -> Twist:
        """Slowed down as a whole, so that it keeps its direction."""
        shares = (
            np.linalg.norm(action[:3]) / self._config.max_linear,
            np.linalg.norm(action[3:]) / self._config.max_angular,
        )
        kept = [float(value) for value in action / max(1.0, *(float(share) for share in shares))]
        return Twist((kept[0], kept[1], kept[2]), (kept[3], kept[4], kept[5]))

    def _joints(
        self, now_ns: int, target: NDArray[np.float64], velocity: NDArray[np.float64] | None
    ) -> JointState:
        command, _ = self._enforcer.apply(target, velocity)
        self._command = np.array(command)
        return JointState(now_ns, self._config.joint_names, tuple(float(v) for v in command))

    def _at_rest(self, now_ns: int) -> JointState | None:
        """On towards rest: the wish is to stand where the arm is."""
        if self._command is None:
            return None
        return self._joints(now_ns, self._command, np.zeros_like(self._command))

    def _stop(self, now_ns: int, reason: str, task: TaskKind | None = None) -> Outputs:
        return Outputs(Twist(), self._at_rest(now_ns), None, task, self._status(reason))


def _four(values: Any) -> tuple[float, float, float, float]:
    x, y, z, w = (float(value) for value in values)
    return x, y, z, w
