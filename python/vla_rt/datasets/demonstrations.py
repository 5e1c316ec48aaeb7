"""Demonstrations in memory: columns by LeRobot's names, windows of actions, statistics."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt.datasets.feature_statistics import Statistics, of_rows
from vla_rt.errors import ConfigError, FormatError, error, require

if TYPE_CHECKING:
    from vla_rt.datasets.lerobot_dataset import LeRobotDataset

__all__ = ["Demonstrations"]

_INDEX = ("episode_index", "frame_index")
_FORMAT = "vla_rt.demonstrations.1"


class Demonstrations:
    """Frames of all episodes, one after the other, as columns of equal length.

    Indexing gives what a policy is trained on: the observation of one frame and the ``horizon`` actions from
    that frame on. A window ends with its segment: the last action of the segment is repeated and marked in
    ``action_is_pad`` (unless ``ends_at_rest``). Segments are the episodes, cut further where ``segment``
    changes (in a recording: a new goal appears, which nobody could have foreseen).

    Args:
        columns: ``action`` (F, D), ``episode_index`` and ``frame_index`` (F,), both counting from 0
            without gaps, ``timestamp`` (F,) [s] and features ``observation.*`` (F, ...). F frames.
        fps: Frames per second.
        horizon: T, length of the windows.
        segment: (F,) any integers that change where a segment ends inside an episode; None for none.
        ends_at_rest: Whether the robot would have held its last action after every segment: then the repeated
            rows are as good as recorded, and not marked.

    Raises:
        ConfigError: A column is missing, empty, of another length, not finite or not in order.
    """

    def __init__(
        self,
        columns: Mapping[str, ArrayLike],
        fps: float,
        horizon: int = 16,
        segment: ArrayLike | None = None,
        ends_at_rest: bool = False,
    ) -> None:
        self.columns: dict[str, NDArray[Any]] = {}  #: by name
        require(np.isfinite(fps) and fps > 0, "fps", fps, "must be finite and > 0")
        for name in ("action", *_INDEX, "timestamp"):
            require(name in columns, name, "", "column is missing")
        frames = len(np.asarray(columns["action"]))
        require(frames > 0, "action", "0 frames", "must not be empty")
        for name, values in columns.items():
            dtype = np.int64 if name in _INDEX else np.float64
            column = np.ascontiguousarray(values, dtype=dtype)
            require(
                column.shape[:1] == (frames,), f"{name}.shape", column.shape, f"must have {frames} frames"
            )
            bad = np.argwhere(~np.isfinite(column))
            if bad.size:
                at = tuple(bad[0].tolist())
                raise error(ConfigError, f"{name}{list(at)}", column[at], "must be finite")
            self.columns[name] = column
        require(
            self.columns["action"].ndim == 2, "action.shape", self.columns["action"].shape, "must be (F, D)"
        )
        self.fps = float(fps)
        self.ends_at_rest = bool(ends_at_rest)
        self.segment: NDArray[np.int64] = (
            np.zeros(frames, np.int64) if segment is None else np.ascontiguousarray(segment, dtype=np.int64)
        )
        require(self.segment.shape == (frames,), "segment.shape", self.segment.shape, f"must be ({frames},)")
        self._check_order()
        starts = np.flatnonzero(
            np.r_[True, (np.diff(self.columns["episode_index"]) != 0) | (np.diff(self.segment) != 0)]
        )
        lengths = np.diff(np.r_[starts, frames])
        self._last = np.repeat(starts + lengths - 1, lengths)  # of each frame: last frame of its segment
        self.horizon = horizon

    def _check_order(self) -> None:
        episode, frame = (self.columns[name] for name in _INDEX)
        step = np.diff(episode)
        bad = np.flatnonzero((step != 0) & (step != 1)) + 1
        if episode[0] != 0 or bad.size:
            i = int(bad[0]) if bad.size and episode[0] == 0 else 0
            raise error(ConfigError, f"episode_index[{i}]", episode[i], "must count from 0 without gaps")
        expected = np.arange(len(frame)) - np.flatnonzero(np.r_[True, step != 0])[episode]
        wrong = np.flatnonzero(frame != expected)
        if wrong.size:
            i = int(wrong[0])
            raise error(ConfigError, f"frame_index[{i}]", frame[i], f"must be {expected[i]}")

    @property
    def horizon(self) -> int:
        """T, number of actions in a window."""
        return self._horizon

    @horizon.setter
    def horizon(self, value: int) -> None:
        require(value >= 1, "horizon", value, "must be >= 1")
        self._horizon = int(value)

    @property
    def num_episodes(self) -> int:
        """Number of episodes."""
        return int(self.columns["episode_index"][-1]) + 1

    @property
    def observation_features(self) -> dict[str, tuple[int, ...]]:
        """Shape of each ``observation.*`` feature, without the frame axis."""
        return {k: v.shape[1:] for k, v in self.columns.items() if k.startswith("observation.")}

    def __len__(self) -> int:
        """Number of frames F."""
        return len(self.columns["action"])

    def __getitem__(self, index: int) -> dict[str, NDArray[Any]]:
        """Frame ``index``: every column's row, but ``action`` (T, D) and ``action_is_pad`` (T,).

        Raises:
            IndexError: Past the end.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} frames")
        return {name: values[0] for name, values in self.batch([index % len(self)]).items()}

    def batch(self, indices: ArrayLike) -> dict[str, NDArray[Any]]:
        """Frames ``indices`` (B,) at once: every value as of indexing, with a leading axis B.

        Raises:
            IndexError: An index is past the end.
        """
        at = np.asarray(indices, dtype=np.int64)
        window = at[:, None] + np.arange(self._horizon)
        last = self._last[at][:, None]
        batch: dict[str, NDArray[Any]] = {k: v[at] for k, v in self.columns.items() if k != "action"}
        batch["action"] = self.columns["action"][np.minimum(window, last)]
        batch["action_is_pad"] = (window > last) & (not self.ends_at_rest)
        return batch

    @cached_property
    def stats(self) -> dict[str, Statistics]:
        """``min``, ``max``, ``mean``, ``std``, ``q01``, ``q10``, ``q50``, ``q90``, ``q99`` and ``count`` by
        feature.

        The features are ``action`` and every ``observation.*``; the standard deviation is the population's.
        """
        return {
            name: of_rows(values)
            for name, values in self.columns.items()
            if name == "action" or name.startswith("observation.")
        }

    def to_lerobot(self, root: str | Path, task: str, robot_type: str | None = None) -> LeRobotDataset:
        """Writes a LeRobot dataset v3.0, every segment as an episode; one that is there already is continued.

        Args:
            root: Its folder; the segments that it holds already are taken to be the first of these.
            task: What the robot was told, for all frames.
            robot_type: Free text.

        Raises:
            ConfigError: The folder holds a dataset with other features or another rate.
            ImportError: pyarrow is not installed.
        """
        from vla_rt.datasets.lerobot_dataset import LeRobotDataset

        names = ["action", *self.observation_features]
        features = {name: {"dtype": "float32", "shape": self.columns[name].shape[1:]} for name in names}
        if (Path(root) / "meta" / "info.json").exists():
            dataset = LeRobotDataset(root)
            require(dataset.fps == self.fps, "fps", self.fps, f"the dataset {root} has {dataset.fps}")
            shapes = {name: f.shape for name, f in dataset.features.items() if name in names}
            wanted = {name: tuple(f["shape"]) for name, f in features.items()}
            require(shapes == wanted, "features", wanted, f"the dataset {root} has {shapes}")
        else:
            dataset = LeRobotDataset.create(root, self.fps, features, robot_type)
        self.append_to(dataset, task, skip=dataset.num_episodes)
        return dataset

    def append_to(self, dataset: LeRobotDataset, task: str, skip: int = 0) -> None:
        """Adds every segment but the first ``skip`` to a dataset, as an episode each."""
        names = ["action", *self.observation_features]
        ends = np.unique(self._last) + 1
        for begin, end in list(zip(np.r_[0, ends[:-1]], ends, strict=True))[skip:]:
            for i in range(begin, end):
                dataset.add_frame({name: self.columns[name][i] for name in names}, task)
            dataset.save_episode()

    def save(self, path: str | Path) -> None:
        """Writes an .npz file of the columns and the arguments."""
        content: dict[str, Any] = {
            **self.columns,
            "__format__": _FORMAT,
            "__fps__": self.fps,
            "__horizon__": self.horizon,
            "__segment__": self.segment,
            "__ends_at_rest__": self.ends_at_rest,
        }
        with Path(path).open("wb") as file:
            np.savez(file, **content)

    @classmethod
    def load(cls, path: str | Path) -> Demonstrations:
        """Reads what `save` wrote.

        Raises:
            ConfigError: There is no such file.
            FormatError: The file is not one of these.
        """
        require(Path(path).is_file(), "path", path, "no such file")
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
                content = {name: archive[name] for name in archive.files}
            if str(content.pop("__format__")) != _FORMAT:
                raise ValueError("another format")
            fps, horizon = float(content.pop("__fps__")), int(content.pop("__horizon__"))
            segment, ends_at_rest = content.pop("__segment__"), bool(content.pop("__ends_at_rest__"))
            return cls(content, fps, horizon, segment, ends_at_rest)
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as cause:
            raise error(FormatError, "path", path, f"holds no demonstrations: {cause}") from cause
