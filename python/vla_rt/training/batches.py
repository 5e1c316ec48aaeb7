"""From a dataset to checked batches, in an order that depends on nothing but the seed and the step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vla_rt.datasets.feature_statistics import Statistics, of_rows
from vla_rt.errors import ConfigError, error, require


@runtime_checkable
class Dataset(Protocol):
    """What ``train`` needs of a dataset: its size and its samples.

    A sample maps names to arrays: the policy's observation features, ``action`` (T, D), optionally
    ``action_is_pad`` (T,) and the place where it comes from, ``episode_index`` and ``frame_index``. Two
    optional members are used when they exist: ``batch(indices)``, the same samples stacked, and ``stats``,
    statistics by feature and name.
    """

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        """Sample ``index``."""


class BatchSource:
    """Batches of a dataset; batch k is a pure function of seed and k, whether a run was resumed or not.

    Every sample comes once before any comes twice. Each batch is checked before it is handed out.

    Args:
        dataset: The samples.
        keys: Names that a batch must hold and whose numbers must be finite; others are dropped.
        batch_size: B.
        seed: Of the order.
        optional: Names that are passed on when the samples have them.

    Raises:
        ConfigError: The dataset is empty, or its first sample lacks a name.
    """

    def __init__(
        self, dataset: Dataset, keys: Iterable[str], batch_size: int, seed: int, optional: Iterable[str] = ()
    ) -> None:
        require(len(dataset) > 0, "dataset", "0 samples", "must not be empty")
        self._dataset = dataset
        self._keys = tuple(keys)
        self._optional = tuple(optional)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._shapes = {name: np.shape(value) for name, value in self._pick(dataset[0], 0).items()}

    def indices(self, step: int) -> NDArray[np.int64]:
        """Samples of batch ``step``, (B,)."""
        size = len(self._dataset)
        position = step * self._batch_size
        parts = []
        missing = self._batch_size
        while missing:
            epoch, offset = divmod(position, size)
            part = self._permutation(epoch)[offset : offset + missing]
            parts.append(part)
            position += part.size
            missing -= part.size
        return np.concatenate(parts)

    def batch(self, step: int) -> dict[str, Tensor]:
        """Batch ``step``, each (B, ...).

        Raises:
            ConfigError: A sample has another shape than the first, or a number that is not finite; the
                error names the feature, the index in it, the episode and the frame.
        """
        return self.take(self.indices(step))

    def take(self, indices: NDArray[np.int64]) -> dict[str, Tensor]:
        """The samples ``indices`` as one checked batch; errors as ``batch``."""
        stacked = getattr(self._dataset, "batch", None)
        arrays = (
            self._pick(stacked(indices), int(indices[0])) if stacked is not None else self._collate(indices)
        )
        for name, array in arrays.items():
            if array.shape != (len(indices), *self._shapes[name]):
                bound = f"must be {(len(indices), *self._shapes[name])}"
                raise error(ConfigError, name, f"shape {array.shape}", bound)
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                where = "".join(f"[{i}]" for i in at[1:])
                bound = f"must be finite ({self._place(int(indices[at[0]]))})"
                raise error(ConfigError, f"{name}{where}", array[at], bound)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(len(self._dataset))
            self._epoch = epoch
        return self._order

    def _collate(self, indices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        samples = [self._pick(self._dataset[int(i)], int(i)) for i in indices]
        for index, sample in zip(indices, samples, strict=True):
            for name, array in sample.items():
                if array.shape != self._shapes.get(name):
                    bound = f"the first sample has {self._shapes.get(name)} ({self._place(int(index))})"
                    raise error(ConfigError, name, f"shape {array.shape}", bound)
        return {name: np.stack([sample[name] for sample in samples]) for name in self._shapes}

    def _pick(self, sample: Mapping[str, Any], index: int) -> dict[str, NDArray[Any]]:
        for name in self._keys:
            if name not in sample:
                raise error(
                    ConfigError, name, "missing", f"the sample has {sorted(sample)} ({self._place(index)})"
                )
        names = (*self._keys, *(name for name in self._optional if name in sample))
        return {name: np.ascontiguousarray(sample[name]) for name in names}

    def _place(self, index: int) -> str:
        sample = self._dataset[index]
        if "episode_index" in sample and "frame_index" in sample:
            return f"episode {int(sample['episode_index'])}, frame {int(sample['frame_index'])}"
        return f"sample {index}"


def dataset_statistics(dataset: Dataset, keys: Sequence[str]) -> dict[str, Statistics]:
    """Mean, std, min, max and quantiles of each feature over a whole dataset.

    Args:
        dataset: The samples; every number is read and checked.
        keys: Features; of ``action`` (T, D) the statistics are over all rows that are no padding.

    Raises:
        ConfigError: As ``BatchSource.batch``.
    """
    source = BatchSource(dataset, keys, batch_size=1, seed=0, optional=["action_is_pad"])
    rows: dict[str, list[NDArray[np.float64]]] = {key: [] for key in keys}
    for start in range(0, len(dataset), 1024):
        batch = source.take(np.arange(start, min(start + 1024, len(dataset)), dtype=np.int64))
        for key in keys:
            values = batch[key].numpy().astype(np.float64)
            if key == "action":
                values = values.reshape(-1, values.shape[-1])
                if "action_is_pad" in batch:
                    values = values[~batch["action_is_pad"].numpy().astype(bool).reshape(-1)]
            rows[key].append(values.reshape(len(values), -1))
    stats = {}
    for key, parts in rows.items():
        values = np.concatenate(parts)
        stats[key] = of_rows(values)
    return stats
