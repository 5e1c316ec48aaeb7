"""What `vla_rt.training.train` costs over a bare PyTorch loop with the same averaging, clipping and logging.

Both train the same policy on the same frames, in turns; what counts is the processor's time per step. Setting
up (statistics, the log file, the last checkpoint) is the same for a run of any length, since each has as many
lines in its log: it is taken out by turns of two lengths. The picture of the loss at the end of a run, 0.1 s,
is left out: what it takes depends on the numbers beside its axes.
"""

from __future__ import annotations

import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import harness
from vla_rt.datasets import Demonstrations
from vla_rt.policies import DiffusionConfig, DiffusionPolicy, FlowMatchingConfig, FlowMatchingPolicy
from vla_rt.training import TrainConfig, train

FRAMES = 4000
FEATURES = (("observation.state", (7,)), ("observation.environment_state", (6,)))
POLICIES: dict[str, Any] = {
    "flow matching, MLP": lambda: FlowMatchingPolicy(
        FlowMatchingConfig(FEATURES, 16, 7, 0.05, execution_horizon=2, prediction="action")
    ),
    "diffusion, MLP": lambda: DiffusionPolicy(
        DiffusionConfig(FEATURES, 16, 7, 0.05, execution_horizon=2, network="mlp")
    ),
}


def frames() -> Demonstrations:
    """Smooth random motion."""
    rng = np.random.default_rng(0)
    columns = {
        "action": np.cumsum(rng.normal(size=(FRAMES, 7)) * 0.02, axis=0),
        "observation.environment_state": rng.normal(size=(FRAMES, 6)),
        "episode_index": np.arange(FRAMES) // 100,
        "frame_index": np.arange(FRAMES) % 100,
        "timestamp": np.arange(FRAMES) % 100 / 20.0,
    }
    return Demonstrations({**columns, "observation.state": columns["action"]}, fps=20.0, horizon=16)


def ours(policy: nn.Module, data: Demonstrations, config: TrainConfig) -> tuple[float, float]:
    """Processor time of `train` up to its picture [s], and its last loss."""
    result = train(policy, data, config)
    return result.cpu_s, result.loss


def bare(policy: nn.Module, data: Demonstrations, config: TrainConfig) -> tuple[float, float]:
    """The same of what a careful user would write."""
    begin = time.process_time()
    tensors = {name: torch.from_numpy(v) for name, v in data.batch(np.arange(len(data))).items()}
    model: Any = policy
    parameters = [p for p in policy.parameters() if p.requires_grad]
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, betas=config.betas, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: config.learning_rate_at(step) / config.learning_rate
    )
    assert config.output_dir is not None
    losses: list[float] = []
    torch.manual_seed(config.seed)
    order = torch.randperm(len(data))
    policy.train()
    with (config.output_dir / "bare.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        for step in range(config.steps):
            rows = torch.arange(step * config.batch_size, (step + 1) * config.batch_size) % len(data)
            batch = {name: values[order[rows]] for name, values in tensors.items()}
            optimizer.zero_grad(set_to_none=True)
            loss: Tensor = model.loss(batch)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(parameters, config.grad_clip)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                decay = min(config.ema_decay, 1.0 - (1.0 + step) ** -0.75)
                torch._foreach_lerp_(average, [p.detach() for p in parameters], 1.0 - decay)
            losses.append(loss.item())
            if (step + 1) % config.log_every == 0:
                writer.writerow([step + 1, np.mean(losses[-config.log_every :]), float(norm)])
    return time.process_time() - begin, float(np.mean(losses[-config.log_every :]))


def turn(loop: Any, make: Any, data: Demonstrations, batch_size: int, steps: int) -> tuple[float, float]:
    """Processor time of a run [s], and its last loss."""
    torch.manual_seed(0)
    policy = make()
    policy.set_statistics(data.stats)
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=1e-3,
            warmup_steps=20,
            output_dir=Path(folder),
            checkpoint_every=0,
            log_every=max(1, steps // 4),
            num_threads=1,
            progress=False,
        )
        found: tuple[float, float] = loop(policy, data, config)
        return found


def main() -> None:
    """Measures and reports."""
    options = harness.parse(__doc__)
    report = harness.Report("training")
    report.notes.append("time of the processor per step, one thread; the loops take turns")
    torch.set_num_threads(1)
    data = frames()
    short, long, rounds = (20, 60, 2) if options.quick else (32, 200, 9)
    loops = {"vla_rt": ours, "bare PyTorch": bare}
    for name, make in POLICIES.items():
        for batch_size in (64, 256):
            case = f"{name}, batch {batch_size}"
            times: dict[str, list[float]] = {engine: [] for engine in loops}
            losses: dict[str, float] = {}
            for loop in loops.values():  # what is imported and compiled on first use
                turn(loop, make, data, batch_size, 2)
            for _ in range(rounds):
                for engine, loop in loops.items():
                    set_up, _ = turn(loop, make, data, batch_size, short)
                    whole, losses[engine] = turn(loop, make, data, batch_size, long)
                    times[engine].append(1e6 * (whole - set_up) / (long - short))
            apart = abs(losses["vla_rt"] / losses["bare PyTorch"] - 1.0)
            assert apart < 0.5, f"{case}: they do not learn the same: {losses}"
            for engine, samples in times.items():
                report.add(harness.from_rounds(case, engine, [samples], error=losses[engine]))
            report.ratio(case, report.p50(case, "vla_rt"), report.p50(case, "bare PyTorch"))
    report.finish(options)


if __name__ == "__main__":
    main()
