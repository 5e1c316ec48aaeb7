"""The diffusion samplers against diffusers' schedulers of the same names, on random settings."""

import itertools
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vla_rt as vr
from vla_rt import samplers

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    diffusers = pytest.importorskip("diffusers")

# diffusers calls numpy in ways that numpy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")

SHAPE = (2, 4, 3)
SPACINGS = ("leading", "linspace", "trailing")
PREDICTIONS = ("epsilon", "sample", "v_prediction")
SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")
RENAMED = {
    "num_train_steps": "num_train_timesteps",
    "prediction": "prediction_type",
    "clip_range": "clip_sample_range",
}


def network(num_train_steps: int) -> Callable[[np.ndarray, int], np.ndarray]:
    """Non-linear in x, different at every t, of order one."""
    rng = np.random.default_rng(0)
    mix, shift = rng.normal(size=(3, 3)) * 0.6, rng.normal(size=(4, 3))

    def denoiser(x: np.ndarray, t: int) -> np.ndarray:
        assert isinstance(t, int)
        return np.tanh(x @ mix + shift * (t / num_train_steps)) + 0.1 * np.sin(3 * x)

    return denoiser


def oracle(
    scheduler: Any, options: dict[str, Any], start: np.ndarray, noises: np.ndarray, **step: Any
) -> tuple[np.ndarray, list[int]]:
    num_steps = options["num_steps"]
    scheduler.set_timesteps(num_steps)
    if options.get("use_karras_sigmas"):
        # The first level is that of the last training step, but float32 logarithms and truncation
        # (squaredcos_cap_v2) make diffusers ask the network for the step before it.
        assert scheduler.timesteps[0] - options["num_train_steps"] in (-1, -2)
        scheduler.timesteps[0] = options["num_train_steps"] - 1
    denoiser = network(options["num_train_steps"])
    x = torch.tensor(start, dtype=torch.float32)
    timesteps = scheduler.timesteps.tolist()
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)  # timesteps may repeat
    for k, t in enumerate(timesteps):
        output = torch.tensor(denoiser(x.numpy(), t), dtype=torch.float32)
        x = scheduler.step(output, t, x, **step_arguments(scheduler, noises[k], step)).prev_sample
    return x.numpy(), timesteps


def step_arguments(scheduler: Any, noise: np.ndarray, step: dict[str, Any]) -> dict[str, Any]:
    if isinstance(scheduler, diffusers.DDPMScheduler):
        return {}
    return {"variance_noise": torch.tensor(noise, dtype=torch.float32), **step}


def renamed(options: dict[str, Any], drop: tuple[str, ...] = ()) -> dict[str, Any]:
    return {RENAMED.get(k, k): v for k, v in options.items() if k != "num_steps" and k not in drop}


def agree(actual: np.ndarray, expected: np.ndarray) -> None:
    assert np.isfinite(expected).all()
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-4 * scale)


def inputs(seed: int, num_steps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=SHAPE).astype(np.float32),
        rng.normal(size=(num_steps, *SHAPE)).astype(np.float32),
    )


