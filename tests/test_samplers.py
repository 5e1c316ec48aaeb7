import math
import threading

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.samplers import (
    ConsistencySampler,
    DDIMSampler,
    DDPMSampler,
    DirectSampler,
    DPMSolverSampler,
    FlowMatchingSampler,
    Sampler,
    from_spec,
    noise,
)

SOLVERS = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}


def philox_normals(seed: int, chunk: int, step: int, count: int) -> np.ndarray:
    """The documented noise, written a second time with Python's integers."""

    def block(counter: list[int], key: list[int]) -> list[int]:
        for _ in range(10):
            p0, p1 = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
            counter = [
                (p1 >> 32) ^ counter[1] ^ key[0],
                p1 & 0xFFFFFFFF,
                (p0 >> 32) ^ counter[3] ^ key[1],
                p0 & 0xFFFFFFFF,
            ]
            key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
        return counter

    values: list[float] = []
    for i in range(-(-count // 4)):
        words = block(
            [chunk & 0xFFFFFFFF, chunk >> 32, step, i],
            [seed & 0xFFFFFFFF, seed >> 32],
        )
        u = [(w + 0.5) / 2**32 for w in words]
        for a, b in ((u[0], u[1]), (u[2], u[3])):
            r = math.sqrt(-2 * math.log(a))
            values += [r * math.cos(2 * math.pi * b), r * math.sin(2 * math.pi * b)]
    return np.array(values[:count], dtype=np.float32)


@pytest.mark.parametrize(
    ("seed", "chunk", "step"), [(0, 0, 0), (7, 3, 1), (2**64 - 1, 2**40 + 5, 2**32 - 1), (2**33, 1, 0)]
)
def test_noise_is_the_documented_stream(seed: int, chunk: int, step: int) -> None:
    expected = philox_normals(seed, chunk, step, 21)
    actual = noise(seed, chunk, step, (3, 7))
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual.ravel(), expected, rtol=0, atol=2e-7)
    assert np.array_equal(noise(seed, chunk, step, 21), actual.ravel())


def test_noise_is_standard_normal_and_independent_between_steps() -> None:
    from scipy import stats

    a, b = (noise(11, 5, step, 200_000) for step in (0, 1))
    assert stats.kstest(a, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.01
    assert abs(np.corrcoef(a[:-1], a[1:])[0, 1]) < 0.01


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((-1, 0, 0, 3), "seed"),
        ((2**64, 0, 0, 3), "seed"),
        ((0, -1, 0, 3), "chunk"),
        ((0, 0, 2**32, 3), "step"),
        ((0.5, 0, 0, 3), "seed"),
        ((0, 0, 0, (-2,)), "shape"),
        ((0, 0, 0, (2**32, 2**32)), "shape"),
        ((0, 0, 0, (2.5,)), "shape"),
    ],
)
def test_noise_refuses(arguments: tuple, field: str) -> None:
    with pytest.raises(vr.ConfigError) as error:
        noise(*arguments)
    assert error.value.name == field


