"""Every acting policy in a size that trains in a second or two, and data to train it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import vla_rt as vr
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


def poses(rng: np.random.Generator, config: Any) -> np.ndarray:
    """Positions, unit quaternions (of either sign, row by row) and grippers that open or close."""
    position = rng.uniform(-1, 1, size=(SAMPLES, 1, 3)) + np.linspace(0, 0.5, config.horizon)[None, :, None]
    rotation = rng.normal(size=(SAMPLES, 1, 4)) + 0.2 * rng.normal(size=(SAMPLES, config.horizon, 4))
    rotation[:, :, 3] = np.abs(rotation[:, :, 3]) + 0.5
    rotation /= np.linalg.norm(rotation, axis=2, keepdims=True)
    gripper = rng.integers(0, 2, size=(SAMPLES, 1, 1)).repeat(config.horizon, axis=1)
    return np.concatenate([position, rotation, gripper], axis=2).astype("f4")


def indices(rng: np.random.Generator, config: Any) -> np.ndarray:
    """Discrete actions."""
    size = (SAMPLES, config.horizon, config.action_dim)
    return rng.integers(0, config.vocabulary_size, size=size).astype("f4")


def motions(rng: np.random.Generator, config: Any) -> np.ndarray:
    """Actions that the vocabulary of motions spells exactly."""
    groups = [
        rng.integers(low, high, (SAMPLES, config.horizon)) for low, high in ((0, 126), (128, 188), (192, 256))
    ]
    return vr.tokenizers.MotionTokenizer().decode(np.stack(groups, axis=2)).astype("f4")


def plans(rng: np.random.Generator, config: Any) -> np.ndarray:
    """High-level and low-level actions."""
    sizes = (config.high_actions, config.low_actions)
    return np.stack([rng.integers(0, n, (SAMPLES, config.horizon)) for n in sizes], axis=2).astype("f4")


def tasks(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Tasks and returns."""
    return {"task_index": rng.integers(0, 3, SAMPLES), "return": rng.normal(size=SAMPLES).astype("f4")}


def limits(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Joint limits around the actions and velocities that reach them."""
    lower, upper = np.full((SAMPLES, 3), -5.0), rng.uniform(9, 10, size=(SAMPLES, 3))
    fast = np.full((SAMPLES, 3), 200.0)
    return {"joint_limits": np.stack([lower, upper], axis=1).astype("f4"), "max_velocity": fast.astype("f4")}


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
    "ActionTransformer": Case(
        lambda: vp.ActionTransformer(
            vp.ActionTransformerConfig(
                observation=(("vision", (3, 6)), ("language", (2, 4)), ("observation.state", (5,))),
                horizon=3, execution_horizon=2, width=32, layers=2, heads=2, dropout=0.0,
            )
        ),
        steps=150,
        actions=poses,
    ),
    "ActionTokenPredictor": Case(
        lambda: vp.ActionTokenPredictor(
            vp.ActionTokenPredictorConfig(
                observation=(("context", (3, 6)), ("observation.state", (5,))), horizon=2,
                action_dim=3, vocabulary_size=64, width=32, layers=2, heads=2, dropout=0.0,
            )
        ),
        steps=200,
    ),
    "DiscreteActionDecoder": Case(
        lambda: vp.DiscreteActionDecoder(
            vp.DiscreteActionDecoderConfig(observation=FEATURES, vocabulary_size=5, hidden=(64,))
        ),
        rate=1e-2,
        actions=indices,
    ),
    "DiscreteActionDecoder-motion": Case(
        lambda: vp.DiscreteActionDecoder(
            vp.DiscreteActionDecoderConfig(
                observation=FEATURES, horizon=2, action_dim=7, vocabulary="motion", hidden=(64,)
            )
        ),
        rate=1e-2,
        actions=motions,
    ),
    "DiscreteActionGenerator": Case(
        lambda: vp.DiscreteActionGenerator(
            vp.DiscreteActionGeneratorConfig(
                observation=VISION_TEXT, horizon=2, vocabulary_size=20, hidden=(64, 32)
            )
        ),
        rate=1e-2,
        actions=indices,
    ),
    "ACT": Case(
        lambda: vp.ACT(
            vp.ACTConfig(
                observation=(("observation.image", (3, 16, 16)), ("observation.state", (3,))), horizon=4,
                execution_horizon=2, action_dim=3, width=32, heads=2, feed_forward=64, encoder_layers=1,
                latent=4, dropout=0.0, kl_weight=1.0, image_width=4,
            )
        ),
        steps=120,
        rate=5e-3,
        tolerance=0.08,
    ),
    "DirectActionPredictor": Case(
        lambda: vp.DirectActionPredictor(
            vp.DirectActionPredictorConfig(
                observation=MULTIMODAL[:2], action_dim=3, obs_dim=32, hidden=(32,),
                multimodal=SMALL_MULTIMODAL,
            )
        ),
        steps=150,
    ),
    "HierarchicalActionPredictor": Case(
        lambda: vp.HierarchicalActionPredictor(
            vp.HierarchicalActionPredictorConfig(
                observation=MULTIMODAL, horizon=4, execution_horizon=2, action_dim=3, obs_dim=32,
                multimodal=SMALL_MULTIMODAL, hidden=(32,), plan_hidden=32,
            )
        ),
        steps=150,
    ),
    "HierarchicalActionPlanner": Case(
        lambda: vp.HierarchicalActionPlanner(
            vp.HierarchicalActionPlannerConfig(
                observation=VISION_TEXT, horizon=3, execution_horizon=3, vocabulary_size=6, high_actions=3,
                low_actions=6, high_hidden=(32,), low_hidden=(32,), update_hidden=32,
            )
        ),
        rate=1e-2,
        actions=plans,
    ),
    "TaskOrientedActionGenerator": Case(
        lambda: vp.TaskOrientedActionGenerator(
            vp.TaskOrientedConfig(
                observation=VISION_TEXT, action_dim=3, hidden=(64, 64), tasks=("a", "b", "c"),
                classifier_hidden=32,
            )
        ),
        steps=400,
        rate=1e-2,
        targets=tasks,
    ),
    "ActorCritic": Case(
        lambda: vp.ActorCritic(vp.ActorCriticConfig(observation=STATE, action_dim=3, hidden=(64, 64))),
        steps=500,
        rate=1e-2,
        tolerance=0.06,
    ),
    "OpenVLAPolicy": Case(
        lambda: vp.OpenVLAPolicy(
            vp.OpenVLAConfig(
                observation=MULTIMODAL[:2], horizon=2, action_dim=3, hidden=64,
                backbone=vp.VisionLanguageConfig(8, width=32, layers=2, heads=2, patch_size=8),
            )
        ),
        rate=1e-2,
    ),
    "OpenVLATokenPolicy": Case(
        lambda: vp.OpenVLATokenPolicy(
            vp.OpenVLATokenConfig(
                observation=MULTIMODAL[:2], horizon=2, action_dim=3, vocabulary_size=32,
                freeze_backbone=False,
                backbone=vp.VisionLanguageConfig(8, width=32, layers=2, heads=2, patch_size=8),
            )
        ),
        steps=200,
        rate=5e-3,
    ),
    "ConstrainedActionDecoder": Case(
        lambda: vp.ConstrainedActionDecoder(
            vp.ConstrainedActionDecoderConfig(
                observation=(
                    ("features", (6,)), ("observation.state", (3,)),
                    ("joint_limits", (2, 3)), ("max_velocity", (3,)),
                ),
                horizon=2, execution_horizon=2, action_dim=3, hidden=(64, 64),
            )
        ),
        rate=1e-2,
        targets=limits,
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