def random_common(rng: random.Random) -> dict[str, Any]:
    num_train = rng.choice([50, 100, 1000])
    options = {
        "num_train_steps": num_train,
        "beta_schedule": rng.choice(SCHEDULES),
        "beta_start": rng.choice([1e-4, 5e-4]),
        "beta_end": rng.choice([0.02, 0.012]),
        "prediction": rng.choice(PREDICTIONS),
        "num_steps": rng.choice([1, 2, 3, 5, 7, 10, 14, 15, 20, 33, 49]),
        "timestep_spacing": rng.choice(SPACINGS),
    }
    # Of leading spacing alone; more would lead past the last training step.
    free = num_train - 1 - (options["num_steps"] - 1) * (num_train // options["num_steps"])
    options["steps_offset"] = min(rng.choice([0, 1, 2]), free)
    return options


@pytest.mark.parametrize("seed", range(120))
def test_ddim_equals_diffusers(seed: int) -> None:
    rng = random.Random(seed)
    options = random_common(rng) | {
        "clip_sample": rng.random() < 0.7,
        "clip_range": rng.choice([1.0, 2.5]),
        "set_alpha_to_one": rng.random() < 0.5,
    }
    eta = rng.choice([0.0, 0.5, 1.0])
    start, noises = inputs(seed, options["num_steps"])
    expected, timesteps = oracle(diffusers.DDIMScheduler(**renamed(options)), options, start, noises, eta=eta)
    sampler = samplers.DDIMSampler(**options, eta=eta)
    assert sampler.timesteps.tolist() == timesteps
    agree(sampler.sample(network(options["num_train_steps"]), start, step_noise=noises), expected)


@pytest.mark.parametrize("seed", range(120))
def test_ddpm_equals_diffusers(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    options = random_common(rng) | {
        "clip_sample": rng.random() < 0.7,
        "clip_range": rng.choice([1.0, 2.5]),
    }
    start, noises = inputs(seed, options["num_steps"])
    drawn = itertools.count()

    def given(shape: Any, **_: Any) -> Any:
        return torch.tensor(noises[next(drawn)])

    monkeypatch.setattr(diffusers.schedulers.scheduling_ddpm, "randn_tensor", given)
    expected, timesteps = oracle(diffusers.DDPMScheduler(**renamed(options)), options, start, noises)
    sampler = samplers.DDPMSampler(**options)
    assert sampler.timesteps.tolist() == timesteps
    agree(sampler.sample(network(options["num_train_steps"]), start, step_noise=noises), expected)


@pytest.mark.parametrize("seed", range(240))
def test_dpm_solver_equals_diffusers(seed: int) -> None:
    rng = random.Random(seed)
    options = random_common(rng) | {
        "solver_order": rng.choice([1, 2, 3]),
        "solver_type": rng.choice(["midpoint", "heun"]),
        "algorithm_type": rng.choice(["dpmsolver++", "sde-dpmsolver++"]),
        "lower_order_final": rng.random() < 0.5,
        "final_sigmas_type": rng.choice(["zero", "sigma_min"]),
        "use_karras_sigmas": rng.random() < 0.4,
    }
    if options["num_steps"] >= options["num_train_steps"] - 1:
        options["num_steps"] = 20
        options["steps_offset"] = 0
    start, noises = inputs(seed, options["num_steps"])
    scheduler = diffusers.DPMSolverMultistepScheduler(**renamed(options))
    expected, timesteps = oracle(scheduler, options, start, noises)
    sampler = samplers.DPMSolverSampler(**options)
    assert sampler.timesteps.tolist() == timesteps
    actual = sampler.sample(network(options["num_train_steps"]), start, step_noise=noises)
    if np.isfinite(expected).all():
        agree(actual, expected)
    else:  # a step between equal noise levels: diffusers divides zero by zero, this one stands still
        assert (scheduler.sigmas.diff() == 0).any()
        assert np.isfinite(actual).all()


def test_own_noise_is_the_documented_stream() -> None:
    start, _ = inputs(0, 1)
    noises = np.stack([samplers.noise(9, 0, k + 1, SHAPE) for k in range(6)])
    for sampler, denoiser in (
        (samplers.DDPMSampler(num_steps=6), network(1000)),
        (samplers.DDIMSampler(num_steps=6, eta=0.7), network(1000)),
        (samplers.DPMSolverSampler(num_steps=6, algorithm_type="sde-dpmsolver++"), network(1000)),
        (samplers.ConsistencySampler(num_steps=6), smooth),
    ):
        own = sampler.sample(denoiser, start, seed=9)
        assert np.array_equal(own, sampler.sample(denoiser, start, step_noise=noises))
        assert not np.array_equal(own, sampler.sample(denoiser, start, seed=10))


def smooth(x: np.ndarray, sigma: float) -> np.ndarray:
    assert isinstance(sigma, float)
    return np.tanh(x / (sigma + 1)) + 0.01 * x


def test_deterministic_samplers_ignore_the_seed() -> None:
    start, noises = inputs(0, 5)
    for sampler in (samplers.DDIMSampler(num_steps=5), samplers.DPMSolverSampler(num_steps=5)):
        a = sampler.sample(network(1000), start, seed=1)
        assert np.array_equal(a, sampler.sample(network(1000), start, seed=2, step_noise=noises))


@pytest.mark.parametrize("kind", [samplers.DDPMSampler, samplers.DDIMSampler, samplers.DPMSolverSampler])
def test_all_steps_of_a_schedule_stay_finite(kind: Any) -> None:
    start, _ = inputs(0, 1)
    for schedule, spacing in itertools.product(SCHEDULES, ("linspace", "trailing")):
        for num_steps in (1, 99, 100):
            sampler = kind(
                num_train_steps=100, beta_schedule=schedule, num_steps=num_steps, timestep_spacing=spacing
            )
            assert len(sampler.timesteps) == num_steps
            assert np.isfinite(sampler.sample(network(100), start)).all()


def test_all_training_steps_are_the_default() -> None:
    assert samplers.DDPMSampler(num_train_steps=100).timesteps.tolist() == list(range(99, -1, -1))
    assert len(samplers.DDIMSampler(num_train_steps=100).timesteps) == 100


def test_a_perfect_network_gives_the_clean_sample() -> None:
    """With the exact answer for one data point, every sampler must arrive at that point."""
    clean = np.full(SHAPE, 0.3, dtype=np.float32)
    start, _ = inputs(3, 1)
    for sampler in (
        samplers.DDPMSampler(prediction="sample", num_steps=10),
        samplers.DDIMSampler(prediction="sample", num_steps=10),
        samplers.DPMSolverSampler(prediction="sample", num_steps=10, solver_order=3),
        samplers.DPMSolverSampler(prediction="sample", num_steps=10, algorithm_type="sde-dpmsolver++"),
    ):
        np.testing.assert_allclose(sampler.sample(lambda x, t: clean, start), clean, atol=1e-6)


@pytest.mark.parametrize(("order", "rate"), [(1, 1.8), (2, 3.5), (3, 6.0)])
def test_dpm_solver_converges_with_its_order(order: int, rate: float) -> None:
    """On data ~ N(0, s^2) the exact noise prediction is known, and so is the flow to the end."""
    s, n, beta_start, beta_end = 0.5, 10_000, 1e-5, 0.002
    abars = np.cumprod(1 - np.linspace(beta_start, beta_end, n))
    deviations = np.sqrt(abars * s**2 + 1 - abars)

    def exact(x: np.ndarray, t: int) -> np.ndarray:
        return np.sqrt(1 - abars[t]) * x.astype(np.float64) / deviations[t] ** 2

    def error(num_steps: int) -> float:
        sampler = samplers.DPMSolverSampler(
            num_train_steps=n,
            beta_start=beta_start,
            beta_end=beta_end,
            num_steps=num_steps,
            solver_order=order,
            use_karras_sigmas=True,
            final_sigmas_type="sigma_min",
            lower_order_final=False,
        )
        sample = sampler.sample(exact, np.ones((1, 1, 1)))
        return abs(float(sample[0, 0, 0]) - deviations[0] / deviations[-1])

    assert error(20) / error(40) > rate


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"num_train_steps": 0}, "num_train_steps"),
        ({"num_train_steps": 10_001}, "num_train_steps"),
        ({"num_steps": 0}, "num_steps"),
        ({"num_steps": 1001}, "num_steps"),
        ({"num_steps": -1}, "num_steps"),
        ({"beta_schedule": "quadratic"}, "beta_schedule"),
        ({"beta_start": 0.0}, "beta_start"),
        ({"beta_end": 1.0}, "beta_end"),
        ({"beta_end": float("nan")}, "beta_end"),
        ({"beta_start": 1e-12, "beta_end": 1e-12}, "beta_start"),  # no noise in float32
        ({"beta_start": 0.9, "beta_end": 0.9999}, "beta_end"),  # nothing but noise
        ({"prediction": "noise"}, "prediction"),
        ({"clip_range": 0.0}, "clip_range"),
        ({"timestep_spacing": "even"}, "timestep_spacing"),
        ({"steps_offset": -1}, "steps_offset"),
        ({"steps_offset": 999, "num_steps": 10, "timestep_spacing": "leading"}, "steps_offset"),
    ],
)
def test_bad_common_options(options: dict[str, Any], field: str) -> None:
    for kind in (samplers.DDPMSampler, samplers.DDIMSampler, samplers.DPMSolverSampler):
        with pytest.raises(vr.ConfigError) as error:
            kind(**options)
        assert error.value.name == field


