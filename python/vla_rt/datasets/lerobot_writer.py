"""Recording into a LeRobot v3.0 dataset, one whole episode at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vla_rt.datasets.feature_statistics import Statistics, of_pixels, of_rows, pooled
from vla_rt.datasets.json_files import write_object
from vla_rt.datasets.lerobot_info import DEFAULT_FEATURES, EPISODES_PATH, DatasetInfo, Feature
from vla_rt.datasets.lerobot_reader import Contents
from vla_rt.datasets.parquet_columns import concatenated, read_table, table_of, write_table
from vla_rt.datasets.pictures import VideoWriter, as_pixels, encode_png
from vla_rt.errors import ConfigError, error, require

__all__ = ["EpisodeWriter"]

_FILE_BYTES = 100_000_000  # a data file that has grown beyond is left alone


class EpisodeWriter:
    """Collects the frames of an episode and appends it to the dataset.

    What makes an episode count is ``total_episodes`` in info.json, which is written after the episode's rows:
    rows beyond it, which a killed process leaves behind, are dropped by the next save.

    Args:
        root: Of the dataset.
        info: As read.
        contents: What the dataset holds already.

    Raises:
        ConfigError: The dataset is of v2.1.
    """

    def __init__(self, root: Path, info: DatasetInfo, contents: Contents) -> None:
        require(info.version == "v3.0", "root", root, f"is a {info.version} dataset, which is only read")
        self._root, self._info = root, info
        self._features = {name: f for name, f in info.features.items() if name not in DEFAULT_FEATURES}
        self._task_index = {text: i for i, text in contents.tasks.items()}
        self._rows = {
            name: [values] for name, values in self._shaped(contents.columns).items() if len(values)
        }
        self._stats = {name: s for name, s in contents.stats.items() if name in self._features}
        self._file = contents.episodes.places[-1] if contents.episodes.places else (0, 0)
        self._videos: dict[str, VideoWriter] = {}
        self.clear()

    def clear(self) -> None:
        """Forgets the frames of the episode under way."""
        for video in self._videos.values():
            video.discard()
        self._videos = {}
        self._frames: dict[str, list[Any]] = {name: [] for name in self._features}
        self._tasks: list[str | None] = []
        self._histograms = {
            n: np.zeros((f.shape[2], 256), np.int64) for n, f in self._features.items() if f.is_visual
        }

    def add_frame(self, frame: Mapping[str, Any], task: str | None) -> None:
        """As ``LeRobotDataset.add_frame``."""
        given = {name: value for name, value in frame.items() if name not in DEFAULT_FEATURES}
        task = given.pop("task", task)
        require(task is None or (isinstance(task, str) and task != ""), "task", task, "must be a text")
        at = f"episode {self._info.total_episodes}, frame {len(self._tasks)}"
        for name in given:
            require(
                name in self._features, name, f"({at})", f"is no feature; there are {sorted(self._features)}"
            )
        for name in self._features:
            require(name in given, name, f"({at})", "is missing")
        values = {name: _checked(given[name], feature, name, at) for name, feature in self._features.items()}
        for name, feature in self._features.items():
            if feature.dtype == "video" and name not in self._videos:
                path = self._info.video_file(self._root, name, **self._video_place())
                self._videos[name] = VideoWriter(path, self._info.fps, feature.shape)
        for name, value in values.items():
            feature = self._features[name]
            if feature.is_visual:
                histogram = self._histograms[name]
                for channel in range(feature.shape[2]):
                    histogram[channel] += np.bincount(value[:, :, channel].reshape(-1), minlength=256)
            if feature.dtype == "video":
                self._videos[name].add(value)
            else:
                self._frames[name].append(encode_png(value) if feature.dtype == "image" else value)
        self._tasks.append(task)

    def save_episode(self, task: str | None) -> DatasetInfo:
        """As ``LeRobotDataset.save_episode``; returns what the dataset is now."""
        length = len(self._tasks)
        require(length > 0, "frames", 0, "an episode needs at least one: call add_frame first")
        texts = [text if text is not None else task for text in self._tasks]
        for i, text in enumerate(texts):
            require(isinstance(text, str) and text != "", f"task (frame {i})", text, "must be a text")
        info, episode = self._info, self._info.total_episodes
        tasks = dict(self._task_index)
        for text in texts:
            tasks.setdefault(str(text), len(tasks))
        frame = np.arange(length)
        columns: dict[str, Any] = {
            **{
                name: values for name, values in self._frames.items() if self._features[name].dtype != "video"
            },
            "timestamp": (frame / info.fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(length, episode),
            "index": info.total_frames + frame,
            "task_index": np.array([tasks[str(text)] for text in texts]),
        }
        fresh = self._shaped(columns)
        stats = {name: of_rows(values) for name, values in fresh.items()}
        stats |= {name: of_pixels(histogram, length) for name, histogram in self._histograms.items()}

        place = self._append(columns)
        for video in self._videos.values():
            video.finish()
        self._videos = {}
        self._write_tasks(tasks)
        self._write_episode(list(dict.fromkeys(map(str, texts))), length, place, stats)
        info = info.grown(episode + 1, info.total_frames + length, len(tasks))
        info.write(self._root)

        self._info, self._task_index, self._file = info, tasks, place
        for name, values in fresh.items():
            self._rows.setdefault(name, []).append(values)
        self._write_statistics(stats)
        self.clear()
        return info

    def _shaped(self, columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Columns of numbers as (n, *shape), single numbers too."""
        features = self._info.features
        numbers = {name: np.asarray(v) for name, v in columns.items() if features[name].is_number}
        return {name: values.reshape(-1, *features[name].shape) for name, values in numbers.items()}

    def _append(self, columns: dict[str, Any]) -> tuple[int, int]:
        """Adds rows to the newest data file, or begins another; returns its chunk and file index."""
        table = table_of(columns, dict(self._info.features))
        chunk, file = self._file
        path = self._info.data_file(self._root, chunk_index=chunk, file_index=file)
        if self._info.total_frames and path.stat().st_size > _FILE_BYTES:
            chunk, file = (chunk, file + 1) if file + 1 < self._info.chunks_size else (chunk + 1, 0)
            path = self._info.data_file(self._root, chunk_index=chunk, file_index=file)
        elif self._info.total_frames:
            old = read_table(path)
            known = np.asarray(old.column("episode_index")) < self._info.total_episodes
            table = concatenated([old.filter(pa.array(known)).select(table.column_names), table])
        write_table(path, table)
        return chunk, file

    def _video_place(self) -> dict[str, int]:
        chunk, file = divmod(self._info.total_episodes, self._info.chunks_size)
        return {"chunk_index": chunk, "file_index": file}

    def _write_episode(
        self, tasks: list[str], length: int, place: tuple[int, int], stats: Mapping[str, Statistics]
    ) -> None:
        info = self._info
        episode = info.total_episodes
        chunk, file = divmod(episode // info.chunks_size, info.chunks_size)
        row: dict[str, Any] = {
            "episode_index": episode,
            "tasks": tasks,
            "length": length,
            "data/chunk_index": place[0],
            "data/file_index": place[1],
            "dataset_from_index": info.total_frames,
            "dataset_to_index": info.total_frames + length,
        }
        for name, feature in self._features.items():
            if feature.dtype == "video":
                row |= {f"videos/{name}/{key}": index for key, index in self._video_place().items()}
                row |= {
                    f"videos/{name}/from_timestamp": 0.0,
                    f"videos/{name}/to_timestamp": length / info.fps,
                }
        for name, block in stats.items():
            row |= {f"stats/{name}/{key}": value.tolist() for key, value in block.items()}
        row |= {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}
        table = pa.table({name: [value] for name, value in row.items()})
        path = self._root / EPISODES_PATH.format(chunk_index=chunk, file_index=file)
        if path.exists() and episode % info.chunks_size:
            old = read_table(path)
            known = np.asarray(old.column("episode_index")) < episode
            table = concatenated([old.filter(pa.array(known)), table]) if known.any() else table
        write_table(path, table)

    def _write_tasks(self, tasks: Mapping[str, int]) -> None:
        if tasks == self._task_index:
            return
        # as pandas stores a frame whose index are the texts
        index = {
            "name": None,
            "field_name": "__index_level_0__",
            "pandas_type": "unicode",
            "numpy_type": "object",
        }
        column = {
            "name": "task_index",
            "field_name": "task_index",
            "pandas_type": "int64",
            "numpy_type": "int64",
        }
        pandas = {
            "index_columns": ["__index_level_0__"],
            "column_indexes": [{**index, "field_name": None, "metadata": {"encoding": "UTF-8"}}],
            "columns": [{**column, "metadata": None}, {**index, "metadata": None}],
            "creator": {"library": "pyarrow", "version": pa.__version__},
            "pandas_version": "2.0.0",
        }
        table = pa.table({"task_index": list(tasks.values()), "__index_level_0__": list(tasks)})
        table = table.replace_schema_metadata({b"pandas": json.dumps(pandas).encode()})
        write_table(self._root / "meta" / "tasks.parquet", table)

    def _write_statistics(self, fresh: Mapping[str, Statistics]) -> None:
        """Of numbers over all rows; images are put together from what their episodes gave."""
        stats = {}
        for name, parts in self._rows.items():
            rows = np.concatenate(parts)
            self._rows[name] = [rows]
            stats[name] = of_rows(rows)
        for name in self._histograms:
            earlier = [self._stats[name]] if name in self._stats else []
            self._stats[name] = stats[name] = pooled([*earlier, fresh[name]])
        content = {
            name: {key: value.tolist() for key, value in block.items()} for name, block in stats.items()
        }
        write_object(self._root / "meta" / "stats.json", content)


def _checked(value: Any, feature: Feature, name: str, at: str) -> Any:
    """One frame's value as it is stored."""
    if feature.is_visual:
        return as_pixels(value, feature.shape, f"{name} ({at})")
    if feature.dtype == "string":
        require(isinstance(value, str), f"{name} ({at})", value, "must be a text")
        return value
    array: NDArray[Any] = np.asarray(value)
    if array.dtype.kind not in "bfiu":
        raise error(ConfigError, f"{name} ({at})", array.dtype, f"must be {feature.dtype}")
    if array.shape == () and feature.shape == (1,):
        array = array.reshape(1)
    require(array.shape == feature.shape, f"{name}.shape ({at})", array.shape, f"must be {feature.shape}")
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        where = tuple(bad[0].tolist())
        raise error(ConfigError, f"{name}{list(where)} ({at})", array[where], "must be finite")
    with np.errstate(over="ignore", invalid="ignore"):
        stored = array.astype(feature.dtype)
    whole = np.dtype(feature.dtype).kind in "iub"
    lossy = stored != array if whole else ~np.isfinite(stored)
    if lossy.any():
        raise error(ConfigError, f"{name} ({at})", array[lossy][0], f"does not fit into {feature.dtype}")
    return stored
