"""Trained real-time chunking: rows at the front are given clean, and the rest continues them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("torch", reason="torch is not installed")
import torch

from vla_rt.policies import FlowMatchingConfig, FlowMatchingPolicy

T, D = 8, 2


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_policy(**changes: Any) -> FlowMatchingPolicy:
    torch.manual_seed(1)
    settings: dict[str, Any] = {
        "observation": (("observation.state", (1,)),),
        "horizon": T,
        "action_dim": D,
        "execution_horizon": 4,
        "obs_dim": 8,
        "encoder_hidden": (8,),
        "hidden": 48,
        "num_steps": 5,
        "max_delay": 3,
    }
    return FlowMatchingPolicy(FlowMatchingConfig(**{**settings, **changes}))


def fans(n: int) -> dict[str, torch.Tensor]:
    """From the same state, half of the chunks go up and half go down."""
    slope = torch.where(torch.rand(n, 1, 1) < 0.5, -1.0, 1.0) * torch.tensor([1.0, 0.5])
    rows = torch.linspace(0.1, 1.0, T).reshape(1, T, 1)
    return {"observation.state": torch.zeros(n, 1), "action": slope * rows}


@pytest.mark.parametrize("noise_at", [0, 1])
@pytest.mark.parametrize("prediction", ["velocity", "action"])
def test_the_loss_is_that_of_the_rows_after_the_clean_ones(
    monkeypatch: pytest.MonkeyPatch, noise_at: int, prediction: str
) -> None:
    policy = make_policy(noise_at=noise_at, prediction=prediction)
    batch = fans(5)
    pad = torch.zeros(5, T, dtype=torch.bool)
    pad[:, -1] = True
    delay = torch.tensor([[0], [1], [2], [3], [3]])
    monkeypatch.setattr(torch, "randint", lambda low, high, size, device: delay)
    seen: dict[str, torch.Tensor] = {}
    output = policy._output

    def watched(x: torch.Tensor, t: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        seen.update(x=x, t=t, output=output(x, t, features))
        return seen["output"]

    monkeypatch.setattr(policy, "_output", watched)
    loss = policy.loss({**batch, "action_is_pad": pad})
    clean, action, counted, total = 1.0 - noise_at, batch["action"], 0, 0.0
    for b in range(5):
        d = int(delay[b])
        torch.testing.assert_close(seen["x"][b, :d], action[b, :d])
        assert (seen["t"][b, :d] == clean).all()
        assert len(seen["t"][b, d:].unique()) == 1
        for row in range(d, T - 1):
            t = float(seen["t"][b, row])
            left = 1 - t if noise_at == 0 else t
            noise = (seen["x"][b, row] - (1 - left) * action[b, row]) / left
            goal = (action[b, row] - noise) * (1 if noise_at == 0 else -1)
            goal = goal if prediction == "velocity" else action[b, row]
            error = float((seen["output"][b, row] - goal).square().mean().detach())
            total += error if prediction == "velocity" else error / max(left, 0.1)
            counted += 1
    assert float(loss.detach()) == pytest.approx(total / counted, rel=1e-3)


@pytest.mark.parametrize("noise_at", [0, 1])
def test_given_rows_are_kept_and_the_rest_continues_them(noise_at: int) -> None:
    policy = make_policy(noise_at=noise_at, prediction="action")
    optimizer = torch.optim.AdamW(policy.parameters(), lr=4e-3)
    for _ in range(1000):
        optimizer.zero_grad()
        policy.loss(fans(64)).backward()
        optimizer.step()
    rows = np.linspace(0.1, 1.0, T)[:, None] * [1.0, 0.5]
    state = {"observation.state": np.zeros(1)}
    agree = {"given": 0, "free": 0}
    for seed in range(20):
        sign = 1.0 if seed % 2 else -1.0
        guidance = vr.rtc.Guidance(sign * rows, 3, 4)
        chunk = policy.predict(state, seed=seed, guidance=guidance)
        np.testing.assert_allclose(chunk[:3], sign * rows[:3], atol=1e-6)
        agree["given"] += bool((sign * chunk[3:]).mean() > 0.2)  # the right one of two ways
        agree["free"] += bool((sign * policy.predict(state, seed=seed)[3:]).mean() > 0.2)
    assert agree["given"] >= 18
    assert agree["free"] <= 15  # left to itself it goes either way


def test_without_max_delay_a_policy_is_guided() -> None:
    policy = make_policy(max_delay=0)
    previous = np.full((T, D), 0.7)
    state = {"observation.state": np.zeros(1)}
    free = policy.predict(state, seed=3)
    held = policy.predict(state, seed=3, guidance=vr.rtc.Guidance(previous, 3, 6))
    assert np.abs(held[:3] - 0.7).max() < np.abs(free[:3] - 0.7).max() / 2
    assert policy.input_layer.in_features == T * D + 1 + 8
    with pytest.raises(vr.ConfigError, match=r"guidance.previous"):
        policy.predict(state, guidance=vr.rtc.Guidance(np.zeros((T, D + 1)), 1, 4))
    with pytest.raises(vr.ConfigError, match=r"guidance.previous"):
        policy.predict(state, guidance=vr.rtc.Guidance(np.zeros((T + 1, D)), 1, 4))


def test_more_delay_than_was_trained_is_taken_as_far_as_it_was() -> None:
    policy = make_policy()
    rows = np.random.default_rng(0).uniform(-1, 1, (T, D))
    chunk = policy.predict({"observation.state": np.zeros(1)}, guidance=vr.rtc.Guidance(rows, 6, 8))
    np.testing.assert_allclose(chunk[:3], rows[:3], atol=1e-6)
    assert np.abs(chunk[3:6] - rows[3:6]).max() > 0.05


@pytest.mark.parametrize("prediction", ["velocity", "action"])
@pytest.mark.parametrize(("noise_at", "solver"), [(0, "euler"), (1, "midpoint")])
def test_a_package_continues_rows_as_the_policy_does(
    noise_at: int, solver: str, prediction: str, tmp_path: Path
) -> None:
    policy = make_policy(noise_at=noise_at, solver=solver, prediction=prediction)
    low, high = np.array([-2.0, -1.0]), np.array([2.0, 3.0])
    normalizer = vr.Normalizer("min_max", min=low, max=high)
    vr.export_policy(policy, tmp_path / "package", normalizer={"action": normalizer})
    state = {"observation.state": np.full(1, 0.3)}
    rng = np.random.default_rng(4)
    previous = rng.uniform(low, high, (6, D))
    noise = rng.normal(size=(T, D)).astype(np.float32)
    # the formula in PyTorch: a time per row, the given rows clean and left as they are
    clean, sign = (1.0, 1.0) if noise_at == 0 else (0.0, -1.0)
    times = np.arange(5) / 5 if noise_at == 0 else 1 - np.arange(5) / 5
    for delay in (0, 1, 2, 3, 5):
        rows = min(delay, 3)

        def velocity(x: torch.Tensor, t: float, rows: int = rows) -> torch.Tensor:
            time = torch.full((1, T), float(t))
            time[:, :rows] = clean
            context = policy.encode(torch.full((1, 1), 0.3))
            answer = policy.step(x, time, context)
            answer[:, :rows] = 0
            return answer

        x = torch.from_numpy(noise[None].copy())
        x[0, :rows] = torch.from_numpy(normalizer.normalize(previous)[:rows].astype(np.float32))
        with torch.no_grad():
            for t in times:
                v = velocity(x, t)
                if solver == "midpoint":
                    v = velocity(x + sign * 0.1 * v, t + sign * 0.1)
                x = x + sign * 0.2 * v
        expected = normalizer.denormalize(x[0].numpy())
        guidance = vr.rtc.Guidance(previous, delay, 6)
        for backend in ("native", "torchscript"):
            package = vr.load_policy(tmp_path / "package", backend)
            chunk = package.sample(state, noise=noise, guidance=guidance)
            np.testing.assert_allclose(chunk[:rows], previous[:rows], atol=1e-6)
            np.testing.assert_allclose(chunk, expected, atol=2e-5)
    free = vr.load_policy(tmp_path / "package").sample(state, noise=noise)
    first = vr.load_policy(tmp_path / "package").sample(
        state, noise=noise, guidance=vr.rtc.Guidance(previous, 0, 6)
    )
    np.testing.assert_array_equal(free, first)


def test_the_sampler_tells_the_network_how_many_rows_are_given() -> None:
    asked: list[float] = []

    def network(x: np.ndarray, t: float) -> np.ndarray:
        asked.append(t)
        return np.ones_like(x)

    sampler = vr.samplers.FlowMatchingSampler(num_steps=4, max_delay=2)
    previous = np.arange(3.0)[:, None] * np.ones(D)
    noise = np.zeros((2, T, D), dtype=np.float32)
    for delay, rows in ((0, 0), (1, 1), (2, 2), (3, 2)):
        asked.clear()
        sample = sampler.sample(network, noise, guidance=vr.rtc.Guidance(previous, delay, T))
        assert asked == [2 * rows + k / 4 for k in range(4)]
        for chunk in sample:
            np.testing.assert_array_equal(chunk[:rows], previous[:rows])
            np.testing.assert_array_equal(chunk[rows:], 1.0)
    short = vr.rtc.Guidance(previous[:1], 2, T)  # one row is all there is to give
    assert sampler.sample(network, noise, guidance=short)[0, 1, 0] == 1.0
    for bad in (-1, 256):
        with pytest.raises(vr.ConfigError, match="max_delay"):
            vr.samplers.FlowMatchingSampler(max_delay=bad)
    with pytest.raises(vr.ConfigError, match="max_delay"):
        vr.samplers.FlowMatchingSampler(num_steps=1000, max_delay=10)


def test_bad_delays_are_refused() -> None:
    for delay in (-1, T):
        with pytest.raises(vr.ConfigError, match="max_delay"):
            make_policy(max_delay=delay)
