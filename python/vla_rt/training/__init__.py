"""Training of policies: one loop for every policy that has ``loss(batch)``. Importing this imports torch."""

# ruff: noqa: E402  (what is missing is said before anything needs it)
from vla_rt._extras import require_torch

require_torch("vla_rt.training")

from vla_rt.training.batches import BatchSource, Dataset, dataset_statistics
from vla_rt.training.dagger import DaggerConfig, DaggerIteration, DaggerResult, dagger
from vla_rt.training.environment import Environment
from vla_rt.training.policy_gradient import (
    PolicyGradientConfig,
    PolicyGradientResult,
    actor_critic,
    reinforce,
)
from vla_rt.training.thread_count import fastest_num_threads
from vla_rt.training.train_config import TrainConfig
from vla_rt.training.trainer import TrainResult, train

__all__ = [
    "BatchSource",
    "DaggerConfig",
    "DaggerIteration",
    "DaggerResult",
    "Dataset",
    "Environment",
    "PolicyGradientConfig",
    "PolicyGradientResult",
    "TrainConfig",
    "TrainResult",
    "actor_critic",
    "dagger",
    "dataset_statistics",
    "fastest_num_threads",
    "reinforce",
    "train",
]
