"""DAgger against plain cloning from the same number of labels, on the task reach of the simulated arm.

    python examples/dagger.py [--seeds 5] [--json FILE]

Both ask the same expert for the same number of answers, train the same network as long, and are tried on the
same goals. The one that is cloned sees the expert's own states alone; on its own it leaves them, and does not
know the way back. DAgger asks about the states that the learner comes to.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vla_rt.policies import BCConfig, BCPolicy
from vla_rt.sim import InverseKinematics
from vla_rt.tasks import ReachEnvironment, ReachExpert
from vla_rt.training import DaggerConfig, TrainConfig, dagger

FEATURES = (("observation.state", (7,)), ("observation.environment_state", (6,)))
PERIOD_S, HORIZON, TRIALS, MAX_STEPS = 0.05, 4, 20, 80


class Endless(ReachEnvironment):
    """The goal stays when it is reached, so that all episodes have as many labels."""

    def step(self, action: NDArray[np.float64]) -> tuple[dict[str, NDArray[np.float64]], float, bool]:
        """As of `ReachEnvironment`, never the last one."""
        observation, reward, _ = super().step(action)
        return observation, reward, False


def make_policy(seed: int) -> BCPolicy:
    """A small network over positions: what it cannot know, it has to be shown."""
    torch.manual_seed(seed)
    return BCPolicy(BCConfig(FEATURES, HORIZON, 7, PERIOD_S, execution_horizon=2, hidden=(128, 128)))


def settings(beta: float, seed: int) -> DaggerConfig:
    """Six rounds of six episodes; beta 1 is plain cloning."""
    training = TrainConfig(
        steps=800, batch_size=64, learning_rate=3e-3, warmup_steps=40, ema_decay=0.98, progress=False,
        num_threads=1, seed=seed,
    )  # fmt: skip
    return DaggerConfig(
        iterations=6, episodes=6, max_steps=50, beta=beta, first_row=1, train=training, seed=seed
    )


def tried(policy: Any, environment: ReachEnvironment) -> tuple[float, float]:
    """Share of the goals reached, and the mean return, on goals that nobody was trained on."""
    reached, total = 0, 0.0
    for trial in range(TRIALS):
        observation, over, steps = environment.reset(1_000_000 + trial), False, 0
        plan: list[NDArray[np.float64]] = []
        while not over and steps < MAX_STEPS:
            if not plan:
                plan = list(policy.predict(observation)[1:3])
            observation, reward, over = environment.step(plan.pop(0))
            total, steps = total + reward, steps + 1
        reached += environment.reached
    return reached / TRIALS, total / TRIALS


def compare(seed: int) -> dict[str, Any]:
    """Both, from the same weights and episodes, on the same goals."""
    expert = ReachExpert(InverseKinematics())
    environment = ReachEnvironment(PERIOD_S)
    row: dict[str, Any] = {"seed": seed}

    def plan(observation: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return expert.plan(observation, HORIZON, PERIOD_S)

    for name, beta in (("cloning", 1.0), ("dagger", 0.0)):
        policy = make_policy(seed)
        result = dagger(policy, Endless(PERIOD_S), plan, settings(beta, seed))
        success, mean_return = tried(policy, environment)
        row[name] = {"labels": len(result.dataset), "success": success, "mean_return": mean_return}
    return row


def main() -> None:
    """Compares over seeds and tests the difference, paired and one-sided."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for seed in range(options.seeds):
        rows.append(compare(seed))
        print(json.dumps(rows[-1]), flush=True)
    returns = {name: np.array([row[name]["mean_return"] for row in rows]) for name in ("cloning", "dagger")}
    gain = returns["dagger"] - returns["cloning"]
    summary = {name: float(np.mean([row[name]["success"] for row in rows])) for name in returns}
    t = float(gain.mean() / (gain.std(ddof=1) / np.sqrt(len(gain)))) if len(gain) > 1 else float("nan")
    better = f"better in {(gain > 0).sum()} of {len(gain)}"
    print(f"success {summary}; mean gain in return {gain.mean():.3f}, {better},")
    print(f"paired t = {t:.2f} with {len(gain) - 1} degrees of freedom")
    if options.json is not None:
        content = {"rows": rows, "success": summary, "paired_t": t}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
