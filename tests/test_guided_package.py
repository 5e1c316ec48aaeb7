"""Real-time chunking of a policy package: raw rows in, guided raw rows out, judged by the loop in PyTorch."""

import numpy as np
import pytest

import vla_rt as vr
from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

import torch

from exportable import OBSERVATION, TinyConfig, TinyPolicy

LOW, HIGH = np.array([-2.0, 10.0]), np.array([3.0, 11.0])


def guided_loop(
    policy: TinyPolicy, noise: np.ndarray, previous: np.ndarray, weights: np.ndarray, jacobian: str
) -> np.ndarray:
    """Euler steps of the guided velocity; the Jacobian is that of the predicted chunk, by autograd."""
    state = (OBSERVATION["observation.state"] - [1, 2, 3]) / (np.array([0.5, 1, 2]) + 1e-8)
    low, high = np.array([-1, 0, 1, 2.0]), np.array([1, 3, 5, 7.0])
    goal = 2 * (OBSERVATION["goal"].reshape(-1) - low) / (high - low) - 1
    target = torch.tensor(2 * (previous - LOW) / (HIGH - LOW) - 1, dtype=torch.float32)[None]
    w = torch.tensor(weights, dtype=torch.float32)[None, :, None]
    module = policy.eval()
    context = tuple(
        part.detach()
        for part in module.encode(
            torch.tensor(state, dtype=torch.float32)[None],
            torch.tensor(goal.reshape(2, 2), dtype=torch.float32)[None],
            torch.tensor(OBSERVATION["task"])[None],
        )
    )
    steps, flow = policy.config.num_steps, policy.config.noise_at == 0
    x = torch.tensor(noise, dtype=torch.float32)[None]
    for k in range(steps):
        tau = k / steps
        t = torch.tensor([tau if flow else 1 - tau], dtype=torch.float32)
        leaf = x.clone().requires_grad_()
        v = module.step(leaf, t, context)
        u = v if flow else -v
        clean = leaf + (1 - tau) * u
        error = (w * (target - clean)).detach()
        correction = torch.autograd.grad(clean, leaf, error)[0] if jacobian == "vjp" else error
        spread = tau * (1 - tau)
        g = 5.0 if spread == 0 else min((tau**2 + (1 - tau) ** 2) / spread, 5.0)
        x = (x + (u + g * correction) / steps).detach()
    return (x[0].double().numpy() + 1) / 2 * (HIGH - LOW) + LOW


@pytest.fixture(scope="module", params=[0, 1])
def tiny(request: pytest.FixtureRequest) -> TinyPolicy:
    return TinyPolicy(TinyConfig(noise_at=request.param, solver="euler"), seed=7)


@pytest.fixture(scope="module", params=["torchscript", "native"])
def package(
    tiny: TinyPolicy, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> vr.Policy:
    path = tmp_path_factory.mktemp("guided") / "tiny"
    return vr.load_policy(vr.export_policy(tiny, path, backends=[request.param]))


@pytest.mark.parametrize("jacobian", ["identity", "vjp"])
def test_a_guided_package_equals_the_loop_in_pytorch(
    tiny: TinyPolicy, package: vr.Policy, jacobian: str
) -> None:
    rng = np.random.default_rng(0)
    for rows in (4, 2):
        noise, previous = rng.normal(size=(4, 2)), rng.uniform(LOW, HIGH, (rows, 2))
        held = np.concatenate([previous, np.repeat(previous[-1:], 4 - rows, axis=0)])
        weights = vr.rtc.prefix_weights(1, 3, 4, "exp")
        guidance = vr.rtc.Guidance(previous, 1, 3, jacobian=jacobian)
        found = package.sample(OBSERVATION, noise=noise, guidance=guidance)
        expected = guided_loop(tiny, noise, held, weights, jacobian)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
        assert np.abs(found - package.sample(OBSERVATION, noise=noise)).max() > 0.05


def test_differences_stand_in_for_autograd(package: vr.Policy) -> None:
    noise, previous = np.random.default_rng(1).normal(size=(4, 2)), np.full((4, 2), [0.0, 10.2])
    found = [
        package.sample(OBSERVATION, noise=noise, guidance=vr.rtc.Guidance(previous, 1, 3, jacobian=jacobian))
        for jacobian in ("vjp", "finite_differences")
    ]
    np.testing.assert_allclose(found[0], found[1], atol=2e-3)


def test_guidance_leaves_no_trace(package: vr.Policy) -> None:
    noise = np.random.default_rng(2).normal(size=(4, 2))
    before = package.sample(OBSERVATION, noise=noise)
    for jacobian in ("vjp", "identity"):
        package.sample(OBSERVATION, noise=noise, guidance=vr.rtc.Guidance(before, 1, 3, jacobian=jacobian))
    np.testing.assert_array_equal(package.sample(OBSERVATION, noise=noise), before)


@pytest.mark.parametrize(
    ("previous", "name"),
    [(np.zeros((5, 2)), "rows"), (np.zeros((4, 3)), "action_dim"), (np.zeros((1, 4, 2)), "previous")],
)
def test_rows_that_do_not_fit_the_package_are_refused(
    package: vr.Policy, previous: np.ndarray, name: str
) -> None:
    with pytest.raises(vr.ConfigError, match=name):
        package.sample(OBSERVATION, guidance=vr.rtc.Guidance(previous, 1, 3))
