"""Real-time chunking in the samplers, judged by the published formula in numpy and by torch's autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vla_rt as vr

B, T, D = 2, 8, 3
Array = np.ndarray
Velocity = Callable[[Array, float], Array]


class Tanh:
    """v(x, t) = A2 tanh(A1 x + b t) on the flat chunk, with its exact vector-Jacobian product."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = T * D
        self.a1, self.a2 = rng.normal(size=(2, n, n)) / np.sqrt(n)
        self.b = rng.normal(size=n)

    def _hidden(self, x: Array, t: float) -> Array:
        return np.tanh(x.reshape(len(x), -1).astype(float) @ self.a1.T + self.b * t)

    def __call__(self, x: Array, t: float) -> Array:
        return (self._hidden(x, t) @ self.a2.T).reshape(x.shape).astype(np.float32)

    def vjp(self, x: Array, t: float, c: Array) -> Array:
        inner = (c.reshape(len(x), -1).astype(float) @ self.a2) * (1 - self._hidden(x, t) ** 2)
        return (inner @ self.a1).reshape(x.shape).astype(np.float32)


def weights(delay: int, end: int, schedule: str) -> Array:
    """The published prefix weights."""
    end = min(end, T)
    start = min(delay, end)
    row = np.arange(T)
    w = np.clip((start - 1 - row) / (end - start + 1) + 1, 0, 1)
    if schedule == "exp":
        w = w * np.expm1(w) / (np.e - 1)
    elif schedule == "ones":
        w = np.ones(T)
    elif schedule == "zeros":
        w = (row < start).astype(float)
    return np.where(row < end, w, 0)


def strength(tau: float, beta: float) -> float:
    spread = tau * (1 - tau)
    return beta if spread == 0 else min((tau**2 + (1 - tau) ** 2) / spread, beta)


def guided(net: Tanh, previous: Array, w: Array, beta: float, jacobian: str, noise_at: int) -> Velocity:
    """The guided velocity field of Black et al., written for time 0 noise -> 1 data."""

    def velocity(x: Array, t: float) -> Array:
        tau, sign = (t, 1.0) if noise_at == 0 else (1 - t, -1.0)
        u = sign * net(x, t).astype(float)
        clean = x + (1 - tau) * u
        error = w[:, None] * (previous - clean)
        correction = error
        if jacobian == "vjp":
            correction = error + (1 - tau) * sign * net.vjp(x, t, error).astype(float)
        return sign * (u + strength(tau, beta) * correction)

    return velocity


