"""Train a policy on a LeRobot dataset and export it as a package.

Killed and called again with --resume it goes on from its last checkpoint and ends with the same weights.
Several processes: torchrun --nproc_per_node=2 -m vla_rt.cli.main train ... with the same options.
"""

from __future__ import annotations

import ast
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_rt.cli.result import write_json
from vla_rt.errors import require

if TYPE_CHECKING:
    from vla_rt.datasets import InstructedDataset, InstructionVocabulary, LeRobotDataset, RelativeDataset
    from vla_rt.training import TrainConfig, TrainResult

    Frames = LeRobotDataset | InstructedDataset | RelativeDataset


@dataclass(frozen=True)
class Arguments:
    """What is trained, on what, and how."""

    dataset: Path
    """Folder of a LeRobot dataset, v3.0 or v2.1."""
    out: Path
    """Folder of the package to make."""
    policy: str = "flow_matching"
    """Name of a policy of vla_rt.policies, as flow_matching or FlowMatchingPolicy."""
    set: tuple[str, ...] = ()
    """Fields of the policy's configuration, as hidden=256 prediction=action multimodal.image_width=16."""
    observation: tuple[str, ...] = ()
    """Features that the policy sees; by default every observation.* of the dataset."""
    instruction: int = 0
    """Longest task text in words, for policies that see it as the feature `instruction`; 0 for others."""
    relative_to: str | None = None
    """Learn actions as differences to this feature, such as observation.state; by default absolute ones."""
    horizon: int = 16
    """Rows of a chunk."""
    execution_horizon: int | None = None
    """Rows to execute before the next chunk is due; by default half of them."""
    period: float | None = None
    """Time between two rows [s]; by default that between two frames."""
    steps: int = 3000
    """Optimiser steps."""
    batch_size: int = 256
    """Samples per step, of all processes together."""
    learning_rate: float = 1e-3
    """Peak of the schedule."""
    warmup_steps: int | None = None
    """Steps until the peak; by default a tenth of them, 200 at most."""
    ema_decay: float = 0.999
    """Upper bound of the decay of the averaged weights; 0 keeps the last ones."""
    seed: int = 0
    """Of weights, order and noise."""
    work: Path | None = None
    """Folder of checkpoint, log.csv and loss.png; by default the package's name with .training."""
    checkpoint_every: int = 500
    """Steps between two checkpoints."""
    resume: bool = False
    """Go on from the checkpoint in the work folder, if there is one."""
    num_threads: int | None = None
    """Threads of torch; by default what is faster here, one or one per processor."""
    device: str = "cpu"
    """cpu or cuda."""
    json: Path | None = None
    """Write the result to this file."""


def run(arguments: Arguments) -> int:
    """Trains and exports; returns 0."""
    from vla_rt.datasets import InstructedDataset, LeRobotDataset, RelativeDataset
    from vla_rt.export import export_policy
    from vla_rt.training import train

    require(arguments.out.parent.is_dir(), "out", arguments.out, "its folder does not exist")
    dataset = LeRobotDataset(arguments.dataset)
    require(len(dataset) > 0, "dataset", arguments.dataset, "has no frames")
    words = _vocabulary(arguments, dataset)
    policy = _policy(arguments, dataset, words)
    frames: Frames = dataset if words is None else InstructedDataset(dataset, words)
    if arguments.relative_to is not None:
        frames = RelativeDataset(frames, arguments.relative_to)
    result = train(policy, frames, _settings(arguments, policy, frames))
    if int(os.environ.get("RANK", "0")) > 0:
        return 0
    export_policy(policy, arguments.out)
    if words is not None:
        words.save(arguments.out)
    _tell(arguments, dataset, policy, result)
    return 0


def _vocabulary(arguments: Arguments, dataset: LeRobotDataset) -> InstructionVocabulary | None:
    from vla_rt.datasets import InstructionVocabulary

    length = arguments.instruction
    require(length >= 0, "instruction", length, "must be >= 0")
    return InstructionVocabulary.of(dataset.tasks, length) if length else None


