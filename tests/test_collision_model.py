"""Collision models: distances by an oracle, capsules around meshes, links off the chain, errors."""

from __future__ import annotations

import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import vla_rt as vr
from example_robots import example_robot
from panda_oracle import Oracle
from panda_scene import CAPSULES, LIMITS, LOWER, READY, UPPER, model

PERIOD = 1e-3


@pytest.fixture(scope="module")
def urdf() -> Path:
    return example_robot("panda").path


@pytest.fixture(scope="module")
def panda() -> vr.Kinematics:
    return example_robot("panda").kinematics


@pytest.fixture(scope="module")
def collision(panda: vr.Kinematics) -> vr.CollisionModel:
    return model(panda)


def test_distance_equals_the_oracle(panda, collision, urdf):
    oracle = Oracle(urdf)
    rng = np.random.default_rng(0)
    for _ in range(150):
        q = rng.uniform(LIMITS.min_position, LIMITS.max_position)
        expected = oracle.clearance(q)
        if expected > -0.03:  # deeper, segments cross and the distance is only a bound
            assert collision.distance(q) == pytest.approx(expected, abs=1e-9)


ROBOTS = [
    ("panda_description/urdf/panda.urdf", "panda_hand_tcp", READY),
    ("ur_description/urdf/ur5_robot.urdf", "tool0", np.array([0, -1.2, 1.5, -1.8, -1.57, 0])),
    ("so_arm_description/urdf/so101.urdf", "gripper_frame_link", np.zeros(5)),
]


def stl_corners(path: Path) -> np.ndarray:
    triangle = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    return np.frombuffer(path.read_bytes()[84:], triangle)["corners"].reshape(-1, 3).astype(float)


