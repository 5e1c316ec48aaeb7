"""Action spaces: the map to [-1, 1] and back, and everything they refuse."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation
from scipy.stats import chisquare, kstest

import vla_rt as vr

WAYPOINTS = vr.ContinuousActionSpace([-1.0] * 6, [1.0] * 6)
SPACES = [
    vr.JointPositionSpace([-2.8, -1.7, 0.0], [2.8, 1.7, 3.7]),
    vr.JointVelocitySpace([2.0, 0.5]),
    vr.EndEffectorPoseSpace([0.2, -0.5, 0.0], [0.8, 0.5, 1.0]),
    vr.EndEffectorPoseSpace([0.2, -0.5, 0.0, -1, -1, -1, 0], [0.8, 0.5, 1.0, 1, 1, 1, 1]),
    vr.EndEffectorPoseSpace([0.2, -0.5, 0.0, -1, -1, -1, 0, 0], [0.8, 0.5, 1.0, 1, 1, 1, 1, 1]),
    vr.EndEffectorDeltaSpace(),
    vr.EndEffectorDeltaSpace(0.2, max_rotation=0.7),
    vr.ContinuousActionSpace([-1.0, 5.0], [3.0, 5.5]),
    vr.DiscreteActionSpace(20),
    vr.DiscreteActionSpace(1),
    vr.HybridActionSpace(
        {"pick": vr.ContinuousActionSpace([0, 0, 0], [1, 2, 3]), "stop": None, "follow": WAYPOINTS,
         "mode": vr.DiscreteActionSpace(4)}
    ),
]  # fmt: skip
BOUNDED = [space for space in SPACES if hasattr(space, "lower")]


def ids(space):
    return f"{space.kind}-{space.dimension}"


@pytest.mark.parametrize("space", BOUNDED, ids=ids)
def test_bounds_map_to_one(space):
    np.testing.assert_array_equal(space.normalize(space.lower), -np.ones(space.dimension))
    np.testing.assert_array_equal(space.normalize(space.upper), np.ones(space.dimension))
    np.testing.assert_array_equal(space.denormalize(-np.ones(space.dimension)), space.lower)
    np.testing.assert_array_equal(space.denormalize(np.ones(space.dimension)), space.upper)


@given(
    st.sampled_from(BOUNDED),
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    st.integers(0, 2**32 - 1),
    st.floats(0.1, 3.0),
)
def test_round_trip(space, leading, seed, reach):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-reach, reach, (*leading, space.dimension))
    actions = space.denormalize(x)
    assert actions.shape == x.shape
    np.testing.assert_allclose(space.normalize(actions), x, atol=1e-13)
    np.testing.assert_allclose(actions, space.lower + (x + 1) / 2 * (space.upper - space.lower), atol=1e-14)
    inside = np.abs(x) <= 1
    assert np.all((actions >= space.lower) & (actions <= space.upper) | ~inside)
    clipped = space.clip(actions)
    assert np.all((clipped >= space.lower) & (clipped <= space.upper))
    assert np.all((clipped == actions) | ~inside)


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6), st.integers(0, 2**32 - 1))
def test_denormalised_values_never_leave_the_bounds(low, width, seed):
    high = low + width
    if not low < high:
        return
    space = vr.ContinuousActionSpace([low], [high])
    x = np.random.default_rng(seed).uniform(-1, 1, (100, 1))
    x[:3, 0] = [-1, 1, np.nextafter(1, 0)]
    actions = space.denormalize(x)
    assert np.all((actions >= low) & (actions <= high))
    actions = space.squash(x * 50)
    assert np.all((actions >= low) & (actions <= high))


@pytest.mark.parametrize("space", SPACES, ids=ids)
def test_described_and_pickled(space):
    assert vr.ActionSpace.from_dict(space.to_dict()) == space
    copy = pickle.loads(pickle.dumps(space))
    assert type(copy) is type(space)
    assert copy == space
    assert sum(other == space for other in SPACES) == 1
    assert isinstance(space, vr.ActionSpace)


@pytest.mark.parametrize("space", BOUNDED, ids=ids)
def test_layout_and_dtype_do_not_matter(space):
    x = np.random.default_rng(0).uniform(-1, 1, (space.dimension, 6)).astype(np.float32)
    expected = space.normalize(np.ascontiguousarray(x.T).astype(np.float64))
    np.testing.assert_array_equal(space.normalize(x.T), expected)
    np.testing.assert_array_equal(space.normalize(x.T.tolist()), expected)
    assert space.normalize(np.zeros((0, space.dimension))).shape == (0, space.dimension)


@pytest.mark.parametrize("space", [*BOUNDED, SPACES[-1]], ids=ids)
@pytest.mark.parametrize("call", ["normalize", "denormalize"])
def test_bad_actions_are_named(space, call):
    name = {"normalize": "actions", "denormalize": "normalized"}[call]
    for bad in (np.nan, np.inf, -np.inf):
        a = np.zeros((2, space.dimension))
        a[1, -1] = bad
        with pytest.raises(vr.ConfigError) as error:
            getattr(space, call)(a)
        assert error.value.name == f"{name}[1, {space.dimension - 1}]"
    for wrong in (space.dimension - 1, space.dimension + 1):
        with pytest.raises(vr.ConfigError, match=rf"must have shape \(\.\.\., {space.dimension}\)"):
            getattr(space, call)(np.zeros((2, wrong)))
    for wrong in ("text", None, 1j, [[0.0], [0.0, 1.0]], 0.0):
        with pytest.raises(vr.ConfigError):
            getattr(space, call)(wrong)


BAD_SPACES = [
    (lambda: vr.JointPositionSpace([0.0, 1.0], [1.0, 1.0]), "lower[1]"),
    (lambda: vr.JointPositionSpace([0.0, np.nan], [1.0, 1.0]), "lower[1]"),
    (lambda: vr.JointPositionSpace([0.0], [np.inf]), "upper[0]"),
    (lambda: vr.JointPositionSpace([-1.7e308], [1.7e308]), "lower[0]"),
    (lambda: vr.JointPositionSpace([0.0], [1.0, 2.0]), "lower"),
    (lambda: vr.JointPositionSpace([], []), "upper"),
    (lambda: vr.JointPositionSpace([0.0] * 65, [1.0] * 65), "upper"),
    (lambda: vr.JointPositionSpace([[0.0]], [1.0]), "lower"),
    (lambda: vr.JointVelocitySpace([1.0, 0.0]), "max_velocity[1]"),
    (lambda: vr.JointVelocitySpace([]), "max_velocity"),
    (lambda: vr.EndEffectorPoseSpace([0.0] * 4, [1.0] * 4), "lower"),
    (lambda: vr.EndEffectorPoseSpace([0.0, 0.0, 1.0], [1.0] * 3), "lower[2]"),
    (lambda: vr.EndEffectorDeltaSpace(0.0), "max_translation"),
    (lambda: vr.EndEffectorDeltaSpace(max_rotation=np.inf), "max_rotation"),
    (lambda: vr.ContinuousActionSpace([0.0, 3.0], [1.0, 2.0]), "low[1]"),
    (lambda: vr.DiscreteActionSpace(0), "n"),
    (lambda: vr.DiscreteActionSpace(2**31), "n"),
    (lambda: vr.HybridActionSpace({}), "skills"),
    (lambda: vr.HybridActionSpace({"": None}), "skills"),
    (lambda: vr.HybridActionSpace({"a": SPACES[-1]}), "skills[a]"),
    (lambda: vr.HybridActionSpace({"a": 3}), "skills[a]"),
    (lambda: vr.HybridActionSpace({"a": vr.JointVelocitySpace([1.0] * 64)}), "dimension"),
    (lambda: vr.ActionSpace.from_dict({}), "kind"),
    (lambda: vr.ActionSpace.from_dict({"kind": "soft"}), "kind"),
    (lambda: vr.ActionSpace.from_dict({"kind": "continuous", "lower": [0.0]}), "upper"),
    (lambda: vr.ActionSpace.from_dict({"kind": "discrete", "num_actions": 2.5}), "num_actions"),
    (lambda: vr.ActionSpace.from_dict({"kind": "hybrid", "skills": [3]}), "skills"),
    (
        lambda: vr.ActionSpace.from_dict({"kind": "hybrid", "skills": [{"name": "a"}, {"name": "a"}]}),
        "skills[a]",
    ),
    (
        lambda: vr.ActionSpace.from_dict({"kind": "joint_velocity", "lower": [-1], "upper": [2]}),
        "lower, upper",
    ),
    (lambda: vr.ActionSpace.from_dict({"kind": "end_effector_delta", "lower": [-1], "upper": [2]}), "upper"),
]


@pytest.mark.parametrize(("make", "name"), BAD_SPACES)
def test_bad_spaces_are_named(make, name):
    with pytest.raises(vr.ConfigError) as error:
        make()
    assert error.value.name == name


def test_delta_transform_equals_scipy():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(4, 5, 7))
    space = vr.EndEffectorDeltaSpace()
    transforms = space.to_transform(a)
    assert transforms.shape == (4, 5, 4, 4)
    expected = np.zeros((20, 4, 4))
    expected[:, :3, :3] = Rotation.from_euler("xyz", a.reshape(-1, 7)[:, 3:6]).as_matrix()
    expected[:, :3, 3] = a.reshape(-1, 7)[:, :3]
    expected[:, 3, 3] = 1
    np.testing.assert_allclose(transforms.reshape(-1, 4, 4), expected, atol=1e-14)
    np.testing.assert_array_equal(space.to_transform(a[..., :6]), transforms)
    with pytest.raises(vr.ConfigError, match="shape"):
        space.to_transform(np.zeros(5))
    with pytest.raises(vr.ConfigError, match=r"actions\[2\]"):
        space.to_transform([0, 0, np.nan, 0, 0, 0, 0])
    assert (space.max_translation, space.max_rotation, space.dimension) == (0.05, 0.1, 7)
    np.testing.assert_allclose(space.normalize([0.05, 0, -0.05, 0.1, 0, 0, 0.5]), [1, 0, -1, 1, 0, 0, 0])


def test_pose_transform_equals_scipy():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(9, 7))
    space = vr.EndEffectorPoseSpace([-1] * 3, [1] * 3)
    transforms = space.to_transform(a)
    np.testing.assert_allclose(transforms[:, :3, :3], Rotation.from_quat(a[:, 3:]).as_matrix(), atol=1e-14)
    np.testing.assert_array_equal(transforms[:, :3, 3], a[:, :3])
    with pytest.raises(vr.ConfigError, match="quaternion"):
        space.to_transform(np.zeros(7))
    with_gripper = vr.EndEffectorPoseSpace([-1] * 7 + [0], [1] * 8)
    np.testing.assert_array_equal(with_gripper.to_transform(np.hstack([a, np.ones((9, 1))])), transforms)
    unit = a.copy()
    unit[:, 3:] /= np.linalg.norm(a[:, 3:], axis=1, keepdims=True)
    np.testing.assert_allclose(space.normalize(unit)[:, 3:], unit[:, 3:], atol=3e-16)


def test_squash():
    space = vr.ContinuousActionSpace([-1.0, 0.0], [1.0, 4.0])
    logits = np.random.default_rng(0).normal(size=(3, 2)) * 3
    expected = space.lower + (np.tanh(logits) + 1) / 2 * (space.upper - space.lower)
    np.testing.assert_allclose(space.squash(logits), expected, atol=1e-15)
    with pytest.raises(vr.ConfigError, match=r"logits\[1\]"):
        space.squash([0.0, np.nan])


def test_sample_is_normal_clamped_and_seeded():
    space = vr.ContinuousActionSpace([-100.0, -0.5], [100.0, 0.5])
    mean = np.zeros((5000, 2))
    actions = space.sample(mean, [2.0, 1.0], seed=5)
    assert kstest(actions[:, 0] / 2, "norm").pvalue > 1e-3
    assert np.all(np.abs(actions[:, 1]) <= 0.5)
    assert np.mean(np.abs(actions[:, 1]) == 0.5) == pytest.approx(0.617, abs=0.03)
    np.testing.assert_array_equal(actions, space.sample(mean, np.tile([2.0, 1.0], (5000, 1)), 5))
    assert not np.array_equal(actions, space.sample(mean, [2.0, 1.0], 6))
    np.testing.assert_array_equal(space.sample([3.0, 9.0], 0.0), [3.0, 0.5])
    assert space.sample(np.zeros((0, 2)), 1.0).shape == (0, 2)
    for bad, name in [({"std": [-1.0, 1.0]}, "std"), ({"std": np.nan}, "std"), ({"std": [1.0] * 3}, "std"),
                      ({"std": 1.0, "mean": [np.nan, 0.0]}, "mean")]:  # fmt: skip
        with pytest.raises(vr.ConfigError) as error:
            space.sample(**{"mean": [0.0, 0.0], **bad})
        assert error.value.name.startswith(name)


@given(st.integers(1, 300))
def test_discrete_round_trip(n):
    space = vr.DiscreteActionSpace(n)
    indices = np.arange(n)
    x = space.normalize(indices)
    assert np.all(np.abs(x) <= 1)
    if n > 1:
        np.testing.assert_allclose(np.diff(x), 2 / (n - 1), atol=1e-14)
    assert space.denormalize(x).dtype == np.int64
    np.testing.assert_array_equal(space.denormalize(x), indices)
    nudged = x + np.random.default_rng(n).uniform(-0.49, 0.49, n) * (2 / max(n - 1, 1))
    np.testing.assert_array_equal(space.denormalize(nudged), indices)
    assert space.denormalize([-7.0, 7.0]).tolist() == [0, n - 1]


def test_discrete_refuses_what_is_no_index():
    space = vr.DiscreteActionSpace(4)
    for bad in (-1, 4, 1.5, np.nan):
        with pytest.raises(vr.ConfigError, match=r"actions\[1\]"):
            space.normalize([0, bad])
    assert space.normalize([[0], [3]]).shape == (2, 1)
    assert space.normalize(3).shape == ()
    assert space.dimension == 1
    assert space.num_actions == 4


def test_discrete_sampling():
    space = vr.DiscreteActionSpace(4)
    p = np.array([0.1, 0.2, 0.0, 0.7])
    drawn = space.sample(np.tile(p, (4000, 1)), 3)
    assert drawn.dtype == np.int64
    counts = np.bincount(drawn, minlength=4)
    assert counts[2] == 0
    assert chisquare(counts[[0, 1, 3]], 4000 * p[[0, 1, 3]]).pvalue > 1e-3
    np.testing.assert_array_equal(drawn, space.sample(np.tile(p, (4000, 1)), seed=3))
    logits = np.log(np.array([0.1, 0.2, 1e-300, 0.7])) + 500
    np.testing.assert_array_equal(drawn, space.sample(logits=np.tile(logits, (4000, 1)), seed=3))
    assert space.sample(p.astype(np.float32)).shape == ()
    assert space.sample(np.tile(p, (2, 3, 1))).shape == (2, 3)
    bad = [
        ([0.5, 0.6, 0.0, -0.1], "probabilities[3]"),
        ([0.5, 0.6, 0.0, 0.1], "probabilities"),
        ([0.5, 0.5], "probabilities"),
        ([np.nan] * 4, "probabilities[0]"),
    ]
    for values, name in bad:
        with pytest.raises(vr.ConfigError) as error:
            space.sample(values)
        assert error.value.name == name
    for kwargs in ({}, {"probabilities": p, "logits": p}):
        with pytest.raises(vr.ConfigError, match="one of the two"):
            space.sample(**kwargs)


def test_hybrid_round_trip():
    space = SPACES[-1]
    assert space.dimension == 7
    assert list(space.skills) == ["pick", "stop", "follow", "mode"]
    assert space.skills["stop"] is None
    rng = np.random.default_rng(0)
    for index, (name, parameters) in enumerate(space.skills.items()):
        if parameters is None:
            values = np.zeros(0)
        elif name == "mode":
            values = np.array([2.0])
        else:
            values = parameters.denormalize(rng.uniform(-1, 1, parameters.dimension))
        action = space.pack(name, None if parameters is None else values)
        assert action.shape == (7,)
        assert action[0] == index
        got_name, got = space.unpack(action)
        assert got_name == name
        np.testing.assert_array_equal(got, values)
        x = space.normalize(action)
        assert np.all(np.abs(x) <= 1)
        np.testing.assert_allclose(space.denormalize(x), action, atol=1e-14)
        noisy = x.copy()
        noisy[0] += 0.3 / 3
        assert space.unpack(space.denormalize(noisy))[0] == name
    batch = np.stack([space.pack("pick", [0.5, 1, 2]), space.pack("mode", [3])])
    np.testing.assert_allclose(space.denormalize(space.normalize(batch)), batch, atol=1e-14)
    assert space.pack("pick", np.zeros((2, 5, 3))).shape == (2, 5, 7)


def test_hybrid_refuses():
    space = SPACES[-1]
    cases = [
        (lambda: space.pack("jump"), "skill"),
        (lambda: space.pack("pick", [0.0, 0.0]), "parameters"),
        (lambda: space.pack("pick"), "parameters"),
        (lambda: space.pack("stop", [1.0]), "parameters"),
        (lambda: space.normalize([9.0] + [0.0] * 6), "actions[0]"),
        (lambda: space.normalize([0.5] + [0.0] * 6), "actions[0]"),
        (lambda: space.normalize([3.0, 0.5] + [0.0] * 5), "actions[1]"),
        (lambda: space.unpack(np.zeros((2, 7))), "actions"),
    ]
    for call, name in cases:
        with pytest.raises(vr.ConfigError) as error:
            call()
        assert error.value.name == name
