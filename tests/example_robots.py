"""Robots of the package example-robot-data, with pinocchio as the oracle of where their tools are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

import vla_rt as vr

_FILES = {
    "panda": ("panda_description/urdf/panda.urdf", "panda_hand_tcp"),
    "ur5": ("ur_description/urdf/ur5_robot.urdf", "tool0"),
    "so101": ("so_arm_description/urdf/so101.urdf", "gripper_frame_link"),
}


@dataclass(frozen=True)
class ExampleRobot:
    """A chain as vla_rt reads it, and pinocchio's model of the same file."""

    path: Path
    tip: str
    kinematics: vr.Kinematics
    limits: vr.JointLimits
    model: Any
    joints: NDArray[np.int64]

    def pose(self, q: ArrayLike) -> NDArray[np.float64]:
        """Position and quaternion of the tool (7,), by pinocchio."""
        import pinocchio as pin

        data, full = self.model.createData(), pin.neutral(self.model)
        full[self.joints] = q
        pin.framesForwardKinematics(self.model, data, full)
        return np.asarray(pin.SE3ToXYZQUAT(data.oMf[self.model.getFrameId(self.tip)]))

    def random(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Joint positions within the limits (N,)."""
        return rng.uniform(self.limits.min_position, self.limits.max_position)


@cache
def example_robot(name: str) -> ExampleRobot:
    pin = pytest.importorskip("pinocchio", reason="needs pin (oracle environment)")
    try:
        files = distribution("example-robot-data").files or []
    except PackageNotFoundError:
        pytest.skip("needs example-robot-data (pip install vla-rt[dev])")
    robots = Path(str(next(f.locate() for f in files if f.name == "panda.urdf"))).parents[2]
    urdf, tip = _FILES[name]
    path = robots / urdf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinematics = vr.Kinematics.from_urdf(str(path), tip)
        limits = vr.JointLimits.from_urdf(path, tip)
    model = pin.buildModelFromUrdf(str(path))
    joints = np.array([model.joints[model.getJointId(n)].idx_q for n in kinematics.joint_names])
    return ExampleRobot(path, tip, kinematics, limits, model, joints)


def pose_error(a: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """Distance [m] and angle [rad] between two poses (7,)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    cosine = abs(float(a[3:] @ b[3:])) / float(np.linalg.norm(a[3:]) * np.linalg.norm(b[3:]))
    return float(np.linalg.norm(a[:3] - b[:3])), 2 * float(np.arccos(min(1.0, cosine)))
