"""Actions relative to where the robot was when it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt.datasets.feature_statistics import Statistics, of_rows
from vla_rt.errors import require

__all__ = ["RelativeDataset"]

_SEES_NOTHING = SimpleNamespace(observation=())  # the configuration of a policy without features


class RelativeDataset:
    """A dataset whose windows of actions are differences to a feature of the frame, such as the joints.

    A policy then need not learn to repeat what it sees, and learns in fewer steps. Run it with
    ``ControlConfig(relative_to=feature)``, or ``vla-rt eval --relative-to``.

    Args:
        dataset: A ``LeRobotDataset``, or one with instructions.
        feature: As wide as an action.

    Raises:
        ConfigError: There is no such feature, or it has another width.
    """

    def __init__(self, dataset: Any, feature: str) -> None:
        sample = dataset[0]
        require(feature in sample, "relative_to", feature, f"the dataset has {', '.join(sorted(sample))}")
        width = np.shape(sample["action"])[-1]
        shape = np.shape(sample[feature])
        require(shape == (width,), f"{feature}.shape", shape, f"must be ({width},), as an action")
        self._dataset, self._feature = dataset, feature

    def for_policy(self, config: Any) -> RelativeDataset:
        """As of ``LeRobotDataset.for_policy``."""
        return RelativeDataset(self._dataset.for_policy(config), self._feature)

    @cached_property
    def stats(self) -> dict[str, Statistics]:
        """Those of the dataset; of the actions over all rows of all windows."""
        rows = []
        numbers = self.for_policy(_SEES_NOTHING)  # no picture is decoded
        for begin in range(0, len(self), 1024):
            batch = numbers.batch(np.arange(begin, min(begin + 1024, len(self))))
            rows.append(batch["action"][~batch["action_is_pad"]])
        return {**self._dataset.stats, "action": of_rows(np.concatenate(rows).astype(np.float64))}

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        """Frame ``index``."""
        sample = self._dataset[index]
        return {**sample, "action": sample["action"] - sample[self._feature]}

    def batch(self, indices: ArrayLike) -> dict[str, NDArray[Any]]:
        """Frames ``indices`` (B,) at once."""
        batch = self._dataset.batch(indices)
        return {**batch, "action": batch["action"] - batch[self._feature][:, None]}