def linear_reference(solver: str, steps: int, noise_at: int, matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Exact action of each solver on dx/dt = A x in float64: x_k = R(hA)^K x_0."""
    h = (1 - 2 * noise_at) / steps
    stages = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}[solver]
    step = sum(np.linalg.matrix_power(h * matrix, i) / math.factorial(i) for i in range(stages + 1))
    return x @ np.linalg.matrix_power(step, steps).T


@pytest.mark.parametrize("noise_at", [0, 1])
@pytest.mark.parametrize("solver", SOLVERS)
def test_linear_fields_are_exact(solver: str, noise_at: int) -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(5, 5))
    start = noise(3, 0, 0, (2, 4, 5))
    sampler = FlowMatchingSampler(num_steps=6, solver=solver, noise_at=noise_at)
    result = sampler.sample(lambda x, t: x @ matrix.T, start)
    assert result.dtype == np.float32
    assert result.shape == (2, 4, 5)
    expected = linear_reference(solver, 6, noise_at, matrix, start.astype(np.float64))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("solver", SOLVERS)
def test_stages_are_called_in_order_with_floats(solver: str) -> None:
    times: list[float] = []

    def denoiser(x: np.ndarray, t: float) -> np.ndarray:
        assert isinstance(t, float)
        assert x.dtype == np.float32
        assert x.flags.c_contiguous
        times.append(t)
        x[:] = np.nan  # the callable owns what it was given
        return np.zeros((1, 2, 3))

    sampler = FlowMatchingSampler(num_steps=4, solver=solver)
    start = np.ones((1, 2, 3))
    assert np.array_equal(sampler.sample(denoiser, start), start)
    offsets = {"euler": [0], "midpoint": [0, 0.5], "heun": [0, 1], "rk4": [0, 0.5, 0.5, 1]}[solver]
    assert times == [(k + c) / 4 for k in range(4) for c in offsets]
    assert sampler.timesteps.tolist() == [0, 0.25, 0.5, 0.75]


#: One of every class, stochastic where it can be.
KINDS: dict[str, Sampler] = {
    "flow": FlowMatchingSampler(num_steps=3, solver="rk4"),
    "ddpm": DDPMSampler(num_steps=3),
    "ddim": DDIMSampler(num_steps=3, eta=0.5),
    "dpm": DPMSolverSampler(num_steps=3, solver_order=3, algorithm_type="sde-dpmsolver++"),
    "consistency": ConsistencySampler(num_steps=3),
    "direct": DirectSampler(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_input_layouts_are_converted(kind: str) -> None:
    start = np.asfortranarray(np.random.default_rng(0).normal(size=(2, 6, 4)))[:, ::2]
    sampler = KINDS[kind]
    single = start.astype(np.float32)
    plain = sampler.sample(lambda x, t: -x, np.ascontiguousarray(single))
    fortran = sampler.sample(lambda x, t: np.asfortranarray(-x.astype(np.float64)), start)
    assert np.array_equal(plain, fortran)
    assert np.array_equal(plain, sampler.sample(lambda x, t: (-x).tolist(), single.tolist()))
    assert plain.dtype == np.float32


BAD_NOISE = {
    "nan": (np.full((1, 2, 2), np.nan), "noise[0, 0, 0]"),
    "inf": (np.array([[[0, 0], [0, np.inf]]]), "noise[0, 1, 1]"),
    "float32 overflow": (np.full((1, 2, 2), 1e300), "noise"),
    "two dimensions": (np.zeros((2, 2)), "noise"),
    "empty": (np.zeros((0, 2, 2)), "noise"),
    "complex": (np.zeros((1, 2, 2), dtype=complex), "noise"),
    "text": ("noise", "noise"),
    "ragged": ([[[0.0], [0.0, 1.0]]], "noise"),
    "none": (None, "noise"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", BAD_NOISE)
def test_bad_noise_is_named(case: str, kind: str) -> None:
    value, field = BAD_NOISE[case]
    with pytest.raises(vr.ConfigError) as error:
        KINDS[kind].sample(lambda x, t: x, value)
    assert error.value.name == field


BAD_RESULTS = {
    "shape": (lambda x, t: x[:, :1], vr.ConfigError),
    "flat": (lambda x, t: x.ravel(), vr.ConfigError),
    "none": (lambda x, t: None, vr.ConfigError),
    "complex": (lambda x, t: x * 1j, vr.ConfigError),
    "nan": (lambda x, t: x * np.nan, vr.ModelError),
    "inf": (lambda x, t: x + np.inf, vr.ModelError),
    "its own error": (lambda x, t: 1 / 0, ZeroDivisionError),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", BAD_RESULTS)
def test_bad_denoisers(case: str, kind: str) -> None:
    denoiser, expected = BAD_RESULTS[case]
    with pytest.raises(expected):
        KINDS[kind].sample(denoiser, np.zeros((1, 2, 2)))


@pytest.mark.parametrize("kind", ["flow", "ddim", "dpm", "direct"])
def test_a_sample_that_is_too_large_is_an_error(kind: str) -> None:
    head = DirectSampler("normal", "sample") if kind == "direct" else KINDS[kind]
    huge = np.full((1, 2, 4, 2) if kind == "direct" else (1, 4, 2), 3e38)
    if kind in ("ddim", "dpm"):
        head = type(head)(num_steps=1, clip_sample=False, timestep_spacing="trailing")
        huge = -huge  # the noise that is taken away
    with pytest.raises(vr.ModelError, match=r"sample\["):
        head.sample(lambda x, t: huge, np.full((1, 4, 2), 3e38))


def test_a_spec_without_a_known_type_is_refused() -> None:
    for spec in ({}, {"type": "euler"}, {"type": "autoregressive", "num_tokens": 3}):
        with pytest.raises(vr.ConfigError, match="flow_matching"):
            from_spec(spec)
    assert from_spec({"type": "ddpm", "num_steps": 7}).timesteps.shape == (7,)


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_that_is_not_finite_is_named(kind: str) -> None:
    def denoiser(x: np.ndarray, t: float) -> np.ndarray:
        answer = np.zeros_like(x)
        answer[1, 2, 0] = -np.inf
        return answer

    with pytest.raises(vr.ModelError, match=r"denoiser output\[1, 2, 0\]"):
        KINDS[kind].sample(denoiser, np.zeros((2, 3, 4)))
    bad = np.zeros((len(KINDS[kind].timesteps), 2, 3, 4))
    bad[-1, 0, 2, 3] = np.nan
    with pytest.raises(vr.ConfigError, match="step_noise") as error:
        KINDS[kind].sample(lambda x, t: x, np.zeros((2, 3, 4)), step_noise=bad)
    assert error.value.name == f"step_noise[{len(bad) - 1}, 0, 2, 3]"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"num_steps": 0}, "num_steps"),
        ({"num_steps": 1001}, "num_steps"),
        ({"solver": "rk5"}, "solver"),
        ({"noise_at": 2}, "noise_at"),
    ],
)
def test_bad_options(options: dict, field: str) -> None:
    with pytest.raises(vr.ConfigError) as error:
        FlowMatchingSampler(**options)
    assert error.value.name == field


def test_step_noise_is_checked() -> None:
    start = np.zeros((1, 2, 3))
    sampler = FlowMatchingSampler(num_steps=4)
    sampler.sample(lambda x, t: x, start, step_noise=np.zeros((4, 1, 2, 3)))
    for bad in (np.zeros((3, 1, 2, 3)), np.zeros((4, 2, 3)), np.full((4, 1, 2, 3), np.nan)):
        with pytest.raises(vr.ConfigError, match="step_noise"):
            sampler.sample(lambda x, t: x, start, step_noise=bad)


def test_one_sampler_serves_many_threads() -> None:
    sampler = FlowMatchingSampler(num_steps=50, solver="rk4")
    results: dict[int, np.ndarray] = {}

    def work(i: int) -> None:
        results[i] = sampler.sample(lambda x, t: -x * (i + 1), np.ones((1, 16, 7)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i, x in results.items():
        np.testing.assert_allclose(x, np.exp(-(i + 1)), rtol=1e-4)