@pytest.mark.parametrize(("name", "tip", "pose"), ROBOTS)
def test_capsules_fitted_to_a_robots_meshes_hold_them(urdf, name, tip, pose):
    robots = urdf.parents[2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chain = vr.Kinematics.from_urdf(str(robots / name), tip)
    capsules = iter(vr.CollisionModel.capsules_of(chain))
    meshes = 0
    for link in ElementTree.parse(robots / name).getroot().iter("link"):
        if link.get("name") not in chain.link_names:
            continue
        for shape in link.iter("collision"):
            capsule = next(capsules)
            assert capsule.link == link.get("name")
            mesh = shape.find("geometry/mesh")
            if mesh is None:
                continue
            file = robots / mesh.get("filename").removeprefix("package://example-robot-data/robots/")
            scale = np.array((mesh.get("scale") or "1 1 1").split(), float)
            origin = shape.find("origin")
            at = {} if origin is None else origin.attrib
            turn = rotation_of(np.array(at.get("rpy", "0 0 0").split(), float))
            shift = np.array(at.get("xyz", "0 0 0").split(), float)
            corners = stl_corners(file) * scale @ turn.T + shift
            axis = capsule.end - capsule.start
            along = np.clip((corners - capsule.start) @ axis / max(axis @ axis, 1e-300), 0, 1)
            away = np.linalg.norm(corners - capsule.start - along[:, None] * axis, axis=1)
            assert away.max() <= capsule.radius + 1e-9
            length, r = np.linalg.norm(axis), capsule.radius
            middle = (corners.max(axis=0) + corners.min(axis=0)) / 2
            sphere = np.linalg.norm(corners - middle, axis=1).max()
            assert r**2 * (3 / 4 * length + r) <= sphere**3  # and not by being huge
            meshes += 1
    assert meshes >= 7
    model = vr.CollisionModel(chain)
    ignored = vr.CollisionModel(chain, ignore=model.overlaps(pose))
    assert ignored.overlaps(pose) == []
    assert ignored.distance(pose) > 0
    assert ignored.num_pairs > 0.7 * model.num_pairs


def rotation_of(rpy: np.ndarray) -> np.ndarray:
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    return np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ y @ x


def test_wrong_set_ups(panda, collision, urdf, tmp_path):
    with pytest.raises(vr.ConfigError, match="kinematics = None"):
        vr.ConstraintEnforcer(LIMITS, PERIOD, workspace=vr.Workspace(LOWER, UPPER))
    one = vr.JointLimits([-1], [1], [1], [1], [1])
    with pytest.raises(vr.ConfigError, match="kinematics = 7 joints"):
        vr.ConstraintEnforcer(one, PERIOD, panda, vr.Workspace(LOWER, UPPER))
    with pytest.raises(vr.ConfigError, match=r"upper\[1\]"):
        vr.Workspace([0, 0, 0], [1, 0, 1])
    with pytest.raises(vr.ConfigError, match="no wall"):
        vr.Workspace()
    with pytest.raises(vr.ConfigError, match="no_link"):
        vr.ConstraintEnforcer(LIMITS, PERIOD, panda, vr.Workspace(LOWER, UPPER, link="no_link"))
    with pytest.raises(vr.ConfigError, match=r"capsules\[0\].radius = -1"):
        vr.CollisionModel(panda, [("panda_hand", [0, 0, 0], -1.0)])
    with pytest.raises(vr.ConfigError, match=r"capsules\[0\].link = nobody"):
        vr.CollisionModel(panda, [("nobody", [0, 0, 0], 1.0)])
    with pytest.raises(vr.ConfigError, match=r"world\[0\] = int"):
        vr.CollisionModel(panda, CAPSULES, world=[3])
    with pytest.raises(vr.ConfigError, match=r"ignore\[0\] = nobody"):
        vr.CollisionModel(panda, CAPSULES, ignore=[("nobody", "panda_hand")])
    alone = tmp_path / "panda.urdf"
    alone.write_text(urdf.read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chain = vr.Kinematics.from_urdf(str(alone), "panda_hand_tcp")
    with pytest.raises(
        vr.ConfigError, match=r"panda_link0: has the mesh .* not found from .*give the capsules"
    ):
        vr.CollisionModel(chain)
    with pytest.raises(vr.ConfigError, match="q"):
        collision.distance(np.zeros(6))


def test_a_link_called_world_makes_that_name_ambiguous(urdf):
    robots = urdf.parents[2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ur5 = vr.Kinematics.from_urdf(str(robots / "ur_description/urdf/ur5_robot.urdf"), "tool0")
    assert "world" in ur5.link_names
    with pytest.raises(vr.ConfigError, match=r"ignore\[0\] = world: is ambiguous"):
        vr.CollisionModel(ur5, ignore=[("world", "wrist_3_link")])


def test_fingers_are_kept_clear_wherever_they_are(panda):
    robot = example_robot("panda")
    pin = pytest.importorskip("pinocchio", reason="needs pin (oracle environment)")
    data, frame = robot.model.createData(), robot.model.getFrameId("panda_leftfinger")
    ends = np.array([[0, 0, 0.01], [0, 0.01, 0.045]])
    center = panda.forward(READY)[:3, 3] + [0, 0.08, 0]
    fingers = vr.CollisionModel(
        panda, [("panda_leftfinger", ends[0], ends[1], 0.008)], [vr.Sphere(center, 0.02)]
    )
    rng = np.random.default_rng(0)
    spare = []
    for _ in range(300):
        q = READY + rng.uniform(-0.15, 0.15, 7)
        least = np.inf
        for opening in (0.0, 0.04, rng.uniform(0, 0.04)):
            full = pin.neutral(robot.model)
            full[robot.joints] = q
            full[7:] = opening
            pin.framesForwardKinematics(robot.model, data, full)
            m = data.oMf[frame]
            a, b = ends @ m.rotation.T + m.translation
            at = np.clip((center - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
            least = min(least, np.linalg.norm(center - a - at * (b - a)) - 0.008 - 0.02)
        spare.append(least - fingers.distance(q))
    assert min(spare) >= -1e-9
    assert max(spare) <= 0.04 + 1e-9  # the stroke


def test_a_link_behind_a_joint_off_the_chain_has_no_workspace(panda):
    walls = vr.Workspace(LOWER, UPPER, link="panda_leftfinger")
    with pytest.raises(vr.ConfigError, match="panda_leftfinger: moves by joint panda_finger_joint1"):
        vr.ConstraintEnforcer(LIMITS, PERIOD, panda, walls)
