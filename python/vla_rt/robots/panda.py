"""The Franka Emika Panda in numbers: published kinematics and joint limits.

Source: Franka Control Interface documentation, "Robot and interface specifications"
(https://frankaemika.github.io/docs/control_parameters.html): Denavit-Hartenberg parameters in Craig's
convention and the limits in joint space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt.errors import require

if TYPE_CHECKING:
    from vla_rt._core import JointLimits

__all__ = [
    "PANDA_FLANGE_OFFSET",
    "PANDA_MAX_ACCELERATION",
    "PANDA_MAX_JERK",
    "PANDA_MAX_POSITION",
    "PANDA_MAX_TORQUE",
    "PANDA_MAX_VELOCITY",
    "PANDA_MIN_POSITION",
    "PANDA_TOOL_OFFSET",
    "panda_forward",
    "panda_limits",
    "panda_urdf",
]

_Array = NDArray[np.float64]


def _constant(values: ArrayLike) -> _Array:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


_HALF_PI = np.pi / 2
#: One row per joint: a [m], d [m], alpha [rad] in Craig's convention: a and alpha belong to link i-1.
_DH = _constant(
    [
        (0.0, 0.333, 0.0),
        (0.0, 0.0, -_HALF_PI),
        (0.0, 0.316, _HALF_PI),
        (0.0825, 0.0, _HALF_PI),
        (-0.0825, 0.384, -_HALF_PI),
        (0.0, 0.0, _HALF_PI),
        (0.088, 0.0, _HALF_PI),
    ]
)
PANDA_FLANGE_OFFSET = 0.107  #: [m] from frame 7 along its z axis
PANDA_TOOL_OFFSET = 0.1034  #: [m] from the flange on along the same axis: the Franka Hand's fingertips

PANDA_MIN_POSITION = _constant([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])  #: [rad]
PANDA_MAX_POSITION = _constant([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])  #: [rad]
PANDA_MAX_VELOCITY = _constant([2.1750, 2.1750, 2.1750, 2.1750, 2.6100, 2.6100, 2.6100])  #: [rad/s]
PANDA_MAX_ACCELERATION = _constant([15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0])  #: [rad/s^2]
PANDA_MAX_JERK = _constant([7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0])  #: [rad/s^3]
PANDA_MAX_TORQUE = _constant([87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0])  #: [Nm]


def panda_limits() -> JointLimits:
    """Published position, velocity, acceleration and jerk limits of the seven joints."""
    from vla_rt._core import JointLimits

    return JointLimits(
        PANDA_MIN_POSITION, PANDA_MAX_POSITION, PANDA_MAX_VELOCITY, PANDA_MAX_ACCELERATION, PANDA_MAX_JERK
    )


def panda_forward(position: ArrayLike, tool_offset: float = PANDA_FLANGE_OFFSET) -> _Array:
    """Pose of a point on the last joint's axis: the product of the published Denavit-Hartenberg transforms.

    Args:
        position: Joint positions (..., 7) [rad].
        tool_offset: Distance from frame 7 along its z axis [m]; the flange by default.

    Returns:
        Homogeneous transforms (..., 4, 4) from the tool's frame to the base, translation in m.

    Raises:
        ConfigError: The last axis is not 7 long.
    """
    q = np.asarray(position, dtype=np.float64)
    require(q.ndim > 0 and q.shape[-1] == 7, "position.shape", q.shape, "the last axis must hold 7 joints")
    pose = np.broadcast_to(np.eye(4), (*q.shape[:-1], 4, 4))
    for joint, (a, d, alpha) in enumerate(_DH):
        c, s = np.cos(q[..., joint]), np.sin(q[..., joint])
        ca, sa = np.cos(alpha), np.sin(alpha)
        link = np.zeros((*q.shape[:-1], 4, 4))
        link[..., 0, 0], link[..., 0, 1], link[..., 0, 3] = c, -s, a
        link[..., 1, 0], link[..., 1, 1], link[..., 1, 2], link[..., 1, 3] = s * ca, c * ca, -sa, -d * sa
        link[..., 2, 0], link[..., 2, 1], link[..., 2, 2], link[..., 2, 3] = s * sa, c * sa, ca, d * ca
        link[..., 3, 3] = 1.0
        pose = pose @ link
    tool = np.eye(4)
    tool[2, 3] = tool_offset
    return np.asarray(pose @ tool)


def panda_urdf() -> str:
    """The published kinematics and limits as a URDF: links panda_link0 to panda_link7 and ``panda_tool``.

    The tool is where the fingertips of the Franka Hand would be. It holds no shapes.
    """
    links = "".join(f'<link name="panda_link{i}"/>' for i in range(8)) + '<link name="panda_tool"/>'
    joints = []
    for i, (a, d, alpha) in enumerate(_DH):
        origin = " ".join(repr(float(x)) for x in (a, -np.sin(alpha) * d, np.cos(alpha) * d))
        joints.append(
            f'<joint name="panda_joint{i + 1}" type="revolute"><parent link="panda_link{i}"/>'
            f'<child link="panda_link{i + 1}"/><origin xyz="{origin}" rpy="{float(alpha)!r} 0 0"/>'
            f'<axis xyz="0 0 1"/><limit lower="{PANDA_MIN_POSITION[i]}" upper="{PANDA_MAX_POSITION[i]}" '
            f'velocity="{PANDA_MAX_VELOCITY[i]}" effort="{PANDA_MAX_TORQUE[i]}"/></joint>'
        )
    offset = PANDA_FLANGE_OFFSET + PANDA_TOOL_OFFSET
    tool = (
        '<joint name="panda_tool_joint" type="fixed"><parent link="panda_link7"/><child link="panda_tool"/>'
        f'<origin xyz="0 0 {offset}" rpy="0 0 0"/></joint>'
    )
    return f'<robot name="panda">{links}{"".join(joints)}{tool}</robot>\n'
