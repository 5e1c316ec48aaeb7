"""Trains the policy package that the C++ examples run: seven joints, from where they are to a goal.

    python examples/train_reach.py examples/embed_cmake/package

Takes `pip install vla-rt[train]` and a few seconds. A chunk is 16 rows, 20 ms apart, along the straight line
towards the goal; every chunk asks for the same share of what is left, so that a stream of them converges.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

import vla_rt as vr
from vla_rt.policies import BCConfig, BCPolicy

JOINTS, ROWS, PERIOD_S, TIME_CONSTANT_S = 7, 16, 0.02, 0.4
LOW = np.array([-2.4, -1.5, -2.4, -2.8, -2.4, 0.2, -2.4])
HIGH = np.array([2.4, 1.5, 2.4, -0.3, 2.4, 3.5, 2.4])


def main(folder: Path) -> None:
    """Train, measure, export."""
    config = BCConfig(
        observation=(("observation.state", (JOINTS,)), ("goal", (JOINTS,))),
        horizon=ROWS,
        execution_horizon=ROWS // 2,
        action_dim=JOINTS,
        period_s=PERIOD_S,
        hidden=(32, 32),
    )
    rng = np.random.default_rng(0)
    state, goal = (rng.uniform(LOW, HIGH, size=(4096, JOINTS)) for _ in range(2))
    near = rng.random((4096, 1)) < 0.5  # half of the data is close to its goal, where it has to end exactly
    state = np.where(near, goal + 0.1 * (state - goal), state)
    share = 1 - np.exp(-PERIOD_S * np.arange(ROWS) / TIME_CONSTANT_S)
    action = state[:, None] + share[:, None] * (goal - state)[:, None]
    data = {"observation.state": state, "goal": goal, "action": action}
    batch = {name: torch.tensor(values, dtype=torch.float32) for name, values in data.items()}

    torch.manual_seed(0)
    policy = BCPolicy(config)
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1500)
    for _ in range(1500):
        optimizer.zero_grad()
        loss = policy.loss(batch)
        loss.backward()
        optimizer.step()
        schedule.step()
    pairs = zip(state[:64], goal[:64], strict=True)
    answers = np.stack([policy.predict({"observation.state": s, "goal": g}) for s, g in pairs])
    print(f"loss {loss.item():.2e}, mean error {np.abs(answers - action[:64]).mean():.4f} rad")
    vr.export_policy(policy, folder, backends=["native"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