def _policy(arguments: Arguments, dataset: LeRobotDataset, words: InstructionVocabulary | None) -> Any:
    from vla_rt.datasets.instructions import INSTRUCTION
    from vla_rt.training.policy_choice import build_policy

    features = dataset.observation_features
    for i, name in enumerate(arguments.observation):
        require(name in features, f"observation[{i}]", name, f"the dataset has {', '.join(features)}")
    require("action" in dataset.features, "dataset", arguments.dataset, "has no action")
    execution = arguments.execution_horizon
    observation: list[tuple[Any, ...]] = [
        (name, features[name]) for name in arguments.observation or features
    ]
    options = _options(arguments.set)
    if words is not None:
        observation.append((INSTRUCTION, (words.length,), "int64"))
    fields: dict[str, Any] = {
        "observation": tuple(observation),
        "horizon": arguments.horizon,
        "action_dim": dataset.features["action"].shape[0],
        "period_s": arguments.period if arguments.period is not None else 1.0 / dataset.fps,
        "execution_horizon": execution if execution is not None else max(1, arguments.horizon // 2),
    }
    if words is not None or any(len(shape) == 3 for _, shape, *_ in observation):
        # for policies with a multimodal encoder, which has to fit
        size = words.size if words is not None else 2
        fields["multimodal"] = {"vocabulary_size": size, "width": options.get("obs_dim", 512)}
    return build_policy(arguments.policy, fields, options, arguments.seed)


def _options(words: tuple[str, ...]) -> dict[str, Any]:
    """name=value, the value as Python writes it, else a text."""
    options = {}
    for i, word in enumerate(words):
        name, sign, text = word.partition("=")
        require(bool(name and sign), f"set[{i}]", word, "must be name=value")
        try:
            options[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[name] = text
    return options


def _settings(arguments: Arguments, policy: Any, dataset: Frames) -> TrainConfig:
    from vla_rt.training import BatchSource, TrainConfig, fastest_num_threads

    warmup = arguments.warmup_steps
    work = (
        arguments.work
        if arguments.work is not None
        else arguments.out.with_name(arguments.out.name + ".training")
    )
    config = TrainConfig(
        steps=arguments.steps,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        warmup_steps=warmup if warmup is not None else min(200, arguments.steps // 10),
        ema_decay=arguments.ema_decay,
        seed=arguments.seed,
        output_dir=work,
        checkpoint_every=arguments.checkpoint_every,
        resume=arguments.resume,
        num_threads=arguments.num_threads,
        device=arguments.device,
        progress=sys.stderr.isatty(),
    )
    config.validate()
    measure = config.num_threads is None and config.device == "cpu" and "WORLD_SIZE" not in os.environ
    if measure:
        from dataclasses import replace

        view = dataset.for_policy(policy.config)
        names = [*(spec.name for spec in policy.config.observation), "action"]
        policy.set_statistics(view.stats)
        batch = BatchSource(view, names, config.batch_size, config.seed).batch(0)
        config = replace(config, num_threads=fastest_num_threads(policy, batch))
    return config


def _tell(arguments: Arguments, dataset: LeRobotDataset, policy: Any, result: TrainResult) -> None:
    from rich.console import Console

    parameters = sum(p.numel() for p in policy.parameters())
    write_json(
        arguments.json,
        {
            "package": arguments.out,
            "policy": type(policy).__name__,
            "parameters": parameters,
            "dataset": {
                "path": arguments.dataset,
                "frames": len(dataset),
                "episodes": dataset.num_episodes,
                "fps": dataset.fps,
            },
            "steps": result.steps,
            "resumed_at": result.resumed_at,
            "loss": result.loss,
            "losses": result.losses,
            "duration_s": result.duration_s,
            "cpu_s": result.cpu_s,
            "checkpoint": result.checkpoint,
            "log": result.log,
            "curve": result.curve,
        },
    )
    first = result.losses[0][1] if result.losses else float("nan")
    console = Console(highlight=False, soft_wrap=True)
    done = result.steps - result.resumed_at
    console.print(
        f"{type(policy).__name__}, {parameters} parameters: loss {first:.4g} to {result.loss:.4g} "
        f"in {done} steps and {result.duration_s:.1f} s, {result.cpu_s:.1f} s of processor time"
    )
    for path in (arguments.out, result.log, result.curve):
        if path is not None:
            console.print(f"wrote {path}")
