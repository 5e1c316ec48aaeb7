"""`reach` in steps: the expert succeeds, the same seed repeats it, DAgger learns on it."""

from __future__ import annotations

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
torch = pytest.importorskip("torch")

from vla_rt.policies import BCConfig, BCPolicy  # noqa: E402
from vla_rt.sim import InverseKinematics  # noqa: E402
from vla_rt.tasks import ReachEnvironment, ReachExpert  # noqa: E402
from vla_rt.training import DaggerConfig, TrainConfig, dagger  # noqa: E402


@pytest.fixture(scope="module")
def expert():
    return ReachExpert(InverseKinematics())


def episode(environment, plan, seed):
    observation, observations, rewards, over = environment.reset(seed), [], [], False
    while not over:
        observation, reward, over = environment.step(plan(observation))
        observations.append(observation)
        rewards.append(reward)
    return observations, rewards


def test_the_expert_reaches_every_goal(expert):
    environment = ReachEnvironment()
    for seed in range(8):
        observations, rewards = episode(environment, lambda o: expert.plan(o, 2, 0.05)[1], seed)
        assert environment.reached
        assert len(rewards) < 80
        last = observations[-1]["observation.environment_state"]
        assert -rewards[-1] == pytest.approx(np.linalg.norm(last[:3] - last[3:]))
        assert -rewards[-1] < 0.025


def test_standing_still_fails_and_a_seed_repeats_itself():
    environment = ReachEnvironment()
    runs = [episode(environment, lambda o: o["observation.state"], 3) for _ in range(2)]
    assert not environment.reached
    assert 80 <= len(runs[0][1]) <= 81  # 4 s in steps of 50 ms
    assert runs[0][1] == runs[1][1]
    assert not np.array_equal(
        environment.reset(4)["observation.state"], environment.reset(5)["observation.state"]
    )


def test_dagger_on_it(expert):
    torch.manual_seed(0)
    features = (("observation.state", (7,)), ("observation.environment_state", (6,)))
    policy = BCPolicy(BCConfig(features, 4, 7, 0.05, execution_horizon=2, hidden=(32,)))
    training = TrainConfig(steps=150, batch_size=64, learning_rate=3e-3, progress=False, num_threads=1)
    config = DaggerConfig(iterations=2, episodes=2, max_steps=60, beta=0.0, first_row=1, train=training)
    result = dagger(policy, ReachEnvironment(), lambda o: expert.plan(o, 4, 0.05), config)
    assert result.iterations[0].labels < result.iterations[1].labels == len(result.dataset)
    for i in range(0, len(result.dataset), 17):
        sample = result.dataset[i]
        np.testing.assert_allclose(sample["action"], expert.plan(sample, 4, 0.05), atol=1e-12)


def test_bad_arguments_are_named():
    for period in (0.0, 0.0015, float("nan")):
        with pytest.raises(vr.ConfigError, match="period_s"):
            ReachEnvironment(period)
    with pytest.raises(vr.ConfigError, match="start_noise"):
        ReachEnvironment(start_noise=-1.0)
    environment = ReachEnvironment()
    environment.reset(0)
    for action in (np.zeros(6), np.full(7, np.nan)):
        with pytest.raises(vr.ConfigError, match="action"):
            environment.step(action)
