"""One generator and one value per task; a classifier says which task it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_rt.errors import ConfigError, error, require
from vla_rt.policies.action_decoder import FeaturePolicyConfig
from vla_rt.policies.chunk_policy import mean_over_rows, per_sample
from vla_rt.policies.direct_policy import DirectPolicy
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.networks.mlp import mlp
from vla_rt.policies.observation_encoder import joined

TASKS = (
    "navigation",
    "grasping",
    "manipulation",
    "inspection",
    "transport",
    "assembly",
    "disassembly",
    "cleaning",
    "monitoring",
    "communication",
)


@dataclass(frozen=True)
class TaskOrientedConfig(FeaturePolicyConfig):
    """Sizes of a ``TaskOrientedActionGenerator``; ``hidden`` are those of the generators.

    Attributes:
        tasks: Their names.
        classifier_hidden: Hidden width of the classifier and of the value estimators.
    """

    observation: tuple[FeatureSpec, ...] = (FeatureSpec("vision", (512,)), FeatureSpec("text", (512,)))
    hidden: tuple[int, ...] = (512, 256)
    tasks: tuple[str, ...] = TASKS
    classifier_hidden: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "tasks", tuple(self.tasks))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        super().validate()
        self._require_positive("classifier_hidden")
        require(bool(self.tasks), "tasks", "()", "needs at least one")
        require(len(set(self.tasks)) == len(self.tasks), "tasks", self.tasks, "must be different")


class TaskActions(NamedTuple):
    """What ``TaskOrientedActionGenerator.evaluate`` answers; K tasks, actions in normalised units.

    Attributes:
        task: Index of the likeliest task (B,).
        task_logits: (B, K).
        action: Of that task (B, T, D).
        value: Of that task (B,).
        actions: Of all tasks (B, K, T, D).
        values: Of all tasks (B, K).
    """

    task: Tensor
    task_logits: Tensor
    action: Tensor
    value: Tensor
    actions: Tensor
    values: Tensor


class TaskOrientedActionGenerator(DirectPolicy):
    """Vision and text to a task and, for each of ten tasks, an action (tanh) and its value.

    Batches hold ``task_index`` (B,) and may hold ``return`` (B,), which the values are trained on.

    Args:
        config: Sizes; validated here.

    Raises:
        ConfigError: A field of ``config`` is out of its bounds.
    """

    config: TaskOrientedConfig
    targets: ClassVar[tuple[str, ...]] = ("action", "task_index")
    optional_targets: ClassVar[tuple[str, ...]] = ("action_is_pad", "return")

    def __init__(self, config: TaskOrientedConfig | None = None) -> None:
        config = config if config is not None else TaskOrientedConfig()
        super().__init__(config)
        features, hidden = config.feature_size, config.classifier_hidden
        size = config.horizon * config.action_dim
        self.classifier = mlp([features, hidden, len(config.tasks)])
        self.generators = nn.ModuleList(mlp([features, *config.hidden, size]) for _ in config.tasks)
        self.estimators = nn.ModuleList(mlp([features, hidden, 1]) for _ in config.tasks)

    def evaluate(self, *observation: Tensor) -> TaskActions:
        """The likeliest task's action and value, and those of all.

        Args:
            observation: Normalised features in the order of ``config.observation``, each (B, *shape).
        """
        features = joined(observation)
        task_logits = self.classifier(features)
        actions = torch.stack([self._rows(torch.tanh(g(features))) for g in self.generators], dim=1)
        values = torch.cat([estimator(features) for estimator in self.estimators], dim=1)
        task = task_logits.argmax(dim=1)
        return TaskActions(task, task_logits, _chosen(actions, task), _chosen(values, task), actions, values)

    def answer(self, *observation: Tensor) -> Tensor:
        """Actions (B, T, D) of the likeliest task in normalised units."""
        return self.evaluate(*observation).action

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross entropy of the task plus squared errors of its action and, where there is one, its return.

        Arguments and errors as ``ChunkPolicy.loss``; also a ``task_index`` (B,) that is missing or none.
        """
        found = self.evaluate(*self._normalized_observation(batch))
        action = self._normalized_action(batch)
        task = self._task_index(batch, len(action))
        errors = (_chosen(found.actions, task) - action).square().mean(dim=2)
        total = mean_over_rows(errors, batch) + F.cross_entropy(found.task_logits, task)
        if "return" in batch:
            wanted = per_sample(batch, "return", len(action)).to(found.value)
            total = total + F.mse_loss(_chosen(found.values, task), wanted)
        return total

    def _task_index(self, batch: Mapping[str, Tensor], size: int) -> Tensor:
        task = per_sample(batch, "task_index", size).to(self.device)
        bad = torch.nonzero((task < 0) | (task >= len(self.config.tasks)))
        if bad.numel():
            at = int(bad[0])
            bound = f"must be 0..{len(self.config.tasks) - 1}"
            raise error(ConfigError, f"task_index[{at}]", task[at].item(), bound)
        return task.long()


def _chosen(values: Tensor, index: Tensor) -> Tensor:
    """Of values (B, K, ...) those of ``index`` (B,): (B, ...)."""
    one_each = index.reshape(-1, *[1] * (values.dim() - 1)).expand(-1, 1, *values.shape[2:])
    return values.gather(1, one_each).squeeze(1)
