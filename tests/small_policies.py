"""Every acting policy in a size that trains in a second or two, and data to train it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from vla_rt import policies as vp

SAMPLES = 32
FEATURES = (("features", (6,)),)
VISION_TEXT = (("vision", (5,)), ("text", (4,)))
STATE = (("observation.state", (5,)),)
MULTIMODAL = (
    ("observation.image", (3, 16, 16)),
    ("instruction", (4,), "int64"),
    ("observation.state", (3,)),
)
SMALL_MULTIMODAL = vp.MultimodalConfig(
    width=32, image_width=4, keypoints=4, vocabulary_size=8, text_width=8, text_layers=1, text_heads=2,
    state_hidden=16,
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """How to make and judge one policy.

    Attributes:
        make: The policy, untrained.
        steps: Optimiser steps that suffice to overfit.
        rate: Their learning rate.
        tolerance: Largest mean error of what it predicts afterwards, of the range of the actions.
        data: Raw actions (n, T, D) of observations; None draws smooth ones.
        targets: What the batch holds beside observation and action.
    """

    make: Callable[[], Any]
    steps: int = 300
    rate: float = 3e-3
    tolerance: float = 0.05
    actions: Callable[[np.random.Generator, Any], np.ndarray] | None = None
    targets: Callable[[np.random.Generator], dict[str, np.ndarray]] = field(default=lambda rng: {})


CASES: dict[str, Case] = {
    "ActionDecoder": Case(
        lambda: vp.ActionDecoder(vp.ActionDecoderConfig(observation=FEATURES, action_dim=3, hidden=(64, 64)))
    ),
    "ActionChunker": Case(
        lambda: vp.ActionChunker(
            vp.ActionChunkerConfig(
                observation=FEATURES, horizon=4, execution_horizon=2, action_dim=3, hidden=(64, 64),
                update_hidden=32,
            )
        )
    ),
    "LSTMActionChunker": Case(
        lambda: vp.LSTMActionChunker(
            vp.LSTMActionChunkerConfig(
                observation=FEATURES, horizon=4, execution_horizon=2, action_dim=3, lstm_width=48
            )
        ),
        rate=1e-2,
    ),
    "ContinuousActionDecoder": Case(
        lambda: vp.ContinuousActionDecoder(
            vp.ContinuousActionDecoderConfig(observation=FEATURES, action_dim=3, hidden=(64, 64))
        ),
        steps=400,
        rate=1e-2,
    ),
    "RobotActionGenerator": Case(
        lambda: vp.RobotActionGenerator(
            vp.RobotActionGeneratorConfig(
                observation=VISION_TEXT, action_dim=3, hidden=(64, 64), dropout=0.01
            )
        ),
        steps=400,
        rate=1e-2,
    ),
    "BCPolicy": Case(lambda: vp.BCPolicy(vp.BCConfig(observation=STATE, action_dim=3, hidden=(64, 64)))),
    "VisionBCPolicy": Case(
        lambda: vp.VisionBCPolicy(
            vp.VisionBCConfig(
                observation=(("observation.image", (3, 32, 32)), ("observation.state", (3,))),
                action_dim=3, image_width=4, state_hidden=16, hidden=(32, 32),
            )
        ),
        steps=150,
    ),
    "FlowMatchingPolicy": Case(
        lambda: vp.FlowMatchingPolicy(
            vp.FlowMatchingConfig(
                observation=MULTIMODAL, horizon=4, execution_horizon=2, action_dim=3, obs_dim=32, hidden=64,
                multimodal=SMALL_MULTIMODAL, prediction="action",
            )
        ),
    ),
    "DiffusionPolicy-unet": Case(
        lambda: vp.DiffusionPolicy(
            vp.DiffusionConfig(
                observation=STATE, horizon=4, execution_horizon=2, action_dim=3, obs_dim=32,
                encoder_hidden=(32,),
                channels=(16, 32), cond_dim=32, groups=4, num_train_steps=20, num_steps=20, beta_end=0.3,
            )
        ),
        steps=400,
        rate=1e-2,
        tolerance=0.1,
    ),
    "DiffusionPolicy-mlp": Case(
        lambda: vp.DiffusionPolicy(
            vp.DiffusionConfig(
                observation=STATE, horizon=3, execution_horizon=2, action_dim=3, obs_dim=32,
                encoder_hidden=(32,),
                network="mlp", hidden=128, time_dim=16, num_train_steps=20, num_steps=5, beta_end=0.3,
                sampler="ddim",
            )
        ),
        steps=600,
        rate=5e-3,
        tolerance=0.06,
    ),
}  # fmt: skip


def dataset(case: Case, config: Any, seed: int = 0) -> dict[str, torch.Tensor]:
    """``SAMPLES`` raw samples: smooth chunks whose numbers have different ranges."""
    rng = np.random.default_rng(seed)
    batch: dict[str, np.ndarray] = {}
    for name, shape, dtype in config.observation:
        if dtype == "int64":
            batch[name] = rng.integers(1, 8, size=(SAMPLES, *shape))
        elif len(shape) == 3:
            batch[name] = rng.uniform(size=(SAMPLES, *shape)).astype("f4")
        else:
            batch[name] = rng.normal(size=(SAMPLES, *shape)).astype("f4")
    if case.actions is not None:
        batch["action"] = case.actions(rng, config)
    else:
        start, slope = rng.uniform(-1, 1, size=(2, SAMPLES, 1, config.action_dim))
        rows = start + slope * np.linspace(0, 1, config.horizon)[None, :, None]
        batch["action"] = (rows * np.linspace(0.5, 3, config.action_dim) + 2.0).astype("f4")
    batch |= case.targets(rng)
    return {name: torch.from_numpy(values) for name, values in batch.items()}


def statistics(batch: dict[str, torch.Tensor]) -> dict[str, dict[str, np.ndarray]]:
    """What ``set_statistics`` takes."""
    found = {}
    for name, values in batch.items():
        rows = values.numpy().astype(np.float64)
        rows = rows.reshape(-1, rows.shape[-1]) if name == "action" else rows.reshape(len(rows), -1)
        found[name] = {"mean": rows.mean(0), "std": rows.std(0), "min": rows.min(0), "max": rows.max(0)}
    return found


def observation_of(batch: dict[str, torch.Tensor], policy: Any, index: int) -> dict[str, np.ndarray]:
    """Sample ``index`` as ``predict`` takes it."""
    return {name: batch[name][index].numpy() for name, _, _ in policy.config.observation}