@pytest.mark.parametrize(
    ("kind", "options", "field"),
    [
        (samplers.DDIMSampler, {"eta": -0.1}, "eta"),
        (samplers.DDIMSampler, {"eta": 1.1}, "eta"),
        (samplers.DPMSolverSampler, {"solver_order": 0}, "solver_order"),
        (samplers.DPMSolverSampler, {"solver_order": 4}, "solver_order"),
        (samplers.DPMSolverSampler, {"solver_type": "rk4"}, "solver_type"),
        (samplers.DPMSolverSampler, {"algorithm_type": "dpmsolver"}, "algorithm_type"),
        (samplers.DPMSolverSampler, {"final_sigmas_type": "one"}, "final_sigmas_type"),
        (samplers.DPMSolverSampler, {"num_steps": 1000, "timestep_spacing": "leading"}, "num_steps"),
        (samplers.ConsistencySampler, {"num_steps": 0}, "num_steps"),
        (samplers.ConsistencySampler, {"sigma_min": 0.0}, "sigma_min"),
        (samplers.ConsistencySampler, {"sigma_max": 0.01}, "sigma_max"),
        (samplers.ConsistencySampler, {"sigma_max": float("inf")}, "sigma_max"),
        (samplers.ConsistencySampler, {"sigma_max": 1e31}, "sigma_max"),
        (samplers.ConsistencySampler, {"rho": 1e-3, "num_steps": 3}, "rho"),
        (samplers.ConsistencySampler, {"rho": 0.0}, "rho"),
        (samplers.ConsistencySampler, {"sigma_data": -1.0}, "sigma_data"),
    ],
)
def test_bad_own_options(kind: Any, options: dict[str, Any], field: str) -> None:
    with pytest.raises(vr.ConfigError) as error:
        kind(**options)
    assert error.value.name == field


