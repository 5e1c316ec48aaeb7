"""What the arm works on: a gripper with a cube, and coloured blocks on the floor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vla_rt.sim.arm import DEFAULT_MODEL, import_mujoco

__all__ = ["BLOCK_HALF_SIZE", "COLORS", "CUBE_HALF_SIZE", "GRIPPER_RANGE", "blocks_scene", "pick_scene"]

CUBE_HALF_SIZE = 0.02  #: of the cube to pick [m]
BLOCK_HALF_SIZE = 0.025  #: of the blocks to touch [m]
GRIPPER_RANGE = 0.04  #: of each finger from the middle [m]
_GRIPPER = Path(__file__).with_name("gripper.xml")
_FLANGE = 0.107  # from joint 7 along its axis [m]

#: Of the blocks, by the word that names them: red, green, blue, alpha.
COLORS: Mapping[str, tuple[float, float, float, float]] = {
    "red": (0.85, 0.10, 0.10, 1.0),
    "green": (0.10, 0.65, 0.15, 1.0),
    "blue": (0.10, 0.20, 0.85, 1.0),
    "yellow": (0.95, 0.80, 0.05, 1.0),
    "purple": (0.55, 0.10, 0.65, 1.0),
    "orange": (0.95, 0.45, 0.05, 1.0),
}


def pick_scene() -> Any:
    """The arm with a gripper in place of the stylus, and a cube that moves freely (mujoco.MjModel).

    Joint 8 is the gripper: how far each finger is from the middle [m]. What holds the cube is friction.
    """
    mujoco = import_mujoco()
    spec = mujoco.MjSpec.from_file(str(DEFAULT_MODEL))
    spec.delete(spec.geom("stylus"))
    spec.delete(spec.key("home"))
    # the hand is turned by 45 degrees about the flange's axis, as the Franka Hand is
    half = np.pi / 8
    frame = spec.body("link7").add_frame(pos=[0, 0, _FLANGE], quat=[np.cos(half), 0, 0, -np.sin(half)])
    frame.attach_body(mujoco.MjSpec.from_file(str(_GRIPPER)).body("hand"), "gripper_", "")
    _add_box(mujoco, spec, "cube", CUBE_HALF_SIZE, (0.85, 0.45, 0.10, 1.0), 0.08)
    _make_goal_flat(mujoco, spec)
    # friction is all that holds the cube: no creep
    spec.option.impratio = 10.0
    return _with_home(mujoco, spec, [GRIPPER_RANGE, GRIPPER_RANGE])


def blocks_scene(colors: tuple[str, ...]) -> Any:
    """The arm with its stylus and one free block per colour on the floor, seen by the camera ``table``."""
    mujoco = import_mujoco()
    spec = mujoco.MjSpec.from_file(str(DEFAULT_MODEL))
    spec.delete(spec.key("home"))
    for color in colors:
        _add_box(mujoco, spec, f"block_{color}", BLOCK_HALF_SIZE, COLORS[color], 0.2)
    spec.geom("goal").rgba[3] = 0.0
    # rendered by the processor: a tenth of the time, at the size of a policy's picture the same to look at
    spec.visual.quality.shadowsize, spec.visual.quality.offsamples = 512, 2
    spec.material("grid").reflectance = 0.0
    spec.worldbody.add_camera(name="table", pos=[1.25, 0.0, 0.75], fovy=33.0, quat=_looking_at_table())
    return _with_home(mujoco, spec, [])


def _looking_at_table() -> list[float]:
    """Orientation of a camera at (1.25, 0, 0.75) that looks at (0.48, 0, 0): its z axis points backwards."""
    mujoco = import_mujoco()
    back = np.array([1.25 - 0.48, 0.0, 0.75])
    back /= np.linalg.norm(back)
    right = np.array([0.0, 1.0, 0.0])
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.column_stack([right, np.cross(back, right), back]).ravel())
    return quat.tolist()


def _add_box(
    mujoco: Any, spec: Any, name: str, half_size: float, color: tuple[float, ...], mass: float
) -> None:
    body = spec.worldbody.add_body(name=name, pos=[0.5, 0.0, half_size])
    body.add_freejoint(name=name)
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[half_size] * 3,
        rgba=list(color),
        mass=mass,
        condim=4,
        friction=[1.0, 0.01, 0.001],
        solref=[0.006, 1.0],
        contype=4,
        conaffinity=4,
    )


def _make_goal_flat(mujoco: Any, spec: Any) -> None:
    """The goal is a place on the floor, not in the air."""
    goal = spec.geom("goal")
    goal.type, goal.size = mujoco.mjtGeom.mjGEOM_CYLINDER, [0.03, 0.0005, 0.0]


def _with_home(mujoco: Any, spec: Any, fingers: list[float]) -> Any:
    """Compiles it with the rest posture of arm.xml, which knows no other joints."""
    home = mujoco.MjModel.from_xml_path(str(DEFAULT_MODEL)).key("home").qpos
    qpos = spec.compile().qpos0.copy()
    qpos[: len(home) + len(fingers)] = [*home, *fingers]
    spec.add_key(name="home", qpos=qpos.tolist())
    return spec.compile()
