"""DAgger on a winding ridge: the expert stays on it, the learner does not."""

from __future__ import annotations

import numpy as np
import pytest

import vla_rt as vr

torch = pytest.importorskip("torch")

from vla_rt.policies import BCConfig, BCPolicy  # noqa: E402
from vla_rt.training import DaggerConfig, TrainConfig, dagger  # noqa: E402

PERIOD_S = 0.1
RAIL = 1.0


class Ridge:
    """Stay on a winding ridge, y = sin(phase), by steering y's rate; it is steeper further off, with rails.

    An expert that is on the ridge stays on it, so its data alone cannot tell how to come back.
    """

    def __init__(self) -> None:
        self.visited: list[np.ndarray] = []

    def reset(self, seed):
        self.phase = np.random.default_rng(seed).uniform(-np.pi, np.pi)
        self.y = np.sin(self.phase)
        return self._observe()

    def step(self, action):
        self.y += PERIOD_S * float(action[0]) + 0.2 * (self.y - np.sin(self.phase))
        self.phase += PERIOD_S
        self.y = np.sin(self.phase) + np.clip(self.y - np.sin(self.phase), -RAIL, RAIL)
        observation = self._observe()
        self.visited.append(observation["observation.state"])
        return observation, -abs(off_ridge(observation)), False

    def _observe(self):
        return {"observation.state": np.array([np.sin(self.phase), np.cos(self.phase), self.y])}


def off_ridge(observation):
    s, _, y = observation["observation.state"]
    return y - s


def expert(observation):
    s, c, _ = observation["observation.state"]
    ahead = (s * np.cos(PERIOD_S) + c * np.sin(PERIOD_S) - s) / PERIOD_S
    return np.array([[ahead - 5.0 * off_ridge(observation)]])


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only wait for each other on two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_policy():
    torch.manual_seed(0)
    features = (("observation.state", (3,)),)
    return BCPolicy(
        BCConfig(features, horizon=1, action_dim=1, period_s=PERIOD_S, execution_horizon=1, hidden=(32, 32))
    )


def training(**changes):
    defaults = {"steps": 150, "batch_size": 64, "learning_rate": 3e-3, "warmup_steps": 10, "ema_decay": 0.9}
    return TrainConfig(**{**defaults, "progress": False, "num_threads": 1, **changes})


def settings(**changes):
    defaults = {"iterations": 4, "episodes": 3, "max_steps": 60, "train": training()}
    return DaggerConfig(**{**defaults, **changes})


def mean_return(policy, seeds=range(1000, 1006)):
    environment, total = Ridge(), 0.0
    for seed in seeds:
        observation = environment.reset(seed)
        for _ in range(60):
            observation, reward, _ = environment.step(policy.predict(observation)[0])
            total += reward
    return total / len(seeds)


def test_it_beats_cloning_from_the_same_number_of_labels():
    """Paired one-sided t-test over five seeds, and less than a fifth of the clone's distance each time."""
    stats = pytest.importorskip("scipy.stats")
    learnt, clones = [], []
    for seed in range(5):
        learner, clone, told = make_policy(), make_policy(), []
        options = {"seed": seed, "train": training(steps=100)}
        result = dagger(learner, Ridge(), expert, settings(beta=0.3, **options), told.append)
        cloned = dagger(clone, Ridge(), expert, settings(beta=1.0, **options))
        assert [r.labels for r in result.iterations] == [180, 360, 540, 720]
        assert [r.beta for r in result.iterations] == pytest.approx([1.0, 0.3, 0.09, 0.027])
        assert tuple(told) == result.iterations
        assert len(cloned.dataset) == len(result.dataset) == 720
        assert [r.beta for r in cloned.iterations] == [1.0] * 4
        assert all(r.mean_return > -1e-9 for r in cloned.iterations)
        learnt.append(mean_return(learner))
        clones.append(mean_return(clone))
    assert stats.ttest_rel(learnt, clones, alternative="greater").pvalue < 0.01, (learnt, clones)
    assert (np.array(learnt) > 0.2 * np.array(clones)).all(), (learnt, clones)


def test_the_labels_are_the_experts_on_the_states_visited():
    environment = Ridge()
    result = dagger(make_policy(), environment, expert, settings(iterations=2, beta=0.0))
    assert len(result.dataset) == 360
    worst = max(abs(off_ridge(result.dataset[i])) for i in range(180))
    off = 0
    for i in range(360):
        sample = result.dataset[i]
        np.testing.assert_array_equal(sample["action"], expert(sample))
        assert (sample["episode_index"], sample["frame_index"]) == divmod(i, 60)
        off += i >= 180 and abs(off_ridge(sample)) > worst
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
            Ridge(),
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
        dagger(make_policy(), Ridge(), expert, settings(**changes))
    assert caught.value.name == name


def test_a_bad_expert_is_named():
    with pytest.raises(vr.ConfigError, match=r"expert \(episode 0, frame 0\)\.shape"):
        dagger(make_policy(), Ridge(), lambda o: np.zeros((2, 1)), settings())
    with pytest.raises(vr.ConfigError, match=r"expert \(episode 0, frame 0\)\[0, 0\] = nan"):
        dagger(make_policy(), Ridge(), lambda o: np.full((1, 1), np.nan), settings())
