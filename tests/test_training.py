"""The training loop: learning, exact resumption, interruption, bad data, files."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import signal
import sys
import threading

import numpy as np
import pytest

import vla_rt as vr

torch = pytest.importorskip("torch")

from vla_rt.policies import FlowMatchingConfig, FlowMatchingPolicy  # noqa: E402
from vla_rt.training import BatchSource, TrainConfig, dataset_statistics, train  # noqa: E402
from vla_rt.training.checkpoint import load_checkpoint  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only wait for each other on two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Frames:
    """Episodes of 10 frames whose actions are a function of the state."""

    def __init__(self, count=40, seed=0):
        rng = np.random.default_rng(seed)
        self.state = rng.normal(size=(count, 3))
        mixing = rng.normal(size=(3, 4 * 2))
        self.action = np.tanh(self.state @ mixing).reshape(count, 4, 2)

    def __len__(self):
        return len(self.state)

    def __getitem__(self, index):
        return {
            "observation.state": self.state[index],
            "action": self.action[index],
            "action_is_pad": np.zeros(4, dtype=bool),
            "episode_index": index // 10,
            "frame_index": index % 10,
            "task": "text is ignored",
        }


class StackedFrames(Frames):
    def batch(self, indices):
        return {
            "observation.state": self.state[indices],
            "action": self.action[indices],
            "action_is_pad": np.zeros((len(indices), 4), dtype=bool),
        }


def make_policy(seed=0, **changes):
    torch.manual_seed(seed)
    settings = {
        "observation": (("observation.state", (3,)),),
        "horizon": 4,
        "action_dim": 2,
        "execution_horizon": 2,
        "obs_dim": 16,
        "encoder_hidden": (16,),
        "hidden": 64,
        **changes,
    }
    return FlowMatchingPolicy(FlowMatchingConfig(**settings))


def settings(**changes):
    defaults = {"steps": 40, "batch_size": 16, "learning_rate": 1e-3, "warmup_steps": 5, "log_every": 7}
    return TrainConfig(**{**defaults, "progress": False, **changes})


def bits(policy):
    return {name: value.numpy().tobytes() for name, value in policy.state_dict().items()}


def test_32_samples_are_learnt_by_heart():
    data = Frames(32)
    policy = make_policy()
    result = train(policy, data, settings(steps=1500, batch_size=32, learning_rate=5e-3, ema_decay=0.99))
    assert result.steps == 1500
    assert result.losses[0][1] > 0.5
    assert result.loss < 0.15
    errors = [
        policy.predict({"observation.state": data.state[i]}, seed=i) - data.action[i] for i in range(32)
    ]
    assert np.sqrt(np.mean(np.square(errors))) < 0.15
    assert policy.has_statistics
    assert not policy.training


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not():
    runs = []
    for seed in (0, 0, 1):
        policy = make_policy()
        train(policy, Frames(), settings(seed=seed))
        runs.append(bits(policy))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_torch_is_left_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    train(make_policy_without_seeding(), Frames(), settings(num_threads=threads + 1))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(3), expected)


def make_policy_without_seeding():
    with torch.random.fork_rng():
        return make_policy()


@pytest.mark.parametrize("ema_decay", [0.0, 0.99])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, ema_decay):
    config = settings(steps=33, ema_decay=ema_decay, checkpoint_every=10)
    whole = make_policy()
    whole_result = train(whole, Frames(), dataclasses.replace(config, output_dir=tmp_path / "whole"))

    class Stop(Exception):
        pass

    class Failing(StackedFrames):
        calls = 0

        def batch(self, indices):
            Failing.calls += 1
            if Failing.calls == 26:
                raise Stop
            return super().batch(indices)

    cut = dataclasses.replace(config, output_dir=tmp_path / "cut")
    with pytest.raises(Stop):
        train(make_policy(), Failing(), cut)
    resumed = make_policy(seed=99)  # whatever the weights were: the checkpoint decides
    result = train(resumed, StackedFrames(), dataclasses.replace(cut, resume=True))
    assert result.resumed_at == 20
    assert bits(resumed) == bits(whole)
    assert result.loss == whole_result.loss

    def columns(directory):
        with (tmp_path / directory / "log.csv").open(newline="") as file:
            return [(row["step"], row["loss"]) for row in csv.DictReader(file)]

    assert columns("cut") == columns("whole")
    assert [int(step) for step, _ in columns("whole")] == [7, 14, 21, 28, 33]


def test_a_finished_run_resumes_to_its_end(tmp_path):
    config = settings(output_dir=tmp_path, checkpoint_every=0)
    policy = make_policy()
    first = train(policy, Frames(), config)
    again = make_policy(seed=4)
    second = train(again, Frames(), dataclasses.replace(config, resume=True))
    assert second.resumed_at == first.steps
    assert second.loss == first.loss
    assert bits(again) == bits(policy)


def test_ctrl_c_finishes_the_step_and_writes_a_checkpoint(tmp_path):
    class Interrupting(StackedFrames):
        calls = 0

        def batch(self, indices):
            self.calls += 1
            if self.calls == 13:
                signal.raise_signal(signal.SIGINT)
            return super().batch(indices)

    config = settings(steps=33, output_dir=tmp_path, checkpoint_every=0)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(make_policy(), Interrupting(), config)
    assert signal.getsignal(signal.SIGINT) is handler
    whole, resumed = make_policy(), make_policy()
    train(whole, Frames(), dataclasses.replace(config, output_dir=None))
    result = train(resumed, Frames(), dataclasses.replace(config, resume=True))
    assert 0 < result.resumed_at < 33
    assert bits(resumed) == bits(whole)


def test_training_works_outside_the_main_thread():
    results = []
    thread = threading.Thread(
        target=lambda: results.append(train(make_policy(), Frames(), settings(steps=3)))
    )
    thread.start()
    thread.join()
    assert results[0].steps == 3


@pytest.mark.parametrize("kind", [Frames, StackedFrames])
@pytest.mark.parametrize(("name", "place"), [("action", (2, 1)), ("state", (1,))])
def test_a_number_that_is_not_finite_is_found(kind, name, place):
    data = kind()
    data.stats = dataset_statistics(kind(), ["observation.state", "action"])
    getattr(data, name)[(23, *place)] = np.nan
    with pytest.raises(vr.ConfigError, match="episode 2, frame 3") as caught:
        train(make_policy(), data, settings())
    key = "observation.state" if name == "state" else name
    assert caught.value.name == key + "".join(f"[{i}]" for i in place)


def test_statistics_find_it_too():
    data = Frames()
    data.action[39, 0, 0] = np.inf
    with pytest.raises(vr.ConfigError, match=r"action\[0\]\[0\] = inf.*episode 3, frame 9"):
        dataset_statistics(data, ["action"])


def test_a_sample_of_another_shape_is_found():
    class Ragged(Frames):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            if index == 17:
                sample["action"] = sample["action"][:3]
            return sample

    with pytest.raises(vr.ConfigError, match=r"action = shape \(3, 2\).*episode 1, frame 7"):
        train(make_policy(), Ragged(), settings())


def test_a_dataset_that_does_not_fit_the_policy_is_refused():
    with pytest.raises(vr.ConfigError, match=r"observation\.goal.*missing"):
        train(make_policy(observation=(("observation.goal", (3,)),)), Frames(), settings())
    with pytest.raises(vr.ConfigError, match="action"):
        train(make_policy(horizon=5), Frames(), settings())
    with pytest.raises(vr.ConfigError, match="empty"):
        train(make_policy(), [], settings())


def test_a_loss_that_explodes_is_an_error_and_no_checkpoint(tmp_path):
    policy = make_policy()
    loss_of = policy.loss
    calls = []

    def loss(batch):
        calls.append(1)
        return loss_of(batch) * (float("nan") if len(calls) == 8 else 1.0)

    policy.loss = loss
    with pytest.raises(vr.ModelError, match="step 7"):
        train(policy, Frames(), settings(output_dir=tmp_path, checkpoint_every=5))
    assert load_checkpoint(tmp_path / "checkpoint.pt", settings(checkpoint_every=5))["step"] == 5


def test_resuming_with_other_settings_is_refused(tmp_path):
    config = settings(output_dir=tmp_path)
    train(make_policy(), Frames(), config)
    with pytest.raises(vr.ConfigError) as caught:
        train(make_policy(), Frames(), dataclasses.replace(config, learning_rate=2e-3, resume=True))
    assert (caught.value.name, caught.value.value) == ("learning_rate", "0.002")
    with pytest.raises(vr.ConfigError, match="policy"):
        train(make_policy(hidden=32), Frames(), dataclasses.replace(config, resume=True))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", "half"])
def test_a_broken_checkpoint_is_a_format_error(tmp_path, content):
    config = settings(output_dir=tmp_path)
    train(make_policy(), Frames(), config)
    path = tmp_path / "checkpoint.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(vr.FormatError, match=r"checkpoint\.pt"):
        train(make_policy(), Frames(), dataclasses.replace(config, resume=True))


def test_training_ends_well_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = train(make_policy(), Frames(), settings(output_dir=tmp_path))
    assert result.curve is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt", "log.csv"]


def test_files_of_a_run(tmp_path):
    pytest.importorskip("matplotlib")
    result = train(make_policy(), Frames(), settings(output_dir=tmp_path / "new" / "run"))
    assert result.log is not None
    assert result.curve is not None
    assert result.checkpoint is not None
    assert result.curve.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in (tmp_path / "new" / "run").iterdir()) == [
        "checkpoint.pt",
        "log.csv",
        "loss.png",
    ]
    nothing = train(make_policy(), Frames(), settings())
    assert (nothing.checkpoint, nothing.log, nothing.curve) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"steps": 0}, "steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"grad_clip": float("inf")}, "grad_clip"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"betas": (0.9, 1.0)}, "betas[1]"),
        ({"checkpoint_every": -1}, "checkpoint_every"),
        ({"seed": -1}, "seed"),
        ({"num_threads": 0}, "num_threads"),
        ({"resume": True}, "resume"),
    ],
)
def test_bad_settings_are_named(changes, name):
    with pytest.raises(vr.ConfigError) as caught:
        train(make_policy(), Frames(), settings(**changes))
    assert caught.value.name == name


def test_the_learning_rate_warms_up_and_falls_to_zero():
    config = TrainConfig(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [config.learning_rate_at(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[100] == 0.0
    assert TrainConfig(steps=5, warmup_steps=0).learning_rate_at(0) == 1e-4


@pytest.mark.parametrize("batch_size", [3, 7, 10, 25])
def test_every_sample_comes_once_before_any_comes_twice(batch_size):
    source = BatchSource(Frames(10), ["action"], batch_size, seed=1)
    order = np.concatenate([source.indices(step) for step in range(20)])
    assert len(order) == 20 * batch_size
    for epoch in range(len(order) // 10):
        assert sorted(order[10 * epoch : 10 * (epoch + 1)]) == list(range(10))
    assert list(order[:10]) != list(order[10:20])
    late = BatchSource(Frames(10), ["action"], batch_size, seed=1)
    np.testing.assert_array_equal(late.indices(13), order[13 * batch_size : 14 * batch_size])


def test_statistics_of_a_dataset():
    data = Frames(3000)
    stats = dataset_statistics(data, ["observation.state", "action"])
    rows = data.action.reshape(-1, 2)
    np.testing.assert_allclose(stats["action"]["mean"], rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(stats["action"]["std"], rows.std(0), rtol=1e-12)
    np.testing.assert_array_equal(stats["action"]["min"], rows.min(0))
    np.testing.assert_allclose(stats["observation.state"]["q99"], np.quantile(data.state, 0.99, axis=0))

    class Padded(Frames):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return {**sample, "action_is_pad": np.array([False, True, True, True])}

    stats = dataset_statistics(Padded(3000), ["action"])
    np.testing.assert_allclose(stats["action"]["mean"], data.action[:, 0].mean(0), rtol=1e-12)
