"""Workspace and collision: nothing leaves the box or touches, by pinocchio, at ten times the control rate."""

from __future__ import annotations

import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import vla_rt as vr

PERIOD = 1e-3
READY = np.array([0, -0.785, 0, -2.356, 0, 1.571, 0.785])
LOWER, UPPER = np.array([0.2, -0.5, 0.05]), np.array([0.75, 0.5, 0.9])
LIMITS = vr.JointLimits(
    [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973],
    [2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973],
    [2.175] * 4 + [2.61] * 3,
    [15, 7.5, 10, 12.5, 15, 20, 20],
    [7500, 3750, 5000, 6250, 7500, 10000, 10000],
)
CAPSULES = [
    ("panda_link0", [-0.06, 0, 0.06], [0, 0, 0.06], 0.08),
    ("panda_link1", [0, 0, -0.19], [0, 0, -0.14], 0.07),
    ("panda_link2", [0, 0, -0.06], [0, 0, 0.06], 0.07),
    ("panda_link3", [0, 0, -0.1], [0, 0, -0.05], 0.065),
    ("panda_link4", [0, 0, -0.05], [0, 0, 0.05], 0.065),
    ("panda_link5", [0, 0, -0.26], [0, 0, -0.23], 0.065),
    ("panda_link5", [0, 0.08, -0.18], [0, 0.08, -0.05], 0.035),
    ("panda_link6", [0.0, 0, -0.04], [0.04, 0, 0.02], 0.06),
    ("panda_link7", [0, 0, -0.02], [0, 0, 0.05], 0.055),
    ("panda_hand", [0, -0.07, 0.04], [0, 0.07, 0.04], 0.04),
    ("panda_hand", [0, 0, 0.06], 0.03),
]
BOX_CENTER, BOX_SIZE = np.array([0.5, 0.4, 0.2]), np.array([0.2, 0.2, 0.4])
MAY_TOUCH = [("panda_link0", "world"), ("panda_link1", "world"), ("panda_link5", "panda_link7")]


@pytest.fixture(scope="module")
def urdf() -> Path:
    try:
        files = distribution("example-robot-data").files or []
    except PackageNotFoundError:
        pytest.skip("needs example-robot-data (pip install vla-rt[dev])")
    return Path(str(next(f.locate() for f in files if f.name == "panda.urdf")))


@pytest.fixture(scope="module")
def panda(urdf: Path) -> vr.Kinematics:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return vr.Kinematics.from_urdf(str(urdf), "panda_hand_tcp")


@pytest.fixture(scope="module")
def collision(panda: vr.Kinematics) -> vr.CollisionModel:
    world = [vr.HalfSpace([0, 0, 1], 0.0), vr.Box(BOX_CENTER, BOX_SIZE)]
    return vr.CollisionModel(panda, CAPSULES, world, MAY_TOUCH)


def make(panda, collision, start=READY, **options) -> vr.ConstraintEnforcer:
    e = vr.ConstraintEnforcer(LIMITS, PERIOD, panda, vr.Workspace(LOWER, UPPER), collision, **options)
    e.reset(start)
    return e


def free_start(e: vr.ConstraintEnforcer, rng: np.random.Generator) -> np.ndarray:
    """Any place the enforcer takes as a start, at rest; the enforcer stands there."""
    for _ in range(10_000):
        start = rng.uniform(LIMITS.min_position, LIMITS.max_position)
        try:
            e.reset(start)
        except vr.ConfigError:
            continue
        return start
    raise AssertionError("no free place")


