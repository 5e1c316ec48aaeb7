"""Normalizer: every convention against its project's own formulas, written out in numpy."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vla_rt as vr

RANGES = {"min_max": ("min", "max"), "quantiles": ("q01", "q99"), "quantile10": ("q10", "q90")}
CONVENTIONS = ["lerobot", "openvla", "openpi", "groot"]


def reference(mode, convention, s, x):
    """The forward map as each project writes it."""
    if mode == "mean_std":
        if convention == "groot":
            safe = np.where(s["std"] != 0, s["std"], 1.0)
            return np.where(s["std"] != 0, (x - s["mean"]) / safe, x)
        return (x - s["mean"]) / (s["std"] + (1e-6 if convention == "openpi" else 1e-8))
    lo, hi = (s[name] for name in RANGES[mode])
    if convention == "lerobot":
        return 2 * (x - lo) / np.where(hi == lo, 1e-8, hi - lo) - 1
    if convention == "openvla":
        y = np.clip(2 * (x - lo) / (hi - lo + 1e-8) - 1, -1, 1)
        return np.where(s["min"] == s["max"], 0.0, y)
    if convention == "openpi":
        return (x - lo) / (hi - lo + 1e-6) * 2 - 1
    same = np.isclose(hi, lo)
    return np.where(same, 0.0, 2 * ((x - lo) / np.where(same, 1.0, hi - lo)) - 1)


def reference_inverse(mode, convention, s, y):
    if mode == "mean_std":
        if convention == "groot":
            return np.where(s["std"] != 0, y * s["std"] + s["mean"], y)
        return y * (s["std"] + (1e-6 if convention == "openpi" else 0.0)) + s["mean"]
    lo, hi = (s[name] for name in RANGES[mode])
    if convention == "lerobot":
        return (y + 1) / 2 * np.where(hi == lo, 1e-8, hi - lo) + lo
    if convention == "openvla":
        return 0.5 * (y + 1) * (hi - lo) + lo
    if convention == "openpi":
        return (y + 1) / 2 * (hi - lo + 1e-6) + lo
    return (np.clip(y, -1, 1) + 1) / 2 * (hi - lo) + lo


def statistics(rng, dim, constant=()):
    data = rng.normal(size=(200, dim)) * rng.uniform(0.01, 5, dim) + rng.normal(size=dim)
    data[:, list(constant)] = rng.normal(size=len(constant))
    q = np.quantile(data, [0.01, 0.99, 0.1, 0.9], axis=0)
    stats = {"mean": data.mean(0), "std": data.std(0), "min": data.min(0), "max": data.max(0)}
    stats.update(q01=q[0], q99=q[1], q10=q[2], q90=q[3])
    for name in ("q01", "q99", "q10", "q90"):  # the quantile's interpolation may differ by a rounding
        stats[name][list(constant)] = data[0, list(constant)]
    stats["std"][list(constant)] = 0.0
    return stats


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("mode", ["mean_std", *RANGES])
@pytest.mark.parametrize("constant", [(), (1,)])
def test_equals_the_projects_formula(convention, mode, constant):
    rng = np.random.default_rng(3)
    s = statistics(rng, 4, constant)
    normalizer = vr.Normalizer(mode, convention, **s)
    x = rng.normal(size=(3, 5, 4)) * 3
    np.testing.assert_allclose(normalizer.normalize(x), reference(mode, convention, s, x), rtol=1e-15, atol=0)
    np.testing.assert_allclose(
        normalizer.denormalize(x), reference_inverse(mode, convention, s, x), rtol=1e-15, atol=1e-300
    )


HAND = [
    # convention, mode, stats, x, y, x again
    ("lerobot", "mean_std", {"mean": [1.0], "std": [0.0]}, 1.5, 0.5 / 1e-8, 1.0),
    ("lerobot", "min_max", {"min": [2.0], "max": [2.0]}, 2.0, -1.0, 2.0),
    ("lerobot", "min_max", {"min": [0.0], "max": [4.0]}, 5.0, 1.5, 5.0),
    ("lerobot", "quantile10", {"q10": [0.0], "q90": [4.0]}, 1.0, -0.5, 1.0),
    ("openvla", "quantiles", {"q01": [0.0], "q99": [1.0], "min": [-1.0], "max": [2.0]}, 1.5, 1.0, 1.0),
    ("openvla", "quantiles", {"q01": [0.5], "q99": [0.5], "min": [0.5], "max": [0.5]}, 7.0, 0.0, 0.5),
    ("openpi", "quantiles", {"q01": [0.0], "q99": [1.0]}, 1.0, 2.0 / (1 + 1e-6) - 1, 1.0),
    ("openpi", "mean_std", {"mean": [0.0], "std": [0.0]}, 1.0, 1e6, 1.0),
    ("groot", "min_max", {"min": [0.0], "max": [1.0]}, 2.0, 3.0, 1.0),
    ("groot", "min_max", {"min": [0.0], "max": [1e-9]}, 5.0, 0.0, 5e-10),
    ("groot", "mean_std", {"mean": [3.0], "std": [0.0]}, 5.0, 5.0, 5.0),
]


@pytest.mark.parametrize(("convention", "mode", "stats", "x", "y", "back"), HAND)
def test_by_hand(convention, mode, stats, x, y, back):
    normalizer = vr.Normalizer(mode, convention=convention, **stats)
    forward = normalizer.normalize([x])
    assert forward[0] == pytest.approx(y, rel=1e-12)
    assert normalizer.denormalize(forward)[0] == pytest.approx(back, rel=1e-12)


@given(
    seed=st.integers(0, 2**32 - 1),
    dim=st.integers(1, 9),
    mode=st.sampled_from(["mean_std", *RANGES]),
    convention=st.sampled_from(CONVENTIONS),
)
def test_round_trip_inside_the_range(seed, dim, mode, convention):
    rng = np.random.default_rng(seed)
    s = statistics(rng, dim)
    lo, hi = (s[name] for name in RANGES.get(mode, ("min", "max")))
    x = rng.uniform(lo, hi, size=(6, dim))
    normalizer = vr.Normalizer(mode, convention=convention, **s)
    y = normalizer.normalize(x)
    # LeRobot's inverse leaves out the 1e-8 in the denominator: it loses 1e-8 of the normalised value.
    atol = 2e-8 * (1 + np.abs(x).max() + np.abs(y).max() + (hi - lo).max())
    np.testing.assert_allclose(normalizer.denormalize(y), x, rtol=0, atol=atol)
    if mode != "mean_std":
        assert np.abs(y).max() <= 1 + 1e-12


def test_mask_leaves_dimensions_alone():
    s = {"q01": [0.0, 0.0], "q99": [2.0, 2.0], "min": [0.0, 0.0], "max": [3.0, 3.0]}
    normalizer = vr.Normalizer("quantiles", convention="openvla", mask=[True, False], **s)
    np.testing.assert_array_equal(normalizer.normalize([[1.0, 9.0]]).round(6), [[0.0, 9.0]])
    np.testing.assert_array_equal(normalizer.denormalize([[0.0, 9.0]]), [[1.0, 9.0]])
    assert normalizer.mask.tolist() == [True, False]


def test_openvla_zeroes_constant_dimensions_even_when_masked():
    s = {"q01": [0.0], "q99": [2.0], "min": [1.0], "max": [1.0]}
    assert vr.Normalizer("quantiles", convention="openvla", mask=[False], **s).normalize([5.0])[0] == 0.0
    s = {"min": [1.0], "max": [1.0]}
    assert vr.Normalizer("min_max", convention="groot", mask=[False], **s).normalize([5.0])[0] == 5.0


def test_identity_takes_any_shape():
    normalizer = vr.Normalizer("identity")
    assert normalizer.dimension == 0
    for shape in [(), (3,), (2, 5), (0, 4)]:
        x = np.full(shape, 1.25)
        np.testing.assert_array_equal(normalizer.normalize(x), x)
        assert normalizer.denormalize(x).shape == shape


def test_layout_and_dtype_do_not_matter():
    rng = np.random.default_rng(0)
    s = statistics(rng, 3)
    normalizer = vr.Normalizer("mean_std", **s)
    x = rng.normal(size=(3, 8)).astype(np.float32)
    expected = normalizer.normalize(np.ascontiguousarray(x.T).astype(np.float64))
    np.testing.assert_array_equal(normalizer.normalize(x.T), expected)
    np.testing.assert_array_equal(normalizer.normalize(x.T[::-1])[::-1], expected)
    np.testing.assert_array_equal(normalizer.normalize(x.T.astype(">f4")), expected)
    assert normalizer.normalize(x.T).dtype == np.float64


def test_whole_lerobot_statistics_can_be_passed():
    s = statistics(np.random.default_rng(0), 2)
    normalizer = vr.Normalizer("min_max", **s, count=[200], q50=[0.0, 0.0])
    assert sorted(normalizer.stats) == ["max", "min"]
    assert (normalizer.mode, normalizer.convention, normalizer.dimension) == ("min_max", "lerobot", 2)
    assert pickle.loads(pickle.dumps(normalizer)) == normalizer
    assert normalizer != vr.Normalizer("identity")


BAD = [
    (("fancy",), {}, "mode", "identity, mean_std"),
    (("min_max", "acme"), {"min": [0], "max": [1]}, "convention", "lerobot, openvla"),
    (("mean_std",), {"mean": [0.0]}, "std", "missing"),
    (("quantiles",), {"min": [0.0], "max": [1.0]}, "q01", "missing"),
    (("mean_std",), {"mean": [0.0, np.nan], "std": [1.0, 1.0]}, "mean[1]", "finite"),
    (("mean_std",), {"mean": [0.0], "std": [-1.0]}, "std[0]", ">= 0"),
    (("mean_std",), {"mean": [0.0, 1.0], "std": [1.0]}, "std", "must have 2"),
    (("mean_std",), {"mean": 0.0, "std": 1.0}, "mean", "shape"),
    (("mean_std",), {"mean": ["a"], "std": [1.0]}, "mean", "real numbers"),
    (("mean_std",), {"mean": [[1.0], [1.0, 2.0]], "std": [1.0]}, "mean", "equally long"),
    (("min_max",), {"min": [0.0, 2.0], "max": [1.0, 1.0]}, "min[1]", "<= max"),
    (("min_max",), {"min": [0.0], "max": [1.0], "median": [0.5]}, "median", "no such statistic"),
    (("min_max",), {"min": [0.0], "max": [1.0], "mask": [True, False]}, "mask", "must have 1"),
    (("min_max",), {"min": [0.0], "max": [1.0], "mask": [2]}, "mask[0]", "True or False"),
    (("min_max",), {"min": [0.0], "max": [1.0], "mask": [0.5]}, "mask", "integers"),
]


@pytest.mark.parametrize(("args", "kwargs", "name", "bound"), BAD)
def test_bad_statistics_are_named(args, kwargs, name, bound):
    with pytest.raises(vr.ConfigError) as error:
        vr.Normalizer(*args, **kwargs)
    assert error.value.name == name
    assert bound in error.value.bound


@pytest.mark.parametrize(
    ("x", "name"),
    [
        ([[0.0, 1.0], [np.nan, 0.0]], "x[1, 0]"),
        ([0.0, -np.inf], "x[1]"),
        ([0.0, 1.0, 2.0], "x"),
        (1.0, "x"),
        (None, "x"),
        (["a", "b"], "x"),
        ([1j, 2j], "x"),
    ],
)
def test_bad_values_are_named(x, name):
    normalizer = vr.Normalizer("min_max", min=[0.0, 0.0], max=[1.0, 1.0])
    with pytest.raises(vr.ConfigError) as error:
        normalizer.normalize(x)
    assert error.value.name == name
