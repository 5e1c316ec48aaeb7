"""Training in several processes: the same random numbers, the same weights, the same resumption."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr

torch = pytest.importorskip("torch")
pytest.importorskip("pyarrow")

import torch.nn.functional as F  # noqa: E402

from vla_rt.datasets import LeRobotDataset  # noqa: E402
from vla_rt.policies import FlowMatchingConfig, FlowMatchingPolicy  # noqa: E402
from vla_rt.training import TrainConfig, train  # noqa: E402
from vla_rt.training.data_parallel import ProcessGroup  # noqa: E402
from vla_rt.training.shared_draws import SharedDraws  # noqa: E402

TOTAL = 7

DRAWS = {
    "rand": lambda x: torch.rand(len(x)),
    "randn": lambda x: torch.randn((len(x), 3)),
    "randn of numbers": lambda x: torch.randn(len(x), 2, dtype=torch.float64),
    "randn with size": lambda x: torch.randn(size=(len(x), 2)),
    "randn of another size": lambda x: torch.randn(11)[: len(x)] * 0 + torch.randn(1),
    "randn_like": torch.randn_like,
    "rand_like": torch.rand_like,
    "randint": lambda x: torch.randint(5, (len(x), 4)),
    "randint from low": lambda x: torch.randint(2, 9, (len(x),), device="cpu"),
    "randint by name": lambda x: torch.randint(low=2, high=9, size=(len(x),)),
    "randint_like": lambda x: torch.randint_like(x, 9),
    "normal": lambda x: torch.normal(x, x.abs() + 1),
    "normal_": lambda x: x.clone().normal_(2.0, 3.0),
    "uniform_": lambda x: x.clone().uniform_(-1, 1),
    "exponential_": lambda x: torch.empty_like(x).exponential_(),
    "bernoulli": lambda x: torch.bernoulli(x.sigmoid()),
    "multinomial": lambda x: torch.multinomial(x.exp(), 2),
    "dropout": lambda x: F.dropout(x, 0.3),
    "dropout module": torch.nn.Dropout(0.5),
    "dropout in place": lambda x: F.dropout(x.clone(), 0.3, True, True),
    "no dropout": lambda x: F.dropout(x, 0.3, training=False),
    "Normal": lambda x: torch.distributions.Normal(x, 2.0).rsample(),
    "Beta": lambda x: torch.distributions.Beta(1.5, 1.0).sample((len(x),)),
    "Categorical": lambda x: torch.distributions.Categorical(logits=x).sample(),
}


@pytest.mark.parametrize("name", DRAWS)
def test_parts_draw_what_the_whole_draws(name):
    x = torch.randn(TOTAL, 3, generator=torch.Generator().manual_seed(5))
    torch.manual_seed(1)
    whole, after = DRAWS[name](x), torch.rand(1)
    for part in (slice(0, 2), slice(2, 7)):
        torch.manual_seed(1)
        with SharedDraws(TOTAL, part):
            own = DRAWS[name](x[part])
        assert own.shape[0] == part.stop - part.start
        assert torch.equal(own, whole[part])
        assert torch.equal(torch.rand(1), after), "the next draw must be the same as well"


def test_gradients_pass_through_shared_draws():
    x = torch.ones(4, 3, requires_grad=True)
    torch.manual_seed(0)
    with SharedDraws(8, slice(4, 8)):
        F.dropout(x, 0.5).sum().backward()
    assert x.grad is not None
    assert set(x.grad.unique().tolist()) == {0.0, 2.0}


def test_one_process_is_a_group_of_its_own():
    group = ProcessGroup()
    assert (group.rank, group.size, group.part(5), group.leads) == (0, 1, slice(0, 5), True)
    parameter = torch.nn.Parameter(torch.ones(2))
    assert group.combine([parameter], torch.tensor(2.0), {}, True) == (2.0, True)
    assert parameter.grad is None


def record(root: Path) -> None:
    dataset = LeRobotDataset.create(
        root,
        10,
        {
            "observation.state": {"dtype": "float32", "shape": (3,)},
            "action": {"dtype": "float32", "shape": (2,)},
        },
    )
    random = np.random.default_rng(0)
    for length in (5, 1, 9, 4):
        for _ in range(length):
            state = random.normal(size=3)
            dataset.add_frame({"observation.state": state, "action": np.tanh(state[:2])}, "copy")
        dataset.save_episode()


def make_policy():
    torch.manual_seed(0)
    sizes = {
        "horizon": 4,
        "action_dim": 2,
        "period_s": 0.1,
        "execution_horizon": 2,
        "obs_dim": 8,
        "hidden": 16,
    }
    return FlowMatchingPolicy(
        FlowMatchingConfig((("observation.state", (3,)),), encoder_hidden=(8,), **sizes)
    )


def settings(**changes):
    defaults = {"steps": 30, "batch_size": 9, "learning_rate": 1e-3, "warmup_steps": 5, "progress": False}
    return TrainConfig(**{**defaults, "num_threads": 1, "checkpoint_every": 10, **changes})


def weights(policy):
    return {name: value.numpy() for name, value in policy.state_dict().items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_machines_make_the_steps_of_one_process(tmp_path):
    """An uneven batch with padding, in parts of 4 and 5; then one process goes on alone.

    Two launchers that meet at a port, as on two machines: each starts one process.
    """
    record(tmp_path / "data")
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_data_parallel import *
dataset = LeRobotDataset({str(tmp_path / "data")!r})
policy = make_policy() if os.environ["RANK"] == "0" else FlowMatchingPolicy(make_policy().config)
result = train(policy, dataset, settings(output_dir=Path({str(tmp_path / "two")!r})))
np.savez({str(tmp_path)!r} + "/rank" + os.environ["RANK"] + ".npz", loss=result.loss, **weights(policy))
""".replace("import sys;", "import os, sys;")
    )
    launch = f"--nnodes=2 --nproc_per_node=1 --rdzv_backend=c10d --rdzv_endpoint=127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "torch.distributed.run", *launch.split(), str(script)]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    machines = [subprocess.Popen(command, **output) for _ in range(2)]
    try:
        told = [machine.communicate(timeout=120)[0] for machine in machines]
    finally:
        for machine in machines:
            machine.kill()
    assert [machine.returncode for machine in machines] == [0, 0], "".join(told)
    dataset = LeRobotDataset(tmp_path / "data")
    alone = make_policy()
    result = train(alone, dataset, settings(output_dir=tmp_path / "one"))
    for rank in range(2):
        found = np.load(tmp_path / f"rank{rank}.npz")
        assert float(found["loss"]) == pytest.approx(result.loss, abs=1e-5)
        for name, value in weights(alone).items():
            np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5, err_msg=name)
    rows = [(tmp_path / kind / "log.csv").read_text().splitlines() for kind in ("one", "two")]
    assert len(rows[0]) == len(rows[1]) > 1
    resumed = make_policy()
    again = train(resumed, dataset, settings(output_dir=tmp_path / "two", resume=True))
    assert again.resumed_at == 30
    for name, value in weights(resumed).items():
        np.testing.assert_array_equal(np.load(tmp_path / "rank0.npz")[name], value)


def test_each_process_needs_a_row():
    group = ProcessGroup()
    group.rank, group.size = 1, 4
    assert [group.part(9)] == [slice(2, 4)]
    with pytest.raises(vr.ConfigError, match="batch_size"):
        group.part(3)
