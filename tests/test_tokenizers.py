"""Binning and motion tokenizers: against numpy, half-bin bounds, and everything they refuse."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import vla_rt as vr
from vla_rt.tokenizers import (
    MotionTokenizer,
    OpenVLATokenizer,
    QuantileTokenizer,
    RT1Tokenizer,
    UniformTokenizer,
)

values = st.floats(-2, 2, allow_subnormal=False)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=5)


@given(hnp.arrays(np.float64, shapes, elements=values), st.integers(1, 1000))
def test_uniform_equals_its_formula(x, bins):
    tokens = UniformTokenizer(-1.0, 0.5, bins).encode(x)
    clipped = np.clip(x, -1.0, 0.5)
    expected = np.clip(np.floor((clipped + 1.0) / 1.5 * bins), 0, bins - 1).astype(np.int64)
    assert tokens.dtype == np.int64
    np.testing.assert_array_equal(tokens, expected)
    decoded = UniformTokenizer(-1.0, 0.5, bins).decode(tokens)
    np.testing.assert_array_equal(decoded, -1.0 + (expected + 0.5) / bins * 1.5)


@given(
    st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e3),
    st.integers(1, 5000),
    hnp.arrays(np.float64, 20, elements=st.floats(0, 1)),
)
def test_uniform_errs_by_half_a_bin_at_most(low, width, bins, share):
    high = low + width
    x = np.clip(low + share * width, low, high)
    tokenizer = UniformTokenizer(low, high, bins)
    tokens = tokenizer.encode(x)
    assert tokens.min() >= 0
    assert tokens.max() < bins
    error = np.abs(tokenizer.decode(tokens) - x)
    assert error.max() <= (high - low) / bins / 2 + 1e-12 * (abs(low) + width)
    np.testing.assert_array_equal(tokenizer.encode(tokenizer.decode(np.arange(bins))), np.arange(bins))


def test_uniform_by_hand():
    tokenizer = UniformTokenizer([0.0, -1.0], [1.0, 1.0], num_bins=4)
    assert tokenizer.encode([[0.0, -1.0], [1.0, 1.0], [0.25, 0.0], [-9.0, 9.0]]).tolist() == [
        [0, 0],
        [3, 3],
        [1, 2],
        [0, 3],
    ]
    assert tokenizer.decode([0, 3]).tolist() == [0.125, 0.75]
    assert UniformTokenizer(0.0, 1.0).decode(128) == (128 + 0.5) / 256
    assert (tokenizer.action_dim, tokenizer.tokens_per_action, tokenizer.num_bins) == (2, 2, 4)


@given(hnp.arrays(np.float64, shapes, elements=values), st.integers(2, 1000))
def test_rt1_truncates(x, vocab):
    tokenizer = RT1Tokenizer(-1.0, 1.0, vocab)
    expected = ((np.clip(x, -1, 1) + 1.0) / 2.0 * (vocab - 1)).astype(np.int32)
    tokens = tokenizer.encode(x)
    np.testing.assert_array_equal(tokens, expected)
    decoded = tokenizer.decode(tokens)
    np.testing.assert_array_equal(decoded, expected / (vocab - 1) * 2.0 + -1.0)
    inside = np.clip(x, -1, 1) - decoded
    assert np.all(inside > -1e-12)
    assert np.all(inside < 2 / (vocab - 1) + 1e-12)


def test_rt1_one_hot():
    tokenizer = RT1Tokenizer([-1.0, 0.0], [1.0, 1.0], one_hot=3)
    actions = np.array([[1.0, 0.0, 0.0, 1.0, 0.0], [-1.0, 1.0, 0.5, 0.5, 0.1]])
    tokens = tokenizer.encode(actions)
    assert tokens.tolist() == [[255, 0, 1], [0, 255, 0]]
    assert tokenizer.decode(tokens)[:, 2:].tolist() == [[0, 1, 0], [1, 0, 0]]
    assert (tokenizer.action_dim, tokenizer.tokens_per_action) == (5, 3)
    with pytest.raises(vr.ConfigError, match=r"tokens\[5\] = 3: must be in 0\.\.2"):
        tokenizer.decode([[0, 0, 0], [0, 0, 3]])


@pytest.mark.parametrize(("vocab", "bins"), [(32000, 256), (32064, 256), (1000, 2), (512, 512), (777, 101)])
def test_openvla_equals_numpy(vocab, bins):
    tokenizer = OpenVLATokenizer(vocab, bins)
    edges = np.linspace(-1.0, 1.0, bins)
    centers = (edges[:-1] + edges[1:]) / 2.0
    np.testing.assert_array_equal(tokenizer.edges, edges)
    np.testing.assert_array_equal(tokenizer.centers, centers)
    rng = np.random.default_rng(0)
    near = np.concatenate(
        [np.nextafter(edges, -2), edges, np.nextafter(edges, 2), rng.uniform(-1.5, 1.5, 5000)]
    )
    for x in (near, near.astype(np.float32)):
        expected = vocab - np.digitize(np.clip(x, -1.0, 1.0), edges)
        np.testing.assert_array_equal(tokenizer.encode(x), expected)
        index = np.clip(vocab - expected - 1, 0, bins - 2)
        np.testing.assert_array_equal(tokenizer.decode(expected), centers[index])
    assert tokenizer.encode([-1.0, 1.0]).tolist() == [vocab - 1, vocab - bins]
    x = rng.uniform(-1, 1, 1000)
    assert np.abs(tokenizer.decode(tokenizer.encode(x)) - x).max() <= 1 / (bins - 1) + 1e-15
    for bad in (vocab, vocab - bins - 1, -1):
        with pytest.raises(vr.ConfigError, match=r"tokens\[1\]"):
            tokenizer.decode([vocab - 1, bad])


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 60), st.integers(1, 4)), elements=st.floats(-1e6, 1e6)),
    st.integers(1, 40),
)
def test_quantile_edges_equal_numpy(data, bins):
    tokenizer = QuantileTokenizer.fit(data, bins)
    expected = np.quantile(data, np.linspace(0, 1, bins + 1), axis=0).T
    assert tokenizer.edges.shape == (data.shape[1], bins + 1)
    np.testing.assert_allclose(tokenizer.edges, expected, atol=1e-9, rtol=1e-12)
    assert np.all(np.diff(tokenizer.edges, axis=1) >= 0)
    tokens = tokenizer.encode(data)
    rows = np.arange(data.shape[1])
    low, high = tokenizer.edges[rows, tokens], tokenizer.edges[rows, tokens + 1]
    assert np.all((data >= low) & (data <= high))
    assert np.all(np.abs(tokenizer.decode(tokens) - data) <= (high - low) / 2 * (1 + 1e-12) + 1e-9)
    outside = tokenizer.encode([[1e9] * data.shape[1], [-1e9] * data.shape[1]])
    assert np.all(outside[0] == bins - 1)
    np.testing.assert_array_equal(QuantileTokenizer(tokenizer.edges).encode(data), tokens)


def test_quantile_bins_hold_equal_shares():
    data = np.random.default_rng(0).normal(size=(8, 800, 2)) ** 3
    tokens = QuantileTokenizer.fit(data, 16).encode(data)
    assert tokens.shape == (8, 800, 2)
    counts = [np.bincount(tokens[..., d].ravel(), minlength=16) for d in range(2)]
    assert np.abs(np.array(counts) - 400).max() <= 2
    constant = QuantileTokenizer.fit(np.full((5, 1), 2.5), 8)
    assert constant.decode(constant.encode([[2.5]])).tolist() == [[2.5]]


MOTION = MotionTokenizer()


def test_motion_table():
    motions = MOTION.motions
    assert motions.shape == (256, 7)
    assert np.all(motions[:128, 3:] == 0)
    assert np.all(motions[128:192, :3] == 0)
    assert np.all(motions[128:192, 6] == 0)
    assert np.all(motions[192:, :6] == 0)
    assert motions[254, 6] == 0
    assert motions[255, 6] == 1
    assert len(np.unique(motions[192:, 6])) == 64
    for first, steps, column, least, most in [(0, 21, 0, 0.0005, 0.05), (128, 10, 3, 0.002, 0.1)]:
        for axis in range(3):
            own = motions[first + axis * 2 * steps : first + (axis + 1) * 2 * steps]
            moved = own[:, column + axis]
            assert np.count_nonzero(own) == 2 * steps
            assert np.all(np.diff(moved) > 0)
            np.testing.assert_array_equal(moved, -moved[::-1])
            np.testing.assert_allclose(moved[steps:], np.geomspace(least, most, steps), rtol=1e-12)
            assert moved[-1] == most
    assert np.all(motions[[126, 127, 188, 189, 190, 191]] == 0)


def test_motion_encode_takes_the_nearest_of_each_group():
    rng = np.random.default_rng(0)
    actions = rng.normal(size=(4, 50, 7)) * 0.03
    actions[..., 6] = rng.uniform(-0.2, 1.2, (4, 50))
    tokens = MOTION.encode(actions)
    assert tokens.shape == (4, 50, 3)
    motions = MOTION.motions
    for i, (first, last, columns) in enumerate(
        [(0, 128, slice(0, 3)), (128, 192, slice(3, 6)), (192, 256, slice(6, 7))]
    ):
        distance = np.linalg.norm(actions[..., None, columns] - motions[first:last, columns], axis=-1)
        np.testing.assert_array_equal(tokens[..., i], first + distance.argmin(-1))
    assert MOTION.encode(np.zeros(7)).tolist() == [126, 188, 254]
    for token in range(256):
        again = MOTION.encode(MOTION.motions[token])
        group = 0 if token < 128 else 1 if token < 192 else 2
        np.testing.assert_array_equal(MOTION.motions[again[group]], MOTION.motions[token])


def test_motion_per_axis_reaches_every_axis():
    rng = np.random.default_rng(1)
    steps = np.concatenate([[0.0], np.geomspace(0.0005, 0.05, 21)])
    actions = rng.uniform(-0.05, 0.05, (200, 7))
    actions[:, 6] = rng.uniform(0, 1, 200)
    tokens = MOTION.encode(actions, per_axis=True)
    assert tokens.shape == (200, 7)
    decoded = MOTION.decode(tokens)
    grid = np.concatenate([-steps[::-1], steps])
    nearest = grid[np.abs(actions[:, :3, None] - grid).argmin(-1)]
    np.testing.assert_allclose(
        np.abs(decoded[:, :3] - actions[:, :3]), np.abs(nearest - actions[:, :3]), atol=1e-15
    )
    assert np.abs(decoded[:, 6] - actions[:, 6]).max() <= 0.5 / 63 + 1e-12
    np.testing.assert_array_equal(MOTION.encode(decoded, per_axis=True), tokens)


def test_motion_merges():
    motions = MOTION.motions
    np.testing.assert_allclose(MOTION.decode([5, 60, 100, 130, 200]), motions[[5, 60, 100, 130, 200]].sum(0))
    np.testing.assert_allclose(MOTION.decode([5, 5])[0], 2 * motions[5, 0])
    assert MOTION.decode([255, 254])[6] == 0.0
    assert MOTION.decode([254, 255])[6] == 1.0
    assert MOTION.decode([3])[6] == 0.0
    assert MOTION.decode([3], gripper=0.7)[6] == 0.7
    assert MOTION.decode([[3], [255]], gripper=[0.7, 0.2])[:, 6].tolist() == [0.7, 1.0]
    assert MOTION.decode(np.zeros((2, 0), int)).tolist() == np.zeros((2, 7)).tolist()
    assert MOTION.decode([3]).shape == (7,)


ALL = [
    (UniformTokenizer([-1.0] * 7, [1.0] * 7), 7),
    (UniformTokenizer(-1.0, 1.0), 7),
    (RT1Tokenizer([-1.0] * 7, [1.0] * 7), 7),
    (OpenVLATokenizer(), 7),
    (QuantileTokenizer.fit(np.random.default_rng(0).normal(size=(100, 7))), 7),
    (MOTION, 3),
]
NAMES = ["uniform", "uniform-any", "rt1", "openvla", "quantile", "motion"]


@pytest.mark.parametrize(("tokenizer", "width"), ALL, ids=NAMES)
def test_leading_dims_layout_and_dtype(tokenizer, width):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 5, 7)).astype(np.float32)
    tokens = tokenizer.encode(x)
    assert tokens.shape == (2, 3, 5, width)
    assert tokens.dtype == np.int64
    np.testing.assert_array_equal(tokenizer.encode(x.astype(np.float64)), tokens)
    np.testing.assert_array_equal(tokenizer.encode(x[:, ::2]), tokens[:, ::2])
    np.testing.assert_array_equal(tokenizer.encode(np.asfortranarray(x)), tokens)
    np.testing.assert_array_equal(tokenizer.encode(x[0, 0].tolist()), tokens[0, 0])
    decoded = tokenizer.decode(tokens)
    assert decoded.shape == x.shape
    np.testing.assert_array_equal(tokenizer.decode(tokens.astype(np.int32)[..., ::1]), decoded)
    np.testing.assert_array_equal(tokenizer.decode(tokens[:, ::2]), decoded[:, ::2])
    empty = tokenizer.encode(np.zeros((0, 7)))
    assert empty.shape == (0, width)
    assert tokenizer.decode(empty).shape == (0, 7)


@pytest.mark.parametrize(("tokenizer", "width"), ALL, ids=NAMES)
def test_bad_actions_and_tokens_are_named(tokenizer, width):
    for bad in (np.nan, np.inf, -np.inf):
        actions = np.zeros((2, 7))
        actions[1, 4] = bad
        with pytest.raises(vr.ConfigError) as error:
            tokenizer.encode(actions)
        assert error.value.name == "actions[1, 4]"
    good = tokenizer.encode(np.zeros((2, 7)))
    for bad in (10**6, -1, 2**62):
        tokens = good.copy()
        tokens[1, 2] = bad
        with pytest.raises(vr.ConfigError) as error:
            tokenizer.decode(tokens)
        assert error.value.name == "tokens[1, 2]"
        assert error.value.value == str(bad)
    with pytest.raises(vr.ConfigError, match="integers"):
        tokenizer.decode(good.astype(float))
    for call in (tokenizer.encode, tokenizer.decode):
        for bad in (None, "text", [[1], [1, 2]]):
            with pytest.raises(vr.ConfigError):
                call(bad)
    if getattr(tokenizer, "action_dim", 7) == 7:
        with pytest.raises(vr.ConfigError, match=r"must have shape \(\.\.\., 7\)"):
            tokenizer.encode(np.zeros((2, 6)))


BAD = [
    (lambda: UniformTokenizer(1.0, 1.0), "low[0]"),
    (lambda: UniformTokenizer([0.0, 2.0], [1.0, 1.0]), "low[1]"),
    (lambda: UniformTokenizer([0.0, np.nan], [1.0, 1.0]), "low[1]"),
    (lambda: UniformTokenizer(0.0, np.inf), "high[0]"),
    (lambda: UniformTokenizer([0.0], [1.0, 1.0]), "high"),
    (lambda: UniformTokenizer([], []), "low"),
    (lambda: UniformTokenizer([[0.0]], 1.0), "low"),
    (lambda: UniformTokenizer(0.0, 1.0, 0), "num_bins"),
    (lambda: UniformTokenizer(0.0, 1.0, 2**31), "num_bins"),
    (lambda: RT1Tokenizer(0.0, 1.0, 1), "vocab_size"),
    (lambda: RT1Tokenizer(0.0, 1.0, one_hot=-1), "one_hot"),
    (lambda: RT1Tokenizer(0.0, 1.0, 4, one_hot=5), "one_hot"),
    (lambda: OpenVLATokenizer(100, 101), "num_bins"),
    (lambda: OpenVLATokenizer(num_bins=1), "num_bins"),
    (lambda: OpenVLATokenizer(2**31), "vocab_size"),
    (lambda: QuantileTokenizer.fit(np.zeros((0, 3))), "actions"),
    (lambda: QuantileTokenizer.fit(np.zeros((3, 0))), "actions"),
    (lambda: QuantileTokenizer.fit(1.0), "actions"),
    (lambda: QuantileTokenizer.fit([[np.nan]]), "actions[0, 0]"),
    (lambda: QuantileTokenizer.fit([[1.0]], 0), "num_bins"),
    (lambda: QuantileTokenizer([[0.0, 1.0, 0.5]]), "edges[2]"),
    (lambda: QuantileTokenizer([[0.0]]), "edges"),
    (lambda: QuantileTokenizer([0.0, 1.0]), "edges"),
    (lambda: MOTION.decode([3], gripper=np.nan), "gripper"),
    (lambda: MOTION.decode([[3], [4]], gripper=[0.0, 0.0, 0.0]), "gripper"),
    (lambda: MOTION.decode(3), "tokens"),
]


@pytest.mark.parametrize(("make", "name"), BAD)
def test_bad_parameters_are_named(make, name):
    with pytest.raises(vr.ConfigError) as error:
        make()
    assert error.value.name == name


@pytest.mark.parametrize(
    "tokenizer",
    [
        UniformTokenizer([-1, 0], [1, 3], 17),
        RT1Tokenizer([-1.0], [1.0], 64, one_hot=2),
        OpenVLATokenizer(100, 30),
        QuantileTokenizer([[0, 1, 1, 4], [-1, 0, 2, 3]]),
        MotionTokenizer(),
    ],
    ids=lambda t: type(t).__name__,
)
def test_tokenizers_travel_to_other_processes(tokenizer):
    twin = pickle.loads(pickle.dumps(copy.deepcopy(tokenizer)))
    actions = np.random.default_rng(3).normal(size=(50, getattr(tokenizer, "action_dim", 7)))
    tokens = tokenizer.encode(actions)
    assert np.array_equal(twin.encode(actions), tokens)
    assert np.array_equal(twin.decode(tokens), tokenizer.decode(tokens))