class Oracle:
    """Tool position and clearance of the Panda by pinocchio and by its own formulas."""

    def __init__(self, urdf: Path) -> None:
        self.pin = pytest.importorskip("pinocchio", reason="needs pin (oracle environment)")
        self.model = self.pin.buildModelFromUrdf(str(urdf))
        self.data = self.model.createData()
        self.full = self.pin.neutral(self.model)
        self.bodies = []
        for capsule in CAPSULES:
            link, start, *end, radius = capsule
            ends = np.array([start, end[0] if end else start], float)
            frame = self.model.getFrameId(link)
            self.bodies.append((link, self.joint_of(link), frame, ends, radius))
        self.tip = self.model.getFrameId("panda_hand_tcp")

    @staticmethod
    def joint_of(link: str) -> int:
        return 7 if link == "panda_hand" else int(link.removeprefix("panda_link"))

    def tool(self, q: np.ndarray) -> np.ndarray:
        self.full[:7] = q
        self.pin.framesForwardKinematics(self.model, self.data, self.full)
        return self.data.oMf[self.tip].translation.copy()

    def clearance(self, q: np.ndarray) -> float:
        self.tool(q)
        placed = []
        for link, joint, frame, ends, radius in self.bodies:
            m = self.data.oMf[frame]
            placed.append((link, joint, ends @ m.rotation.T + m.translation, radius))
        least = np.inf
        for i, (link, joint, ends, radius) in enumerate(placed):
            for other, other_joint, other_ends, other_radius in placed[i + 1 :]:
                if abs(joint - other_joint) > 1 and (link, other) not in MAY_TOUCH:
                    least = min(least, segments_apart(ends, other_ends) - radius - other_radius)
            if joint > 1:
                least = min(least, ends[:, 2].min() - radius, segment_to_box(ends) - radius)
        return float(least)


def segments_apart(a: np.ndarray, b: np.ndarray) -> float:
    """Least distance by the four end-to-segment distances and the lines' common perpendicular."""

    def to_segment(p, s):
        d = s[1] - s[0]
        t = np.clip((p - s[0]) @ d / max(d @ d, 1e-300), 0, 1)
        return np.linalg.norm(p - s[0] - t * d)

    best = min(to_segment(a[0], b), to_segment(a[1], b), to_segment(b[0], a), to_segment(b[1], a))
    u, v, w = a[1] - a[0], b[1] - b[0], b[0] - a[0]
    normal = np.cross(u, v)
    n2 = normal @ normal
    if n2 > 1e-20:
        s, t = np.cross(w, v) @ normal / n2, np.cross(w, u) @ normal / n2
        if 0 <= s <= 1 and 0 <= t <= 1:
            best = min(best, abs(w @ normal) / np.sqrt(n2))
    return float(best)


def segment_to_box(ends: np.ndarray) -> float:
    """Least distance by golden-section search: the distance is convex along the segment."""
    lo, hi = 0.0, 1.0
    half = BOX_SIZE / 2

    def f(t):
        return np.linalg.norm(np.maximum(np.abs(ends[0] + t * (ends[1] - ends[0]) - BOX_CENTER) - half, 0))

    if np.array_equal(ends[0], ends[1]):
        return float(f(0))
    g = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = hi - g * (hi - lo), lo + g * (hi - lo)
        lo, hi = (lo, b) if f(a) < f(b) else (a, hi)
    return float(min(f(lo), f(hi)))