TABLEAUX: dict[str, tuple[list[float], list[float]]] = {
    "euler": ([0], [1]),
    "midpoint": ([0, 0.5], [0, 1]),
    "heun": ([0, 1], [0.5, 0.5]),
    "rk4": ([0, 0.5, 0.5, 1], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
}


def integrate(velocity: Velocity, x: Array, steps: int, solver: str, noise_at: int) -> Array:
    nodes, rates = TABLEAUX[solver]
    h = (1 if noise_at == 0 else -1) / steps
    x = x.astype(float)
    for k in range(steps):
        stages: list[Array] = []
        for node in nodes:
            t = (k + node if noise_at == 0 else steps - k - node) / steps
            stages.append(velocity(x if not stages else x + node * h * stages[-1], t))
        x = x + h * sum(rate * stage for rate, stage in zip(rates, stages, strict=True))
    return x


@pytest.mark.parametrize("solver", list(TABLEAUX))
@pytest.mark.parametrize("noise_at", [0, 1])
@pytest.mark.parametrize("jacobian", ["identity", "vjp"])
def test_flow_guidance_is_the_published_formula(solver: str, noise_at: int, jacobian: str) -> None:
    rng = np.random.default_rng([list(TABLEAUX).index(solver), noise_at, len(jacobian)])
    for case in range(6):
        net, noise = Tanh(case), rng.normal(size=(B, T, D)).astype(np.float32)
        schedule = ["exp", "linear", "ones", "zeros"][case % 4]
        delay, end, beta = int(rng.integers(0, 5)), int(rng.integers(0, T + 3)), float(rng.uniform(0.5, 8))
        rows = int(rng.integers(1, T + 1))
        given = rng.normal(size=(B, rows, D) if case % 2 else (rows, D))
        held = np.concatenate([given, np.repeat(given[..., -1:, :], T - rows, axis=-2)], axis=-2)
        guidance = vr.rtc.Guidance(given, delay, end, beta, schedule, jacobian)
        sampler = vr.samplers.FlowMatchingSampler(num_steps=5, solver=solver, noise_at=noise_at)
        found = sampler.sample(net, noise, guidance=guidance)
        field = guided(net, held, weights(delay, end, schedule), beta, jacobian, noise_at)
        np.testing.assert_allclose(found, integrate(field, noise, 5, solver, noise_at), atol=3e-6, rtol=1e-6)


@pytest.mark.parametrize("noise_at", [0, 1])
def test_one_guided_stage_is_the_published_formula(noise_at: int) -> None:
    rng = np.random.default_rng(noise_at)
    for case in range(50):
        net, noise = Tanh(case), rng.normal(size=(B, T, D)).astype(np.float32)
        previous = rng.normal(size=(B, T, D))
        sampler = vr.samplers.FlowMatchingSampler(num_steps=1, noise_at=noise_at)
        for jacobian in ("identity", "vjp"):
            found = sampler.sample(net, noise, guidance=vr.rtc.Guidance(previous, 2, 6, 5.0, "exp", jacobian))
            field = guided(net, previous, weights(2, 6, "exp"), 5.0, jacobian, noise_at)
            np.testing.assert_allclose(found, integrate(field, noise, 1, "euler", noise_at), atol=1e-6)


def test_the_directions_of_time_agree() -> None:
    net, previous = Tanh(1), np.random.default_rng(0).normal(size=(T, D))
    noise = np.random.default_rng(1).normal(size=(1, T, D)).astype(np.float32)

    class Backwards:
        def __call__(self, x: Array, t: float) -> Array:
            return -net(x, 1 - t)

        def vjp(self, x: Array, t: float, c: Array) -> Array:
            return -net.vjp(x, 1 - t, c)

    for jacobian in ("identity", "vjp"):
        guidance = vr.rtc.Guidance(previous, 2, 6, jacobian=jacobian)
        forth = vr.samplers.FlowMatchingSampler(8, "heun", 0).sample(net, noise, guidance=guidance)
        back = vr.samplers.FlowMatchingSampler(8, "heun", 1).sample(Backwards(), noise, guidance=guidance)
        np.testing.assert_allclose(forth, back, atol=1e-6)


def test_the_vjp_form_agrees_with_autograd() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Linear(T * D + 1, 32), torch.nn.Mish(), torch.nn.Linear(32, T * D)
    ).double()

    def forward(x: Any, t: float) -> Any:
        times = torch.full((len(x), 1), t, dtype=torch.float64)
        return layers(torch.cat([x.flatten(1), times], dim=1)).reshape(x.shape)

    class Network:
        def __call__(self, x: Array, t: float) -> Array:
            with torch.no_grad():
                return np.asarray(forward(torch.tensor(x, dtype=torch.float64), t))

        def vjp(self, x: Array, t: float, c: Array) -> Array:
            leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
            (product,) = torch.autograd.grad(forward(leaf, t), leaf, torch.tensor(c, dtype=torch.float64))
            return np.asarray(product)

    rng = np.random.default_rng(2)
    noise, previous = rng.normal(size=(B, T, D)).astype(np.float32), rng.normal(size=(T, D))
    w = torch.tensor(weights(2, 6, "exp"))[:, None]

    def velocity(x: Array, t: float) -> Array:
        # The Jacobian of the predicted chunk itself, not composed from the network's.
        leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        v = forward(leaf, t)
        clean = leaf + (1 - t) * v
        error = (w * (torch.tensor(previous) - clean)).detach()
        (correction,) = torch.autograd.grad(clean, leaf, error)
        return np.asarray(v.detach() + strength(t, 5.0) * correction)

    sampler = vr.samplers.FlowMatchingSampler(5, "midpoint")
    exact = vr.rtc.Guidance(previous, 2, 6, jacobian="vjp")
    found = sampler.sample(Network(), noise, guidance=exact)
    np.testing.assert_allclose(found, integrate(velocity, noise, 5, "midpoint", 0), atol=3e-6)
    differences = vr.rtc.Guidance(previous, 2, 6, jacobian="finite_differences")
    np.testing.assert_allclose(
        sampler.sample(lambda x, t: Network()(x, t), noise, guidance=differences), found, atol=2e-3
    )


