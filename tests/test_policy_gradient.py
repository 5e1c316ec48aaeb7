"""REINFORCE and actor-critic: the gradient against its closed form, learning, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import vla_rt as vr

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.distributions import Normal  # noqa: E402

from vla_rt.training import PolicyGradientConfig, actor_critic, reinforce  # noqa: E402
from vla_rt.training.policy_gradient import _above_the_others, _discounted  # noqa: E402


class Point:
    """A point on a line that is to be brought to a mark and kept there; the action is its step."""

    def reset(self, seed):
        random = np.random.default_rng(seed)
        self.place, self.mark, self.steps = random.uniform(-1, 1), random.uniform(-1, 1), 0
        return self._observe()

    def step(self, action):
        self.place += 0.3 * float(np.clip(action[0], -1, 1))
        self.steps += 1
        return self._observe(), -abs(self.place - self.mark), self.steps == 12

    def _observe(self):
        return {"observation.state": np.array([self.place, self.mark], dtype=np.float32)}


class SmallActor(nn.Module):
    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.mean = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        self.critic = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        self.log_std = nn.Parameter(torch.full((1,), -0.7))

    def distribution(self, batch):
        return Normal(self.mean(batch["observation.state"]), self.log_std.exp())

    def value(self, batch):
        return self.critic(batch["observation.state"])[:, 0]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("learn", [reinforce, actor_critic])
def test_the_return_improves_over_five_seeds(learn):
    """Paired one-sided t-test over five seeds, and at least half of what the first rounds lose is gained."""
    stats = pytest.importorskip("scipy.stats")
    before, after = [], []
    for seed in range(5):
        config = PolicyGradientConfig(iterations=35, episodes=8, max_steps=12, learning_rate=2e-2, seed=seed)
        returns = learn(SmallActor(seed), Point(), config).returns
        before.append(np.mean(returns[:5]))
        after.append(np.mean(returns[-5:]))
    assert stats.ttest_rel(after, before, alternative="greater").pvalue < 0.05, (before, after)
    assert np.mean(after) > 0.5 * np.mean(before), (before, after)


class Bandit:
    """One step, reward -(a-2)^2."""

    def reset(self, seed):
        return {"observation.state": np.zeros(1, dtype=np.float32)}

    def step(self, action):
        return self.reset(0), -(float(action[0] - 2.0) ** 2), True


class MeanOnly(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([0.5]))

    def distribution(self, batch):
        return Normal(self.mean.expand(len(batch["observation.state"]), 1), 0.3)

    def value(self, batch):
        return torch.full((len(batch["observation.state"]),), -2.34)  # its true value, E[-(a-2)^2]


def test_the_gradient_is_that_of_the_expected_reward(monkeypatch):
    """d/dm E[-(a-2)^2] = -2(m-2) = 3 at m = 0.5, estimated without bias from 4000 draws."""
    seen = []
    adam = torch.optim.Adam
    monkeypatch.setattr(adam, "step", lambda self: seen.append(float(self.param_groups[0]["params"][0].grad)))
    reinforce(MeanOnly(), Bandit(), PolicyGradientConfig(iterations=1, episodes=4000, grad_clip=0.0))
    assert seen == [pytest.approx(-3.0, abs=0.15)]


def test_the_baseline_of_an_episode_is_the_others():
    found = _above_the_others([np.array([3.0, 1.0]), np.array([5.0]), np.array([1.0, 1.0])])
    np.testing.assert_allclose(found[0], [0.0, 0.5])
    np.testing.assert_allclose(found[1], [3.0])
    np.testing.assert_allclose(found[2], [-3.0, 0.5])
    np.testing.assert_array_equal(_above_the_others([np.array([3.0])])[0], [3.0])


def test_discounting_is_a_sum():
    values = np.random.default_rng(0).normal(size=6)
    expected = [sum(0.9 ** (j - i) * values[j] for j in range(i, 6)) for i in range(6)]
    np.testing.assert_allclose(_discounted(values, 0.9), expected)


def test_the_same_seed_repeats_it_and_leaves_torch_alone():
    actors = [SmallActor(1), SmallActor(1)]
    state = torch.random.get_rng_state()
    config = PolicyGradientConfig(iterations=3, max_steps=5)
    runs = [actor_critic(actor, Point(), config).returns for actor in actors]
    assert runs[0] == runs[1]
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"iterations": 0}, "iterations"),
        ({"episodes": 0}, "episodes"),
        ({"discount": 1.1}, "discount"),
        ({"trace_decay": -0.1}, "trace_decay"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"entropy_weight": float("nan")}, "entropy_weight"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_settings_are_named(changes, name):
    with pytest.raises(vr.ConfigError) as caught:
        reinforce(MeanOnly(), Bandit(), PolicyGradientConfig(**changes))
    assert caught.value.name == name


def test_a_loss_that_is_not_finite_is_an_error():
    class Broken(Bandit):
        def step(self, action):
            return self.reset(0), float("nan"), True

    with pytest.raises(vr.ModelError, match="round 0"):
        reinforce(MeanOnly(), Broken(), PolicyGradientConfig(iterations=1))