def streams(ticks: int, rng: np.random.Generator):
    """Wild targets (ticks, 7)."""
    lo, hi = LIMITS.min_position, LIMITS.max_position
    t = np.arange(ticks)[:, None] * PERIOD
    yield "jumps", np.repeat(rng.uniform(lo, hi, (ticks // 600 + 1, 7)), 600, axis=0)[:ticks]
    yield "bang", np.where(rng.random((ticks // 40 + 1, 7)) < 0.5, lo - 1, hi + 1).repeat(40, axis=0)[:ticks]
    yield "resonant", READY + 2 * np.sin((3 + 5 * rng.random(7)) * t * (1 + t))
    wild = rng.uniform(lo, hi, (ticks, 7))
    wild[rng.random((ticks, 7)) < 0.3] = np.nan
    wild[rng.random((ticks, 7)) < 0.1] = 1e300
    yield "wild", wild
    yield "far beyond", np.repeat(READY + rng.choice([-3, 3], (ticks // 700 + 1, 7)), 700, axis=0)[:ticks]
    yield "one joint", READY + np.where(np.arange(7) == rng.integers(7), 3 * np.sin(2 * t), 0)


@pytest.mark.parametrize("boxed", [True, False])
def test_no_stream_leaves_the_box_or_touches(panda, collision, urdf, boxed):
    oracle = Oracle(urdf)
    rng = np.random.default_rng(7)
    near_wall = near_touch = np.inf
    for name, targets in streams(1800, rng):
        workspace = vr.Workspace(LOWER, UPPER) if boxed else None
        preserving = bool(rng.integers(2))
        e = vr.ConstraintEnforcer(LIMITS, PERIOD, panda, workspace, collision, preserving)
        start = free_start(e, rng)
        position = e.run(targets, substeps=10)["position"]
        judge = vr.ViolationCounter(LIMITS, PERIOD)
        judge.reset(start)
        assert judge.add(position[9::10]) == 0, name
        if boxed:
            tool = np.array([oracle.tool(q) for q in position])
            near_wall = min(near_wall, (tool - LOWER).min(), (UPPER - tool).min())
            assert near_wall >= 0, name
        # Every row by our own distances, which equal the oracle's (below); the nearest ones by the oracle.
        clearance = np.array([collision.distance(q) for q in position])
        assert clearance.min() >= 0, name
        for k in {*np.argsort(clearance)[:5], *range(0, len(position), 500)}:
            assert oracle.clearance(position[k]) == pytest.approx(clearance[k], abs=1e-9)
        near_touch = min(near_touch, clearance.min())
    assert near_wall < 1e-3 or not boxed  # the attack does press on the walls
    assert near_touch < 1e-3 or boxed


def test_distance_equals_the_oracle(panda, collision, urdf):
    oracle = Oracle(urdf)
    rng = np.random.default_rng(0)
    for _ in range(150):
        q = rng.uniform(LIMITS.min_position, LIMITS.max_position)
        expected = oracle.clearance(q)
        if expected > -0.03:  # deeper, segments cross and the distance is only a bound
            assert collision.distance(q) == pytest.approx(expected, abs=1e-9)


def test_run_equals_apply_with_surroundings(panda, collision):
    rng = np.random.default_rng(5)
    targets = np.repeat(rng.uniform(LIMITS.min_position, LIMITS.max_position, (3, 7)), 600, axis=0)
    out = make(panda, collision).run(targets)
    e = make(panda, collision)
    seen = set()
    for k, target in enumerate(targets):
        command, report = e.apply(target)
        assert command.tobytes() == out["position"][k].tobytes()
        assert bool(report.limited) == out["limited"][k]
        tool = panda.forward(command)[:3, 3]
        wall = min((tool - LOWER).min(), (UPPER - tool).min())
        assert report.distance_to_limit["workspace"] == pytest.approx(wall, abs=1e-12)
        assert report.distance_to_limit["collision"] == pytest.approx(collision.distance(command), abs=1e-12)
        seen |= report.limited
    assert "workspace" in seen or "collision" in seen
    causes = {entry["cause"] for entry in report.log}
    assert causes & {"workspace", "collision"}


def test_far_from_everything_nothing_changes(panda, collision):
    t = np.arange(1, 2001)[:, None] * PERIOD
    targets = READY + 0.05 * (1 - np.cos(3 * t)) * np.sin(np.arange(7))
    alone = vr.ConstraintEnforcer(LIMITS, PERIOD)
    alone.reset(READY)
    expected = alone.run(targets)["position"]
    assert make(panda, collision).run(targets)["position"].tobytes() == expected.tobytes()


def test_a_bad_start_says_what_and_by_how_much(panda, collision):
    e = make(panda, collision)
    before = e.position
    with pytest.raises(vr.ConfigError, match=r"tip is 0\.\d+ m outside its workspace"):
        e.reset([2.0, *READY[1:]])
    inside = vr.CollisionModel(panda, CAPSULES, [vr.Sphere(panda.forward(READY)[:3, 3], 0.05)], MAY_TOUCH)
    with pytest.raises(vr.ConfigError, match=r"panda_hand is 0\.\d+ m inside world"):
        vr.ConstraintEnforcer(LIMITS, PERIOD, collision=inside).reset(READY)
    tool_y = panda.forward(READY)[1, 3]
    narrow = vr.ConstraintEnforcer(
        LIMITS, PERIOD, panda, vr.Workspace([-2, tool_y - 1, -2], [2, tool_y + 0.01, 2])
    )
    narrow.reset(READY)
    with pytest.raises(vr.ConfigError, match="the shortest stop leaves the workspace"):
        narrow.reset(READY, [2.0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(e.position, before)
    command, _ = e.apply(READY)
    np.testing.assert_array_equal(command, READY)


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