def test_guidance_continues_the_previous_chunk() -> None:
    # x1 is 0.3 for every row: the guided rows move to the previous chunk, the free ones stay.
    def towards(x: Array, t: float) -> Array:
        return (0.3 - x) / (1 - t)

    noise = vr.samplers.noise(0, 0, 0, (1, T, D))
    sampler = vr.samplers.FlowMatchingSampler(5)
    free = sampler.sample(towards, noise)
    held = sampler.sample(towards, noise, guidance=vr.rtc.Guidance(np.full((T, D), -0.4), 3, 6))
    assert np.abs(held[:, :3] + 0.4).max() < 0.2 * np.abs(free[:, :3] + 0.4).min()
    np.testing.assert_array_equal(held[:, 6:], free[:, 6:])
    distance = np.abs(held + 0.4).max(axis=(0, 2))
    assert (np.diff(distance) > -1e-6).all()


def dim_by_dim(x: Array, t: float) -> Array:
    """No row sees another one."""
    return np.tanh(1.3 * x + 1e-3 * t).astype(np.float32)


DIFFUSION: dict[str, Callable[..., Any]] = {
    "ddim": vr.samplers.DDIMSampler,
    "ddpm": vr.samplers.DDPMSampler,
    "dpm": vr.samplers.DPMSolverSampler,
}


@pytest.mark.parametrize("kind", list(DIFFUSION))
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_free_rows_of_diffusion_stay_as_they_were(kind: str, prediction: str) -> None:
    sampler = DIFFUSION[kind](num_steps=7, prediction=prediction)
    noise = vr.samplers.noise(3, 0, 0, (B, T, D))
    free = sampler.sample(dim_by_dim, noise, seed=5)
    held = sampler.sample(dim_by_dim, noise, seed=5, guidance=vr.rtc.Guidance(np.full((T, D), 0.5), 2, 5))
    np.testing.assert_array_equal(held[:, 5:], free[:, 5:])
    assert np.abs(held[:, :2] - 0.5).max() < 0.2 < 0.7 < np.abs(free[:, :2] - 0.5).max()


@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("clip", [False, True])
def test_guided_ddim_is_its_formula(eta: float, clip: bool) -> None:
    steps, train = 6, 100
    rng = np.random.default_rng(11)
    noise, previous = rng.normal(size=(B, T, D)).astype(np.float32), rng.uniform(-1, 1, (T, D))
    added = rng.normal(size=(steps, B, T, D)).astype(np.float32)
    sampler = vr.samplers.DDIMSampler(num_train_steps=train, num_steps=steps, eta=eta, clip_sample=clip)
    guidance = vr.rtc.Guidance(previous, 2, 6)
    found = sampler.sample(dim_by_dim, noise, guidance=guidance, step_noise=added)

    abars = np.cumprod(1 - np.linspace(1e-4, 0.02, train))
    w, x = weights(2, 6, "exp")[:, None], noise.astype(float)
    for k, t in enumerate(sampler.timesteps):
        before = t - train // steps
        abar, last = abars[t], abars[before] if before >= 0 else 1.0
        alpha, sigma = np.sqrt(abar), np.sqrt(1 - abar)
        eps = dim_by_dim(x.astype(np.float32), t).astype(float)
        clean = (x - sigma * eps) / alpha
        if clip:
            clean = np.clip(clean, -1, 1)
        tau = alpha / (alpha + sigma)
        clean = clean + min(strength(tau, 5.0) * (1 - tau), 1) * w * (previous - clean)
        eps = np.where(w > 0, (x - alpha * clean) / sigma, eps)
        spread = eta * np.sqrt((1 - last) / (1 - abar) * (1 - abar / last))
        x = np.sqrt(last) * clean + np.sqrt(1 - last - spread**2) * eps + spread * added[k]
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_guided_dpm_solver_is_its_formula() -> None:
    """First order, where the update is one line."""
    sampler = vr.samplers.DPMSolverSampler(num_steps=6, solver_order=1)
    rng = np.random.default_rng(4)
    noise, previous = rng.normal(size=(B, T, D)).astype(np.float32), rng.uniform(-1, 1, (T, D))
    found = sampler.sample(dim_by_dim, noise, guidance=vr.rtc.Guidance(previous, 2, 6, schedule="linear"))
    abars = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    w, x = weights(2, 6, "linear")[:, None], noise.astype(float)
    times = list(sampler.timesteps)
    for k, t in enumerate(times):
        alpha, sigma = np.sqrt(abars[t]), np.sqrt(1 - abars[t])
        clean = (x - sigma * dim_by_dim(x.astype(np.float32), t)) / alpha
        tau = alpha / (alpha + sigma)
        clean = clean + min(strength(tau, 5.0) * (1 - tau), 1) * w * (previous - clean)
        if k + 1 == len(times):
            x = clean
            continue
        a, s = np.sqrt(abars[times[k + 1]]), np.sqrt(1 - abars[times[k + 1]])
        x = s / sigma * x + a * (1 - s / a * alpha / sigma) * clean
    np.testing.assert_allclose(found, x, atol=1e-5)