@pytest.mark.parametrize("num_steps", [1, 2, 5])
def test_consistency_is_the_published_algorithm(num_steps: int) -> None:
    start, noises = inputs(num_steps, num_steps)
    low, high = 0.02 ** (1 / 7), 80 ** (1 / 7)
    sigmas = [(high + k / num_steps * (low - high)) ** 7 for k in range(num_steps)]
    sampler = samplers.ConsistencySampler(num_steps=num_steps)
    np.testing.assert_allclose(sampler.timesteps, sigmas, rtol=1e-12)
    x = smooth(start * 80.0, 80.0)
    for k, sigma in enumerate(sigmas[1:]):
        x = smooth(x + np.sqrt(sigma**2 - 0.02**2) * noises[k], float(sigma))
    np.testing.assert_allclose(sampler.sample(smooth, start, step_noise=noises), x, atol=2e-5)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 5, 12])
def test_consistency_equals_diffusers(num_steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the network inside its consistency function, and K of K + 1 levels."""
    start, noises = inputs(num_steps, num_steps)
    scheduler = diffusers.CMStochasticIterativeScheduler(
        num_train_timesteps=num_steps + 1, sigma_min=0.02, clip_denoised=False
    )
    scheduler.set_timesteps(timesteps=list(range(num_steps - 1, -1, -1)))
    drawn = itertools.count()
    monkeypatch.setattr(
        diffusers.schedulers.scheduling_consistency_models,
        "randn_tensor",
        lambda *_, **__: torch.tensor(noises[next(drawn)]),
    )
    inner = network(1)
    x = torch.tensor(start) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        answer = torch.tensor(inner(scheduler.scale_model_input(x, t).numpy(), 1), dtype=torch.float32)
        x = scheduler.step(answer, t, x).prev_sample

    def consistency(x: np.ndarray, sigma: float) -> np.ndarray:
        kept = 0.5**2 / ((sigma - 0.02) ** 2 + 0.5**2)
        scale = (sigma**2 + 0.5**2) ** 0.5
        return kept * x + (sigma - 0.02) * 0.5 / scale * inner(x / scale, 1)

    sampler = samplers.ConsistencySampler(num_steps=num_steps)
    np.testing.assert_allclose(sampler.timesteps, scheduler.sigmas[:-1], rtol=1e-6)
    agree(sampler.sample(consistency, start, step_noise=noises), x.numpy())


@pytest.mark.parametrize("num_train_steps", [10, 50, 100, 200, 500, 1000, 2000])
def test_karras_levels_begin_at_the_last_training_step(num_train_steps: int) -> None:
    """As diffusers, or where rounding and truncation make that begin one step lower; the rest is equal."""
    for schedule, num_steps in itertools.product(SCHEDULES, (1, 2, 5, 8)):
        options = {"beta_schedule": schedule, "use_karras_sigmas": True}
        scheduler = diffusers.DPMSolverMultistepScheduler(num_train_timesteps=num_train_steps, **options)
        scheduler.set_timesteps(num_steps)
        theirs = scheduler.timesteps.tolist()
        sampler = samplers.DPMSolverSampler(num_train_steps, num_steps=num_steps, **options)
        assert sampler.timesteps.tolist() == [num_train_steps - 1, *theirs[1:]]
        lowest = num_train_steps - (2 if schedule == "squaredcos_cap_v2" else 1)
        assert theirs[0] in (num_train_steps - 1, lowest)
