"""A small policy of the export protocol whose every part can be disturbed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import vla_rt as vr


@dataclass(frozen=True)
class TinyConfig:
    observation: tuple[tuple[str, tuple[int, ...], str], ...] = (
        ("observation.state", (3,), "float32"),
        ("goal", (2, 2), "float32"),
        ("task", (1,), "int64"),
    )
    horizon: int = 4
    action_dim: int = 2
    period_s: float = 0.05
    execution_horizon: int = 2
    num_steps: int = 5
    solver: str = "heun"
    noise_at: int = 0


class TinyPolicy(nn.Module):
    """Context is a tuple; every input matters; the action normaliser is not trivial."""

    def __init__(self, config: TinyConfig | None = None, seed: int = 0) -> None:
        super().__init__()
        self.config = config or TinyConfig()
        torch.manual_seed(seed)
        self.state = nn.Linear(3, 8)
        self.goal = nn.Linear(4, 8)
        self.task = nn.Embedding(3, 8)
        size = self.config.horizon * self.config.action_dim
        self.x = nn.Linear(size, 8)
        self.t = nn.Linear(1, 8)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(8, size)

    @property
    def normalizers(self) -> dict[str, vr.Normalizer]:
        return {
            "observation.state": vr.Normalizer("mean_std", mean=[1, 2, 3], std=[0.5, 1, 2]),
            "goal": vr.Normalizer("min_max", min=[-1, 0, 1, 2], max=[1, 3, 5, 7]),
            "action": vr.Normalizer("min_max", min=[-2.0, 10.0], max=[3.0, 11.0]),
        }

    def sampler_spec(self) -> dict[str, Any]:
        c = self.config
        return {"type": "flow_matching", "num_steps": c.num_steps, "solver": c.solver, "noise_at": c.noise_at}

    def encode(self, state: Tensor, goal: Tensor, task: Tensor) -> tuple[Tensor, Tensor]:
        return self.state(state), torch.tanh(self.goal(goal.flatten(1))) + self.task(task[:, 0])

    def step(self, x: Tensor, t: Tensor, context: tuple[Tensor, Tensor]) -> Tensor:
        h = self.x(x.flatten(1)) + self.t(t.reshape(-1, 1)) + context[0]
        h = self.drop(torch.tanh(h)) * context[1]
        return self.out(h).reshape(x.shape)


OBSERVATION: dict[str, Any] = {
    "observation.state": np.array([0.3, -1.0, 2.0]),
    "goal": np.array([[0.1, 0.2], [0.3, 4.0]]),
    "task": np.array([2]),
}


def torch_loop(policy: TinyPolicy, observation: dict[str, Any], noise: np.ndarray) -> np.ndarray:
    """The same chunk in plain PyTorch: normalise, encode, Heun, un-normalise, each written out."""
    assert policy.config.solver == "heun"
    state = (np.asarray(observation["observation.state"], np.float64) - [1, 2, 3]) / (
        np.array([0.5, 1, 2]) + 1e-8
    )
    low, high = np.array([-1, 0, 1, 2.0]), np.array([1, 3, 5, 7.0])
    goal = 2 * (np.asarray(observation["goal"], np.float64).reshape(-1) - low) / (high - low) - 1
    module = policy.eval()
    k = policy.config.num_steps
    h = 1.0 / k if policy.config.noise_at == 0 else -1.0 / k
    time = (lambda i: i / k) if policy.config.noise_at == 0 else (lambda i: 1 - i / k)
    with torch.no_grad():
        context = module.encode(
            torch.tensor(state, dtype=torch.float32)[None],
            torch.tensor(goal.reshape(2, 2), dtype=torch.float32)[None],
            torch.tensor(observation["task"])[None],
        )
        x = torch.tensor(noise, dtype=torch.float32)[None]
        for i in range(k):
            v1 = module.step(x, torch.tensor([time(i)], dtype=torch.float32), context)
            v2 = module.step(x + h * v1, torch.tensor([time(i + 1)], dtype=torch.float32), context)
            x = x + h / 2 * (v1 + v2)
    low, high = np.array([-2.0, 10.0]), np.array([3.0, 11.0])
    return (x[0].double().numpy() + 1) / 2 * (high - low) + low