PREVIOUS = np.zeros((T, D))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"delay": -1}, "delay"),
        ({"delay": 1.5}, "delay"),
        ({"delay": True}, "delay"),
        ({"delay": None}, "delay"),
        ({"delay": 10**30}, "delay"),
        ({"execution_horizon": -1}, "execution_horizon"),
        ({"execution_horizon": "4"}, "execution_horizon"),
        ({"max_weight": -1}, "max_weight"),
        ({"max_weight": float("nan")}, "max_weight"),
        ({"max_weight": float("inf")}, "max_weight"),
        ({"schedule": "cosine"}, "schedule"),
        ({"jacobian": "exact"}, "jacobian"),
        ({"previous": np.full((T, D), np.nan)}, "previous[0, 0]"),
        ({"previous": np.zeros(D)}, "previous"),
        ({"previous": np.zeros((0, D))}, "previous"),
        ({"previous": np.zeros((257, D))}, "previous"),
        ({"previous": np.zeros((2, 65))}, "previous"),
        ({"previous": "rows"}, "previous"),
    ],
)
def test_bad_guidance_names_the_field(options: dict[str, Any], name: str) -> None:
    with pytest.raises(vr.ConfigError) as error:
        vr.rtc.Guidance(**{"previous": PREVIOUS, "delay": 1, "execution_horizon": 4, **options})
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("guidance", "name"),
    [
        (vr.rtc.Guidance(np.zeros((T, D + 1)), 1, 4), "action_dim"),
        (vr.rtc.Guidance(np.zeros((T + 1, D)), 1, 4), "rows"),
        (vr.rtc.Guidance(np.zeros((B + 1, T, D)), 1, 4), "batch"),
        (vr.rtc.Guidance(PREVIOUS, T + 1, T + 2), "delay"),
        (vr.rtc.Guidance(PREVIOUS, 1, 4, jacobian="vjp"), "jacobian"),
        ({"previous": PREVIOUS}, "guidance"),
    ],
)
def test_guidance_that_does_not_fit_is_refused(guidance: Any, name: str) -> None:
    noise = np.zeros((B, T, D), np.float32)
    with pytest.raises(vr.ConfigError) as error:
        vr.samplers.FlowMatchingSampler().sample(lambda x, t: x, noise, guidance=guidance)
    assert name in str(error.value)


def test_only_what_a_sampler_offers() -> None:
    noise = np.zeros((B, T, D), np.float32)
    for sampler in (vr.samplers.DDIMSampler(num_steps=3), vr.samplers.DPMSolverSampler(num_steps=3)):
        with pytest.raises(vr.ConfigError, match="identity"):
            sampler.sample(Tanh(0), noise, guidance=vr.rtc.Guidance(PREVIOUS, 1, 4, jacobian="vjp"))
    with pytest.raises(vr.ConfigError, match="guidance"):
        vr.samplers.ConsistencySampler().sample(Tanh(0), noise, guidance=vr.rtc.Guidance(PREVIOUS, 1, 4))


def test_a_bad_product_of_the_network_is_told() -> None:
    class Broken(Tanh):
        def vjp(self, x: Array, t: float, c: Array) -> Array:
            return np.full_like(c, np.nan)

    class Misshapen(Tanh):
        def vjp(self, x: Array, t: float, c: Array) -> Array:
            return c[:1]

    noise, guidance = np.zeros((B, T, D), np.float32), vr.rtc.Guidance(PREVIOUS, 1, 4, jacobian="vjp")
    with pytest.raises(vr.ModelError, match="vjp"):
        vr.samplers.FlowMatchingSampler().sample(Broken(0), noise, guidance=guidance)
    with pytest.raises(vr.ConfigError, match="vjp"):
        vr.samplers.FlowMatchingSampler().sample(Misshapen(0), noise, guidance=guidance)


def test_guidance_keeps_its_own_copy() -> None:
    previous = np.zeros((T, D))
    guidance = vr.rtc.Guidance(previous, 1, 4)
    previous[:] = np.nan
    assert (guidance.previous == 0).all()
    guidance.previous[:] = 1
    assert (guidance.previous == 0).all()
    assert (guidance.delay, guidance.execution_horizon, guidance.max_weight) == (1, 4, 5.0)
    assert (guidance.schedule, guidance.jacobian) == ("exp", "identity")
