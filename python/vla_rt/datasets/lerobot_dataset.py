"""Datasets in LeRobot's format: reading windows for training, recording episodes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt.datasets.feature_statistics import Statistics
from vla_rt.datasets.lerobot_info import DatasetInfo, Feature
from vla_rt.datasets.lerobot_reader import Contents, read_contents
from vla_rt.datasets.pictures import decode_png, video_frame
from vla_rt.errors import ConfigError, error, require

__all__ = ["LeRobotDataset"]

_TOLERANCE_S = 1e-4


class LeRobotDataset:
    """A dataset in LeRobot's format v3.0, or v2.1 to read only.

    Indexing gives one frame: every column by name, numbers as numpy arrays of the stored type, single numbers
    0-d (but ``action`` and ``observation.*`` keep their axis), images as float32 (C, H, W) in [0, 1], and
    ``task``, the text. For each key in ``delta_timestamps`` it gives a window (len, ...) instead and
    ``<key>_is_pad`` (len,): rows outside the episode repeat its first or last row and are True there.

    Numbers and encoded images are held in memory; videos are decoded as they are asked for.

    Args:
        root: Folder of the dataset.
        delta_timestamps: For each key the times of the window's rows, relative to the frame [s]; each must
            be a whole number of frames within 0.1 ms.

    Raises:
        ConfigError: There is no dataset, a key is no column, or a time is between two frames.
        FormatError: The data is damaged; file, episode and frame are named.
        ImportError: pyarrow is not installed.
    """

    def __init__(
        self, root: str | Path, delta_timestamps: Mapping[str, Sequence[float]] | None = None
    ) -> None:
        self.root = Path(root)  #: folder
        self._info = DatasetInfo.read(self.root)
        self._contents: Contents | None = read_contents(self.root, self._info)
        self._writer: Any = None
        self._skipped: frozenset[str] = frozenset()  # images that nobody needs are not decoded
        self._deltas = _delta_indices(delta_timestamps or {}, self._info)
        self.delta_timestamps = {key: tuple(times) for key, times in (delta_timestamps or {}).items()}

    @classmethod
    def create(
        cls, root: str | Path, fps: float, features: Mapping[str, Any], robot_type: str | None = None
    ) -> LeRobotDataset:
        """Begins an empty dataset; ``LeRobotDataset(root)`` goes on with one that exists.

        Args:
            root: Folder; must not hold a dataset yet.
            fps: Frames per second.
            features: By name: {"dtype": "float32", "shape": (7,), "names": [...]}. The dtype "image" stores
                PNG in the parquet files, bit for bit; "video" stores a video file per episode, smaller and
                not exact; "string" stores text. Images have shape (H, W, C).
            robot_type: Free text.

        Raises:
            ConfigError: A feature is malformed, or there is a dataset already.
        """
        root = Path(root)
        require(not (root / "meta" / "info.json").exists(), "root", root, "already holds a dataset")
        info = DatasetInfo.new(fps, features, robot_type)
        (root / "meta").mkdir(parents=True, exist_ok=True)
        info.write(root)
        return cls(root)

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self._info.fps

    @property
    def features(self) -> dict[str, Feature]:
        """Type and shape of each column."""
        return dict(self._info.features)

    @property
    def num_episodes(self) -> int:
        """Number of episodes."""
        return self._info.total_episodes

    @property
    def episode_lengths(self) -> NDArray[np.int64]:
        """Frames of each episode (E,)."""
        return self._data.episodes.lengths.copy()

    @property
    def tasks(self) -> list[str]:
        """The different task texts, by task_index."""
        return [text for _, text in sorted(self._data.tasks.items())]

    @property
    def stats(self) -> dict[str, Statistics]:
        """``min``, ``max``, ``mean``, ``std``, ``count``, ``q01``, ``q10``, ``q50``, ``q90``, ``q99``.

        As the dataset's files give them (v2.1: the episodes' put together); what they lack is computed from
        the columns of numbers.
        """
        return self._data.stats

    @property
    def observation_features(self) -> dict[str, tuple[int, ...]]:
        """Shape of each ``observation.*`` as indexing gives it, without window."""
        shapes = {k: f for k, f in self._info.features.items() if k.startswith("observation.")}
        return {k: (f.shape[2], *f.shape[:2]) if f.is_visual else f.shape for k, f in shapes.items()}

    def windowed(self, delta_timestamps: Mapping[str, Sequence[float]]) -> LeRobotDataset:
        """The same data with other windows; nothing is read again.

        Raises:
            ConfigError: As of the constructor.
        """
        other = copy.copy(self)
        other._writer = None
        other._deltas = _delta_indices(delta_timestamps, self._info)
        other.delta_timestamps = {key: tuple(times) for key, times in delta_timestamps.items()}
        return other

    def for_policy(self, config: Any) -> LeRobotDataset:
        """What a policy of this configuration is trained on: its window of actions, no image it does not see.

        The window of ``action`` begins at the frame: ``horizon`` rows, ``period_s`` apart; one that is there
        already stays.

        Raises:
            ConfigError: ``period_s`` is no multiple of the time between frames.
        """
        view = self.windowed(self.delta_timestamps)
        seen = {spec.name for spec in getattr(config, "observation", ())}
        view._skipped = frozenset(n for n, f in self._info.features.items() if f.is_visual and n not in seen)
        if "action" in self._deltas or not hasattr(config, "horizon"):
            return view
        period = float(getattr(config, "period_s", 1.0 / self.fps))
        nearest = round(period * self.fps)
        require(
            nearest >= 1 and abs(nearest / self.fps - period) <= _TOLERANCE_S,
            "period_s",
            period,
            f"must be a multiple of the time between frames, {1.0 / self.fps:.6g} s",
        )
        times = [nearest * row / self.fps for row in range(config.horizon)]
        view.delta_timestamps["action"] = tuple(times)
        view._deltas = _delta_indices(view.delta_timestamps, self._info)
        return view

    def __len__(self) -> int:
        """Number of frames."""
        return self._info.total_frames

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Frame ``index``.

        Raises:
            IndexError: Past the end.
            FormatError: An image cannot be decoded.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} frames")
        index = int(index) % len(self)
        sample = {name: np.asarray(values[0]) for name, values in self.batch([index]).items()}
        data = self._data
        for name, texts in data.texts.items():
            sample[name] = texts[index]  # type: ignore[assignment]
        return {**sample, "task": data.tasks[int(data.columns["task_index"][index])]}

    def batch(self, indices: ArrayLike) -> dict[str, NDArray[Any]]:
        """Frames ``indices`` (B,) at once, without texts: every value with a leading axis B.

        Raises:
            IndexError: An index is past the end.
            FormatError: An image cannot be decoded.
        """
        at = np.asarray(indices, dtype=np.int64)
        if at.size and not (at.min() >= 0 and at.max() < len(self)):
            raise IndexError(
                f"index {at.max() if at.min() >= 0 else at.min()} is out of range for {len(self)} frames"
            )
        data = self._data
        episode = data.columns["episode_index"][at]
        first = data.episodes.starts[episode][:, None]
        last = first + data.episodes.lengths[episode][:, None] - 1
        batch: dict[str, NDArray[Any]] = {}
        for name, feature in self._info.features.items():
            if feature.dtype == "string" or name in self._skipped:
                continue
            deltas = self._deltas.get(name)
            rows = at if deltas is None else np.clip(at[:, None] + deltas, first, last)
            if deltas is not None:
                batch[f"{name}_is_pad"] = rows != at[:, None] + deltas
            batch[name] = (
                self._pictures(name, feature, rows) if feature.is_visual else data.columns[name][rows]
            )
        return batch

    def add_frame(self, frame: Mapping[str, Any], task: str | None = None) -> None:
        """Appends a frame to the episode that is being recorded.

        Args:
            frame: A value for every feature of the dataset, of its shape; ``task`` may be among them.
                ``timestamp`` and the indices are filled in.
            task: What the robot was told.

        Raises:
            ConfigError: A feature is missing, unknown, of another shape or not finite, or there is no task;
                nothing has been appended then. The dataset is of v2.1.
        """
        self._recorder.add_frame(frame, task)

    def save_episode(self, task: str | None = None) -> None:
        """Writes the recorded frames as one episode and begins the next.

        When it returns the episode is on the disk; if the process dies before, the dataset is as it was.

        Args:
            task: Of all frames that were added without one.

        Raises:
            ConfigError: There are no frames, or some have no task.
        """
        self._info = self._recorder.save_episode(task)
        self._contents = None

    def clear_episode(self) -> None:
        """Forgets the frames added since the last ``save_episode``."""
        self._recorder.clear()

    @property
    def _recorder(self) -> Any:
        if self._writer is None:
            from vla_rt.datasets.lerobot_writer import EpisodeWriter

            self._writer = EpisodeWriter(self.root, self._info, self._data)
        return self._writer

    @property
    def _data(self) -> Contents:
        if self._contents is None:
            self._contents = read_contents(self.root, self._info)
        return self._contents

    def _pictures(self, name: str, feature: Feature, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        height, width, channels = feature.shape
        pictures = np.empty((*rows.shape, channels, height, width), dtype=np.float32)
        data = self._data
        for at in np.ndindex(rows.shape):
            row = int(rows[at])
            episode = int(data.columns["episode_index"][row])
            frame = row - int(data.episodes.starts[episode])
            where = f"{name} (episode {episode}, frame {frame})"
            if feature.dtype == "image":
                where = f"{data.episodes.data[episode]}: {where}"
                pictures[at] = decode_png(data.pictures[name][row], feature.shape, where)
            else:
                path, begin = data.episodes.videos[name][episode]
                pictures[at] = video_frame(
                    path, begin + float(data.columns["timestamp"][row]), _TOLERANCE_S, feature.shape, where
                )
        return pictures


def _delta_indices(
    delta_timestamps: Mapping[str, Sequence[float]], info: DatasetInfo
) -> dict[str, NDArray[np.int64]]:
    deltas = {}
    for key, times in delta_timestamps.items():
        name = f"delta_timestamps[{key!r}]"
        feature = info.features.get(key)
        require(feature is not None and feature.dtype != "string", name, key, f"has {sorted(info.features)}")
        seconds = np.asarray(times, dtype=np.float64)
        require(seconds.ndim == 1 and seconds.size > 0, name, times, "must be a list of times")
        frames = np.round(seconds * info.fps)
        bad = np.flatnonzero(~(np.abs(frames / info.fps - seconds) <= _TOLERANCE_S))
        if bad.size:
            i = int(bad[0])
            bound = f"must be a whole number of frames of {1.0 / info.fps:.6g} s, within {_TOLERANCE_S} s"
            raise error(ConfigError, f"{name}[{i}]", seconds[i], bound)
        deltas[key] = frames.astype(np.int64)
    return deltas
