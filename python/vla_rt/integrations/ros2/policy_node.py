"""The node that runs a policy over chunks: image, joints and instruction in, joint trajectories out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt import MAX_HORIZON
from vla_rt._core import RowInterpolator
from vla_rt.errors import ModelError, error, require
from vla_rt.integrations.ros2.messages import JointTrajectory, JointTrajectoryPoint
from vla_rt.integrations.ros2.node_core import Node, NodeConfig, NodeStatus

__all__ = ["PolicyNode", "PolicyNodeConfig"]


@dataclass(frozen=True)
class PolicyNodeConfig(NodeConfig):
    """How a `PolicyNode` acts: rows beyond the limits of position are refused.

    Attributes:
        period_s: Time between the rows of a chunk [s].
    """

    period_s: float = 0.1

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        require(1e-4 <= self.period_s <= 60, "period_s", self.period_s, "must be in [1e-4, 60] s")


class PolicyNode(Node):
    """Makes trajectories with positions, velocities and accelerations of a policy's chunks.

    A step never raises. Where it answers no trajectory, the robot's controller finishes the one that it has.

    Args:
        policy: `policy(observation)` with "image", "joints", "command"; answers (T, N) positions, row 0 for
            now.
        config: Names, limits, rates and timeouts.

    Attributes:
        inputs: Ports of image, joints and command.

    Raises:
        ConfigError: A field of `config` is out of its bounds.
    """

    def __init__(self, policy: Callable[[Mapping[str, Any]], Any], config: PolicyNodeConfig) -> None:
        super().__init__(config)
        self._policy, self._config = policy, config

    def step(self, now_ns: int) -> tuple[JointTrajectory | None, NodeStatus]:
        """The trajectory to send at `now_ns`, or None, and why."""
        self._steps += 1
        values, reason = self.inputs.snapshot(now_ns)
        if not reason:
            try:
                rows = self._checked(self._policy(values))
                return self._trajectory(now_ns, rows), self._status("")
            except Exception as cause:  # whatever a policy raises must not end the node
                reason = self._failed(cause)
        return None, self._status(reason)

    def _checked(self, answer: Any) -> NDArray[np.float64]:
        rows = np.asarray(answer, dtype=np.float64)
        joints = len(self._config.joint_names)
        if rows.ndim != 2 or not 2 <= len(rows) <= MAX_HORIZON or rows.shape[1] != joints:
            raise error(ModelError, "chunk", f"shape {rows.shape}", f"must be (2..{MAX_HORIZON}, {joints})")
        low, high = self._config.limits.min_position, self._config.limits.max_position
        bad = np.argwhere(~(np.isfinite(rows) & (rows >= low) & (rows <= high)))
        if len(bad):
            row, joint = bad[0]
            name = self._config.joint_names[joint]
            bound = f"must be in [{low[joint]:g}, {high[joint]:g}]"
            raise error(ModelError, f"chunk[{row}][{name}]", rows[row, joint], bound)
        return rows

    def _trajectory(self, now_ns: int, rows: NDArray[np.float64]) -> JointTrajectory:
        period_s = self._config.period_s
        motion = RowInterpolator(rows, period_s, "cubic")
        points = []
        for k in range(len(rows)):
            position, velocity, acceleration = (_numbers(v) for v in motion.at(k * period_s))
            points.append(JointTrajectoryPoint(position, velocity, acceleration, k * period_s))
        return JointTrajectory(now_ns, self._config.joint_names, tuple(points))


def _numbers(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
