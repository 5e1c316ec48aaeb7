"""The flow matching policy whose network predicts the clean action instead of the velocity."""

from __future__ import annotations

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("torch", reason="torch is not installed")
import torch

from vla_rt.policies import FlowMatchingConfig, FlowMatchingPolicy

OBSERVATION = (("observation.state", (5,)),)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_policy(**changes) -> FlowMatchingPolicy:
    torch.manual_seed(3)
    settings = {
        "observation": OBSERVATION,
        "prediction": "action",
        "horizon": 6,
        "action_dim": 3,
        "execution_horizon": 3,
        "obs_dim": 16,
        "encoder_hidden": (16,),
        "hidden": 24,
    }
    return FlowMatchingPolicy(FlowMatchingConfig(**{**settings, **changes}))


@pytest.mark.parametrize("noise_at", [0, 1])
@pytest.mark.parametrize("solver", ["euler", "midpoint"])
def test_a_constant_prediction_is_what_is_sampled(solver, noise_at):
    """Along the straight lines to one action the solver ends in it, whatever the noise."""
    policy = make_policy(solver=solver, noise_at=noise_at)
    expected = np.linspace(-1, 1, 18).reshape(6, 3)
    with torch.no_grad():
        for parameter in policy.trunk[-1].parameters():
            parameter.zero_()
        policy.trunk[-1].bias.copy_(torch.from_numpy(expected.reshape(-1)))
    noise = np.random.default_rng(0).normal(size=(6, 3)).astype("f4")
    chunk = policy.predict({"observation.state": np.zeros(5)}, noise=noise)
    np.testing.assert_allclose(chunk, expected, atol=2e-6)


@pytest.mark.parametrize("noise_at", [0, 1])
def test_the_loss_is_the_velocitys_times_the_remaining_time(noise_at):
    """Away from the end, where neither is bounded: v - u = (a^ - a) / remaining."""
    policy = make_policy(noise_at=noise_at)
    batch = {"observation.state": torch.randn(6, 5), "action": torch.randn(6, 6, 3)}
    for seed in range(100):
        torch.manual_seed(seed)
        noise, t = torch.randn(6, 6, 3), torch.rand(6)
        remaining = (1 - t if noise_at == 0 else t).reshape(-1, 1, 1)
        if remaining.min() > 0.1:
            break
    x = remaining * noise + (1 - remaining) * batch["action"]
    target = batch["action"] - noise if noise_at == 0 else noise - batch["action"]
    with torch.no_grad():
        velocity = policy.denoise(x, t, batch["observation.state"])
        expected = ((velocity - target).square() * remaining).mean()
    torch.manual_seed(seed)
    torch.testing.assert_close(policy.loss(batch).detach(), expected, rtol=1e-4, atol=1e-5)


def test_it_learns_where_the_velocity_does_not_yet():
    """A chunk wider than the network, a function of the observation: same steps, a tenth of the error."""
    weight = torch.randn(5, 96, generator=torch.Generator().manual_seed(0)) / 5**0.5
    errors = {}
    for prediction in ("velocity", "action"):
        policy = make_policy(
            prediction=prediction, horizon=16, action_dim=6, hidden=48, action_normalization="identity"
        )
        optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
        torch.manual_seed(0)
        for _ in range(400):
            observation = torch.randn(64, 5)
            action = (observation @ weight).reshape(64, 16, 6)
            optimizer.zero_grad()
            policy.loss({"observation.state": observation, "action": action}).backward()
            optimizer.step()
        squares = []
        for seed in range(20):
            observation = torch.randn(5, generator=torch.Generator().manual_seed(seed + 1))
            chunk = policy.predict({"observation.state": observation.numpy()}, seed=seed)
            squares.append(np.square(chunk - (observation @ weight).reshape(16, 6).numpy()).mean())
        errors[prediction] = float(np.mean(squares))
    assert errors["action"] < 0.1 * errors["velocity"]


@pytest.mark.parametrize(
    ("change", "field"), [({"prediction": "noise"}, "prediction"), ({"solver": "heun"}, "solver")]
)
def test_what_cannot_be_sampled_is_refused(change, field):
    with pytest.raises(vr.ConfigError) as caught:
        make_policy(**change)
    assert caught.value.name == field
