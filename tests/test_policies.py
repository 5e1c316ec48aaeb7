"""Every acting policy: shapes, learning, and the same chunk from its package as from itself."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vla_rt as vr
from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

import torch

from small_policies import CASES, SAMPLES, dataset, observation_of, statistics


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_policy_that_acts_is_among_them():
    from vla_rt.training.policy_choice import policy_classes

    assert {type(case.make()) for case in CASES.values()} == set(policy_classes().values())


def takes_noise(policy: Any) -> bool:
    return policy.sampler_spec()["type"] != "autoregressive"


@pytest.fixture(scope="module", params=list(CASES))
def trained(request) -> tuple[str, Any, dict[str, torch.Tensor]]:
    """The policy, overfitted to 32 samples."""
    case = CASES[request.param]
    torch.manual_seed(0)
    policy = case.make()
    batch = dataset(case, policy.config)
    assert not policy.has_statistics or policy.config.action_normalization == "identity"
    policy.set_statistics(statistics(batch))
    assert policy.has_statistics
    optimizer = torch.optim.AdamW(policy.parameters(), lr=case.rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, case.rate, case.steps)
    policy.train()
    for _ in range(case.steps):
        optimizer.zero_grad()
        policy.loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return request.param, policy.eval(), batch


def test_it_learns_its_samples(trained):
    name, policy, batch = trained
    shape = (policy.config.horizon, policy.config.action_dim)
    actions = batch["action"].numpy().astype(np.float64)
    predicted = np.stack([policy.predict(observation_of(batch, policy, i), seed=i) for i in range(SAMPLES)])
    assert predicted.shape == (SAMPLES, *shape)
    assert predicted.dtype == np.float64
    span = np.ptp(actions, axis=(0, 1))
    error = (np.abs(predicted - actions) / span).mean()
    assert error < CASES[name].tolerance
    difference = (np.abs(actions - actions[::-1]) / span).mean()
    assert difference > 2 * CASES[name].tolerance  # so that it had to look


def test_its_package_answers_the_same(trained, tmp_path: Path):
    _, policy, batch = trained
    config = policy.config
    path = vr.export_policy(policy, tmp_path / "p")
    names = [name for name in vr.load_policy(path).spec.backends if name in ("native", "torchscript")]
    assert "torchscript" in names
    packages = [vr.load_policy(path, name) for name in names]
    rng = np.random.default_rng(1)
    span = np.ptp(batch["action"].numpy(), axis=(0, 1))
    for i in range(6):
        observation = observation_of(batch, policy, i)
        options: dict[str, Any] = {"seed": i}
        if i % 2 and takes_noise(policy):
            options["noise"] = rng.normal(size=(config.horizon, config.action_dim)).astype("f4")
        expected = policy.predict(observation, **options)
        for package in packages:
            actual = package.sample(observation, **options)
            assert actual.shape == expected.shape
            assert (np.abs(actual - expected) / span).max() < 1e-4


def test_prediction_is_reproducible_and_leaves_the_mode_alone(trained):
    _, policy, batch = trained
    observation = observation_of(batch, policy, 0)
    policy.train()
    chunks = [policy.predict(observation, seed=s) for s in (5, 5)]
    assert policy.training
    policy.eval()
    np.testing.assert_array_equal(chunks[0], chunks[1])
    np.testing.assert_array_equal(chunks[0], policy.predict(observation, seed=5))


def test_statistics_and_weights_travel_in_the_state(trained):
    name, policy, batch = trained
    other = CASES[name].make()
    other.load_state_dict(policy.state_dict())
    observation = observation_of(batch, policy, 3)
    np.testing.assert_array_equal(other.predict(observation), policy.predict(observation))
    assert pickle.loads(pickle.dumps(policy.config)) == policy.config


def test_padded_rows_do_not_count(trained):
    _, policy, batch = trained
    if policy.config.horizon == 1:
        return
    pad = torch.zeros(SAMPLES, policy.config.horizon, dtype=torch.bool)
    pad[:, -1] = True
    changed = batch["action"].clone()
    changed[:, -1] = batch["action"][torch.randperm(SAMPLES), -1]
    losses = []
    for action in (batch["action"], changed):
        torch.manual_seed(0)
        losses.append(policy.loss({**batch, "action": action, "action_is_pad": pad}).item())
    if "Diffusion" in type(policy).__name__ or "Flow" in type(policy).__name__:
        return  # the padded rows enter as noisy input
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    torch.manual_seed(0)
    assert policy.loss({**batch, "action": changed}).item() != pytest.approx(losses[0], rel=1e-6)


def test_what_is_wrong_is_named(trained):
    _, policy, batch = trained
    first = policy.config.observation[0]
    observation = observation_of(batch, policy, 0)
    for change, name in (
        ({first.name: observation[first.name][..., :-1]}, first.name),
        ({first.name: np.full(first.shape, np.nan)}, first.name),
    ):
        with pytest.raises(vr.ConfigError) as caught:
            policy.predict({**observation, **change})
        assert caught.value.name.split("[")[0] == name
    with pytest.raises(vr.ConfigError) as caught:
        policy.predict({})
    assert caught.value.name == first.name
    for broken in (
        {**batch, "action": batch["action"][:, :, :-1]},
        {k: v for k, v in batch.items() if k != "action"},
    ):
        with pytest.raises(vr.ConfigError) as caught:
            policy.loss(broken)
        assert caught.value.name == "action"
    with pytest.raises(vr.ConfigError, match="noise"):
        policy.predict(observation, noise=np.zeros((policy.config.horizon + 1, policy.config.action_dim)))
