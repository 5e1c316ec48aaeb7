"""FlowMatchingPolicy: shapes, the hoisted form against the published one, statistics, sampling, learning."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

import vla_rt as vr

torch = pytest.importorskip("torch")

from vla_rt.policies import (  # noqa: E402
    FeatureNormalizer,
    FeatureSpec,
    FlowMatchingConfig,
    FlowMatchingPolicy,
)

OBSERVATION = (("observation.state", (7,), "float32"), ("observation.goal", (3,), "float32"))


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only wait for each other on two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_policy(**changes):
    torch.manual_seed(3)
    settings = {"observation": OBSERVATION, "obs_dim": 32, "encoder_hidden": (16,), "hidden": 24, **changes}
    return FlowMatchingPolicy(FlowMatchingConfig(**settings))


def make_stats(rng, dims):
    stats = {}
    for name, size in dims.items():
        samples = rng.normal(rng.normal(size=size), rng.uniform(0.2, 3.0, size), (500, size))
        low, q01, q10, q90, q99, high = np.quantile(samples, [0, 0.01, 0.1, 0.9, 0.99, 1], axis=0)
        stats[name] = {
            "mean": samples.mean(0),
            "std": samples.std(0),
            "min": low,
            "max": high,
            "q01": q01,
            "q10": q10,
            "q90": q90,
            "q99": q99,
        }
    return stats


def fitted(policy, seed=0):
    dims = {spec.name: spec.size for spec in policy.config.observation} | {"action": policy.config.action_dim}
    stats = make_stats(np.random.default_rng(seed), dims)
    policy.set_statistics(stats)
    return stats


def make_batch(rng, count, config):
    return {
        **{
            s.name: torch.from_numpy(rng.normal(size=(count, *s.shape)).astype("f4"))
            for s in config.observation
        },
        "action": torch.from_numpy(rng.normal(size=(count, config.horizon, config.action_dim)).astype("f4")),
    }


def observation_of(rng, config):
    return {s.name: rng.normal(size=s.shape) for s in config.observation}


def test_the_published_sizes():
    policy = FlowMatchingPolicy(
        FlowMatchingConfig(observation=(("observation.state", (512,)),), encoder_hidden=None)
    )
    assert sum(p.numel() for p in policy.parameters()) == 320_624
    assert policy.input_layer.in_features == 112 + 1 + 512
    widths = [m.out_features for m in policy.trunk if isinstance(m, torch.nn.Linear)]
    assert [policy.input_layer.out_features, *widths] == [256, 256, 256, 112]
    assert sum(isinstance(m, torch.nn.Mish) for m in policy.trunk) == 3


def test_features_may_be_plain_tuples_and_come_back_as_specs():
    config = FlowMatchingConfig(observation=(("observation.state", [7]),))
    assert config.observation == (FeatureSpec("observation.state", (7,), "float32"),)
    assert config.observation == (("observation.state", (7,), "float32"),)
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize("encoder_hidden", [(16,), (16, 8), None])
def test_denoise_is_the_published_form(encoder_hidden):
    policy = make_policy(encoder_hidden=encoder_hidden, obs_dim=10)
    rng = np.random.default_rng(0)
    state, goal = (torch.from_numpy(rng.normal(size=(5, n)).astype("f4")) for n in (7, 3))
    x = torch.from_numpy(rng.normal(size=(5, 16, 7)).astype("f4"))
    t = torch.from_numpy(rng.uniform(size=5).astype("f4"))
    with torch.no_grad():
        velocity = policy.denoise(x, t, state, goal)
        features = policy.encoder(torch.cat([state, goal], dim=1))
        whole = policy.trunk(policy.input_layer(torch.cat([x.flatten(1), t[:, None], features], dim=1)))
        one_time = policy.denoise(x, torch.tensor(0.25), state, goal)
        each_time = policy.denoise(x, torch.full((5,), 0.25), state, goal)
    assert velocity.shape == (5, 16, 7)
    torch.testing.assert_close(velocity, whole.reshape(5, 16, 7), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one_time, each_time)
    with pytest.raises(AssertionError):  # the time enters
        torch.testing.assert_close(velocity, each_time)


@pytest.mark.parametrize("mode", ["identity", "mean_std", "min_max", "quantiles", "quantile10"])
def test_the_torch_normaliser_is_the_core_normaliser(mode):
    rng = np.random.default_rng(1)
    stats = make_stats(rng, {"x": 5})["x"]
    stats["std"][2] = 0.0
    stats["max"][1] = stats["min"][1]
    ours = FeatureNormalizer(5, mode)
    assert ours.is_fitted == (mode == "identity")
    ours.fit(stats)
    core = ours.normalizer
    raw = rng.normal(size=(40, 5)) * 3
    raw[:, 2], raw[:, 1] = stats["mean"][2], stats["min"][1]
    normalised = ours(torch.from_numpy(raw)).numpy()
    np.testing.assert_allclose(normalised, core.normalize(raw), rtol=1e-6, atol=1e-6)
    back = ours.inverse(torch.from_numpy(normalised)).numpy()
    np.testing.assert_allclose(back, core.denormalize(normalised.astype(np.float64)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(back, raw, rtol=1e-5, atol=1e-5)


def test_statistics_travel_with_the_weights():
    first, second = make_policy(), make_policy()
    assert not first.has_statistics
    stats = fitted(first)
    assert first.has_statistics
    second.load_state_dict(first.state_dict())
    assert second.has_statistics
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(4, 7))
    for name in ("observation.state", "action"):
        np.testing.assert_array_equal(
            second.normalizers[name].normalize(raw), first.normalizers[name].normalize(raw)
        )
    expected = 2 * (raw - stats["action"]["min"]) / (stats["action"]["max"] - stats["action"]["min"]) - 1
    np.testing.assert_allclose(second.normalizers["action"].normalize(raw), expected, rtol=1e-12)
    assert set(second.normalizers) == {"observation.state", "observation.goal", "action"}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda s: s["action"].pop("max"), "action.max"),
        (lambda s: s.pop("observation.goal"), "observation.goal.mean"),
        (lambda s: s["observation.state"].update(std=np.full(7, -1.0)), "observation.state.std[0]"),
        (lambda s: s["observation.state"]["mean"].__setitem__(4, np.nan), "observation.state.mean[4]"),
        (lambda s: s["observation.state"].update(mean=np.zeros(6)), "observation.state.mean"),
        (lambda s: s["action"].update(min=s["action"]["max"] + 1), "action.max[0]"),
    ],
)
def test_bad_statistics_are_named(change, name):
    policy = make_policy()
    stats = fitted(make_policy())
    change(stats)
    with pytest.raises(vr.ConfigError) as caught:
        policy.set_statistics(stats)
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"horizon": 0}, "horizon"),
        ({"horizon": vr.MAX_HORIZON + 1}, "horizon"),
        ({"action_dim": vr.MAX_ACTION_DIM + 1}, "action_dim"),
        ({"period_s": 0.0}, "period_s"),
        ({"period_s": float("nan")}, "period_s"),
        ({"execution_horizon": 17}, "execution_horizon"),
        ({"num_steps": 0}, "num_steps"),
        ({"hidden": 0}, "hidden"),
        ({"encoder_hidden": (16, 0)}, "encoder_hidden[1]"),
        ({"encoder_hidden": None, "obs_dim": 11}, "obs_dim"),
        ({"solver": "rk5"}, "solver"),
        ({"noise_at": 2}, "noise_at"),
        ({"action_normalization": "max"}, "action_normalization"),
        ({"observation": ()}, "observation"),
        ({"observation": (("a", (3,)), ("a", (2,)))}, "observation[1].name"),
        ({"observation": (("a", (0,)),)}, "observation[0].shape"),
        ({"observation": (("a", (3,), "int64"),)}, "observation[0].dtype"),
        ({"observation": ("a",)}, "observation[0]"),
    ],
)
def test_bad_configurations_are_named(changes, name):
    with pytest.raises(vr.ConfigError) as caught:
        make_policy(**changes)
    assert caught.value.name == name


def test_predict_follows_the_straight_line_of_a_known_field():
    """With a velocity that is constant, the sample is noise + velocity, un-normalised."""
    policy = make_policy()
    stats = fitted(policy)
    with torch.no_grad():
        for parameter in policy.trunk[-1].parameters():
            parameter.zero_()
        policy.trunk[-1].bias.copy_(torch.linspace(-1, 1, 112))
    noise = np.random.default_rng(0).normal(size=(16, 7)).astype("f4")
    chunk = policy.predict(observation_of(np.random.default_rng(1), policy.config), noise=noise)
    normalised = noise + np.linspace(-1, 1, 112).reshape(16, 7)
    low, high = stats["action"]["min"], stats["action"]["max"]
    np.testing.assert_allclose(chunk, (normalised + 1) / 2 * (high - low) + low, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("noise_at", [0, 1])
@pytest.mark.parametrize("solver", ["euler", "midpoint", "heun", "rk4"])
def test_predict_equals_an_integration_in_numpy(solver, noise_at):
    policy = make_policy(solver=solver, noise_at=noise_at, num_steps=4)
    fitted(policy)
    observation = observation_of(np.random.default_rng(1), policy.config)
    noise = np.random.default_rng(0).normal(size=(16, 7)).astype("f4")
    tensors = [
        torch.from_numpy(policy.normalizers[s.name].normalize(observation[s.name])[None].astype("f4"))
        for s in policy.config.observation
    ]

    def field(x, t):
        with torch.no_grad():
            velocity = policy.denoise(torch.from_numpy(x[None].astype("f4")), torch.tensor(t), *tensors)
        return velocity[0].numpy().astype(np.float64)

    sign = 1.0 if noise_at == 0 else -1.0
    h = sign / 4
    x = noise.astype(np.float64)
    for k in range(4):
        t = (0.0 if noise_at == 0 else 1.0) + k * h
        k1 = field(x, t)
        if solver == "euler":
            x = x + h * k1
        elif solver == "midpoint":
            x = x + h * field(x + h / 2 * k1, t + h / 2)
        elif solver == "heun":
            x = x + h / 2 * (k1 + field(x + h * k1, t + h))
        else:
            k2 = field(x + h / 2 * k1, t + h / 2)
            k3 = field(x + h / 2 * k2, t + h / 2)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + field(x + h * k3, t + h))
    chunk = policy.predict(observation, noise=noise)
    assert chunk.shape == (16, 7)
    assert chunk.dtype == np.float64
    expected = policy.normalizers["action"].denormalize(x)
    np.testing.assert_allclose(chunk, expected, rtol=1e-4, atol=1e-4 * np.ptp(expected))


def test_predict_draws_the_cores_noise_from_the_seed():
    policy = make_policy()
    fitted(policy)
    observation = observation_of(np.random.default_rng(1), policy.config)
    chunk = policy.predict(observation, seed=7)
    noise = vr.samplers.noise(7, 0, 0, (16, 7))
    np.testing.assert_array_equal(chunk, policy.predict(observation, noise=noise))
    np.testing.assert_array_equal(chunk, policy.predict(observation, seed=7))
    assert not np.array_equal(chunk, policy.predict(observation, seed=8))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda o: o.pop("observation.goal"), "observation.goal"),
        (lambda o: o.update({"observation.goal": np.zeros(4)}), "observation.goal"),
        (lambda o: o.update({"observation.goal": np.zeros((1, 3))}), "observation.goal"),
        (lambda o: o["observation.state"].__setitem__(2, np.nan), "observation.state[2]"),
        (lambda o: o["observation.state"].__setitem__(6, np.inf), "observation.state[6]"),
    ],
)
def test_bad_observations_are_named(change, name):
    policy = make_policy()
    observation = observation_of(np.random.default_rng(1), policy.config)
    change(observation)
    with pytest.raises(vr.ConfigError) as caught:
        policy.predict(observation)
    assert caught.value.name == name


def test_bad_noise_is_refused():
    policy = make_policy()
    with pytest.raises(vr.ConfigError, match="noise"):
        policy.predict(observation_of(np.random.default_rng(1), policy.config), noise=np.zeros((15, 7)))


@pytest.mark.parametrize("noise_at", [0, 1])
def test_the_loss_is_the_error_of_the_straight_line(noise_at):
    """Against the definition, with the draws of the same generator."""
    policy = make_policy(noise_at=noise_at)
    fitted(policy)
    batch = make_batch(np.random.default_rng(0), 6, policy.config)
    torch.manual_seed(11)
    loss = policy.loss(batch)
    torch.manual_seed(11)
    action = torch.from_numpy(policy.normalizers["action"].normalize(batch["action"].numpy())).float()
    noise, t = torch.randn(6, 16, 7), torch.rand(6)
    w = t.reshape(-1, 1, 1)
    x = (1 - w) * noise + w * action if noise_at == 0 else w * noise + (1 - w) * action
    target = action - noise if noise_at == 0 else noise - action
    tensors = [
        torch.from_numpy(policy.normalizers[s.name].normalize(batch[s.name].numpy())).float()
        for s in policy.config.observation
    ]
    with torch.no_grad():
        expected = (policy.denoise(x, t, *tensors) - target).square().mean()
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-5, atol=1e-6)


def test_padded_rows_do_not_count():
    policy = make_policy()
    batch = make_batch(np.random.default_rng(0), 6, policy.config)
    pad = torch.zeros(6, 16, dtype=torch.bool)
    torch.manual_seed(0)
    plain = policy.loss(batch)
    torch.manual_seed(0)
    torch.testing.assert_close(policy.loss({**batch, "action_is_pad": pad}), plain)
    pad[:, 10:] = True
    torch.manual_seed(0)
    loss = policy.loss({**batch, "action_is_pad": pad})
    assert not torch.isclose(loss, plain)
    gradient = torch.autograd.grad(loss, policy.trunk[-1].bias)[0].reshape(16, 7)
    assert gradient[10:].abs().max() == 0
    assert gradient[:10].abs().min() > 0
    everything = policy.loss({**batch, "action_is_pad": torch.ones(6, 16, dtype=torch.bool)})
    assert everything == 0


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda b: b.pop("action"), "action"),
        (lambda b: b.update(action=torch.zeros(6, 15, 7)), "action"),
        (lambda b: b.update({"observation.goal": torch.zeros(6, 4)}), "observation.goal"),
        (lambda b: b.update(action_is_pad=torch.zeros(6, 15)), "action_is_pad"),
    ],
)
def test_bad_batches_are_named(change, name):
    policy = make_policy()
    batch = make_batch(np.random.default_rng(0), 6, policy.config)
    change(batch)
    with pytest.raises(vr.ConfigError) as caught:
        policy.loss(batch)
    assert caught.value.name == name


def test_the_network_learns_the_conditional_action():
    """Two observations, two actions: after a short training each draws its own."""
    policy = make_policy(horizon=4, action_dim=2, execution_horizon=2, hidden=64, observation=(("o", (2,)),))
    observations = torch.eye(2)
    actions = torch.stack([torch.full((4, 2), 0.8), torch.full((4, 2), -0.8)])
    batch = {"o": observations.repeat(64, 1), "action": actions.repeat(64, 1, 1)}
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    torch.manual_seed(0)
    for _ in range(500):
        optimizer.zero_grad()
        policy.loss(batch).backward()
        optimizer.step()
    for row, target in ((0, 0.8), (1, -0.8)):
        for seed in range(5):
            chunk = policy.predict({"o": observations[row].numpy()}, seed=seed)
            assert np.abs(chunk - target).max() < 0.25


def test_configs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FlowMatchingConfig().horizon = 3
