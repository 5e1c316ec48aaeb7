"""DAgger on a unicycle that follows a winding lane: the expert stays on it, the learner does not."""

from __future__ import annotations

import numpy as np
import pytest

import vla_rt as vr

torch = pytest.importorskip("torch")

from vla_rt.policies import BCConfig, BCPolicy  # noqa: E402
from vla_rt.training import DaggerConfig, TrainConfig, dagger  # noqa: E402

PERIOD_S = 0.1


class Lane:
    """Steer at constant speed along y = sin(x); the reward is minus the distance from it."""

    def __init__(self) -> None:
        self.visited: list[np.ndarray] = []

    def reset(self, seed):
        x = np.random.default_rng(seed).uniform(-np.pi, np.pi)
        self.state = np.array([x, np.sin(x), np.arctan(np.cos(x))])
        return self._observe()

    def step(self, action):
        x, y, heading = self.state
        heading += PERIOD_S * float(action[0])
        self.state = np.array([x + PERIOD_S * np.cos(heading), y + PERIOD_S * np.sin(heading), heading])
        observation = self._observe()
        self.visited.append(observation["observation.state"])
        distance = abs(self.state[1] - np.sin(self.state[0]))
        return observation, -min(distance, 3.0), distance > 3.0

    def _observe(self):
        x, y, heading = self.state
        return {"observation.state": np.array([np.sin(x), np.cos(x), y, heading])}


def off_lane(observation):
    s, _, y, _ = observation["observation.state"]
    return y - s


def expert(observation):
    _, c, _, heading = observation["observation.state"]
    wanted = np.arctan(c) - np.tanh(2.0 * off_lane(observation))
    return np.array([[4.0 * np.tanh(wanted - heading)]])


def make_policy():
    torch.manual_seed(0)
    features = (("observation.state", (4,)),)
    return BCPolicy(
        BCConfig(features, horizon=1, action_dim=1, period_s=PERIOD_S, execution_horizon=1, hidden=(32, 32))
    )


def settings(**changes):
    training = TrainConfig(
        steps=400,
        batch_size=64,
        learning_rate=3e-3,
        warmup_steps=10,
        ema_decay=0.9,
        progress=False,
        num_threads=1,
    )
    return DaggerConfig(**{"iterations": 4, "episodes": 3, "max_steps": 60, "train": training, **changes})


def test_the_rounds_grow_and_the_schedule_falls():
    told = []
    result = dagger(make_policy(), Lane(), expert, settings(beta=0.3), told.append)
    assert [r.labels for r in result.iterations] == [180, 360, 540, 720]
    assert [r.beta for r in result.iterations] == pytest.approx([1.0, 0.3, 0.09, 0.027])
    assert tuple(told) == result.iterations
    assert len(result.dataset) == 720


def test_the_labels_are_the_experts_on_the_states_visited():
    environment = Lane()
    result = dagger(make_policy(), environment, expert, settings(iterations=2, beta=0.0))
    assert len(result.dataset) == 360
    worst = max(abs(off_lane(result.dataset[i])) for i in range(180))
    off = 0
    for i in range(360):
        sample = result.dataset[i]
        np.testing.assert_array_equal(sample["action"], expert(sample))
        assert (sample["episode_index"], sample["frame_index"]) == divmod(i, 60)
        off += i >= 180 and abs(off_lane(sample)) > worst
        if sample["frame_index"] > 0:
            np.testing.assert_array_equal(sample["observation.state"], environment.visited[i - 1])
    assert off > 10, "the learner comes to states that the expert never shows"
    batch = result.dataset.batch([3, 7])
    np.testing.assert_array_equal(batch["action"][1], result.dataset[7]["action"])
    np.testing.assert_allclose(
        result.dataset.stats["action"]["mean"],
        np.mean([result.dataset[i]["action"][0] for i in range(360)], axis=0),
    )


def test_the_same_seed_repeats_it(tmp_path):
    runs = []
    for _ in range(2):
        policy = make_policy()
        dagger(
            policy,
            Lane(),
            expert,
            settings(iterations=2, episodes=1, train=TrainConfig(steps=5, progress=False)),
        )
        runs.append([value.numpy().tobytes() for value in policy.state_dict().values()])
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"iterations": 0}, "iterations"),
        ({"episodes": 0}, "episodes"),
        ({"beta": 1.1}, "beta"),
        ({"max_steps": 0}, "max_steps"),
        ({"first_row": 1}, "first_row"),
        ({"train": TrainConfig(steps=0)}, "steps"),
    ],
)
def test_bad_settings_are_named(changes, name):
    with pytest.raises(vr.ConfigError) as caught:
        dagger(make_policy(), Lane(), expert, settings(**changes))
    assert caught.value.name == name


def test_a_bad_expert_is_named():
    with pytest.raises(vr.ConfigError, match=r"expert \(episode 0, frame 0\)\.shape"):
        dagger(make_policy(), Lane(), lambda o: np.zeros((2, 1)), settings())
    with pytest.raises(vr.ConfigError, match=r"expert \(episode 0, frame 0\)\[0, 0\] = nan"):
        dagger(make_policy(), Lane(), lambda o: np.full((1, 1), np.nan), settings())
