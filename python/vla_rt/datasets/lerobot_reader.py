"""Reading LeRobot datasets, v3.0 and v2.1, into memory: all of it is checked before any of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.datasets.feature_statistics import QUANTILES, Statistics, of_rows, pooled
from vla_rt.datasets.json_files import entry_of, read_lines, read_object
from vla_rt.datasets.lerobot_info import DatasetInfo, Feature
from vla_rt.datasets.parquet_columns import numbers, read_table
from vla_rt.errors import FormatError, error

__all__ = ["Contents", "EpisodeTable", "read_contents", "read_episodes", "read_tasks"]

_TIME_TOLERANCE_S = 1e-4


@dataclass(frozen=True)
class EpisodeTable:
    """Where the episodes are; all (E,).

    Attributes:
        starts: First frame.
        lengths: Number of frames.
        data: Parquet file of each.
        places: Chunk and file index of each; empty in v2.1.
        videos: By feature: the file and the time [s] at which the episode begins in it.
    """

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    data: list[Path]
    places: list[tuple[int, int]]
    videos: dict[str, list[tuple[Path, float]]]


@dataclass(frozen=True)
class Contents:
    """A dataset in memory, frames of all episodes one after the other.

    Attributes:
        columns: Numbers by name, (F,) or (F, ...).
        texts: Text columns.
        pictures: Columns of encoded images.
        episodes: Where the episodes are.
        tasks: Text by task_index.
        stats: By feature and name.
    """

    columns: dict[str, NDArray[Any]]
    texts: dict[str, list[str]]
    pictures: dict[str, list[bytes | None]]
    episodes: EpisodeTable
    tasks: dict[int, str]
    stats: dict[str, Statistics]


def read_contents(root: Path, info: DatasetInfo) -> Contents:
    """Reads everything but videos.

    Raises:
        FormatError: A file is missing, cut short or damaged; a column is missing or has values of another
            shape; an episode has another number of frames than declared, or frames out of order; an action
            or observation is not finite. File, episode and frame are named.
    """
    episodes = read_episodes(root, info)
    if int(episodes.lengths.sum()) != info.total_frames:
        where = f"{root}/meta/info.json: total_frames"
        raise error(FormatError, where, info.total_frames, f"the episodes have {int(episodes.lengths.sum())}")
    stored = {name: feature for name, feature in info.features.items() if feature.dtype != "video"}
    parts: dict[str, list[Any]] = {name: [] for name in stored}
    for path in dict.fromkeys(episodes.data):
        members = [e for e, file in enumerate(episodes.data) if file == path]
        for name, values in _read_file(path, members, episodes, stored, info.fps).items():
            parts[name].append(values)
    columns: dict[str, NDArray[Any]] = {}
    texts: dict[str, list[str]] = {}
    pictures: dict[str, list[bytes | None]] = {}
    for name, feature in stored.items():
        if feature.is_number:
            columns[name] = (
                np.concatenate(parts[name]) if parts[name] else np.zeros((0, *feature.shape), feature.dtype)
            )
        else:
            target: dict[str, list[Any]] = pictures if feature.dtype == "image" else texts
            target[name] = [value for part in parts[name] for value in part]
    tasks = read_tasks(root, info)
    unknown = np.flatnonzero(~np.isin(columns["task_index"], list(tasks)))
    if unknown.size:
        i = int(unknown[0])
        e = int(columns["episode_index"][i])
        at = f"{episodes.data[e]}: task_index (episode {e}, frame {i - int(episodes.starts[e])})"
        raise error(FormatError, at, columns["task_index"][i], f"there are tasks {sorted(tasks)}")
    stats = _read_statistics(root, info, columns)
    return Contents(columns, texts, pictures, episodes, tasks, stats)


def read_episodes(root: Path, info: DatasetInfo) -> EpisodeTable:
    """Reads which episodes there are and where; those beyond ``total_episodes`` are left out."""
    return _episodes_v3(root, info) if info.version == "v3.0" else _episodes_v21(root, info)


def read_tasks(root: Path, info: DatasetInfo) -> dict[int, str]:
    """Reads the texts by task_index."""
    if info.version == "v2.1":
        path = root / "meta" / "tasks.jsonl"
        return {
            int(entry_of(path, line, row, "task_index")): str(entry_of(path, line, row, "task"))
            for line, row in read_lines(path)
        }
    path = root / "meta" / "tasks.parquet"
    if not path.exists() and info.total_frames == 0:
        return {}
    table = read_table(path)
    names = [name for name in table.column_names if name != "task_index"]
    if "task_index" not in table.column_names or not names:
        raise error(FormatError, str(path), table.column_names, "must have task_index and a column of texts")
    preferred = [name for name in ("__index_level_0__", "task") if name in names]
    texts = table.column((preferred or names)[0]).to_pylist()
    return {int(i): str(text) for i, text in zip(table.column("task_index").to_pylist(), texts, strict=True)}


def _episodes_v3(root: Path, info: DatasetInfo) -> EpisodeTable:
    videos = [name for name, feature in info.features.items() if feature.dtype == "video"]
    wanted = ["episode_index", "length", "data/chunk_index", "data/file_index"]
    for key in videos:
        wanted += [f"videos/{key}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")]
    files = sorted((root / "meta" / "episodes").glob("chunk-*/file-*.parquet"))
    if not files and info.total_episodes:
        raise error(FormatError, f"{root}/meta/episodes", "", f"is missing ({info.total_episodes} episodes)")
    rows: dict[str, list[Any]] = {name: [] for name in wanted}
    for file in files:
        for name, values in read_table(file, wanted).to_pydict().items():
            rows[name] += values
    rows = {name: values[: info.total_episodes] for name, values in rows.items()}
    if rows["episode_index"] != list(range(info.total_episodes)):
        where = f"{root}/meta/episodes: episode_index"
        raise error(FormatError, where, "", f"must be 0..{info.total_episodes - 1}, each once and in order")
    for name, values in rows.items():
        for e, value in enumerate(values):
            if value is None or (name == "length" and value < 1):
                raise error(
                    FormatError, f"{root}/meta/episodes: {name} (episode {e})", value, "must be a number"
                )
    lengths = np.array(rows["length"], dtype=np.int64)
    places = list(zip(rows["data/chunk_index"], rows["data/file_index"], strict=True))
    data = [info.data_file(root, chunk_index=chunk, file_index=file) for chunk, file in places]
    films = {
        key: [
            (info.video_file(root, key, chunk_index=chunk, file_index=file), float(begin))
            for chunk, file, begin in zip(
                *(rows[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index", "from_timestamp")),
                strict=True,
            )
        ]
        for key in videos
    }
    return EpisodeTable(np.cumsum(lengths) - lengths, lengths, data, places, films)


def _episodes_v21(root: Path, info: DatasetInfo) -> EpisodeTable:
    path = root / "meta" / "episodes.jsonl"
    rows = [(line, row) for line, row in read_lines(path)][: info.total_episodes]
    found = [entry_of(path, line, row, "episode_index") for line, row in rows]
    if found != list(range(info.total_episodes)):
        bound = f"must be 0..{info.total_episodes - 1}, each once and in order"
        raise error(FormatError, f"{path}: episode_index", "", bound)
    lengths = np.array([entry_of(path, line, row, "length") for line, row in rows], dtype=np.int64)
    places = [{"episode_chunk": e // info.chunks_size, "episode_index": e} for e in range(len(lengths))]
    films = {
        key: [(info.video_file(root, key, **place), 0.0) for place in places]
        for key, feature in info.features.items()
        if feature.dtype == "video"
    }
    data = [info.data_file(root, **place) for place in places]
    return EpisodeTable(np.cumsum(lengths) - lengths, lengths, data, [], films)


def _read_file(
    path: Path, members: list[int], episodes: EpisodeTable, features: Mapping[str, Feature], fps: float
) -> dict[str, Any]:
    """The rows of the episodes ``members``, which one file holds, checked."""
    table = read_table(path, [*features])

    def nowhere(row: int) -> str:
        return f"row {row}"

    index: dict[str, NDArray[Any]] = {
        name: numbers(table.column(name), features[name], name, path, nowhere).reshape(-1)
        for name in ("episode_index", "frame_index", "timestamp")
    }
    episode = index["episode_index"]
    kept = np.flatnonzero(np.isin(episode, members))
    expected = np.repeat(members, episodes.lengths[members])
    for e in members:
        count = int((episode == e).sum())
        if count != episodes.lengths[e]:
            frame = min(count, int(episodes.lengths[e]))
            bound = f"the episode has {episodes.lengths[e]} (episode {e}, frame {frame})"
            raise error(FormatError, str(path), f"{count} frames", bound)
    wrong = np.flatnonzero(episode[kept] != expected)
    if wrong.size:
        row = int(kept[wrong[0]])
        raise error(
            FormatError, f"{path}: episode_index (row {row})", episode[row], "episodes must be in order"
        )
    table = table.take(kept) if len(kept) != len(table) else table
    frames = np.concatenate([np.arange(n) for n in episodes.lengths[members]])

    def place(row: int) -> str:
        return (
            f"episode {int(expected[row])}, frame {int(frames[row])}" if row < len(frames) else f"row {row}"
        )

    found = index["frame_index"][kept]
    for i in np.flatnonzero(found != frames)[:1]:
        raise error(FormatError, f"{path}: frame_index ({place(i)})", found[i], f"must be {frames[i]}")
    time_s = index["timestamp"][kept].astype(np.float64)
    step = np.diff(time_s, prepend=time_s[:1] - 1.0 / fps) - 1.0 / fps
    late = ~(np.abs(step) <= _TIME_TOLERANCE_S + 1e-6 * np.abs(time_s)) & (
        (frames > 0) | ~np.isfinite(time_s)
    )
    for i in np.flatnonzero(late)[:1]:
        bound = f"must be {1.0 / fps:.6g} s after the frame before it"
        raise error(FormatError, f"{path}: timestamp ({place(i)})", time_s[i], bound)
    result: dict[str, Any] = {}
    for name, feature in features.items():
        column = table.column(name)
        if feature.dtype == "image":
            result[name] = [(row or {}).get("bytes") for row in column.to_pylist()]
        elif feature.dtype == "string":
            result[name] = [str(value) for value in column.to_pylist()]
        else:
            values = numbers(column, feature, name, path, place)
            if name == "action" or name.startswith("observation."):
                # a policy's inputs and outputs keep their axis also when they are a single number
                values = values.reshape(len(values), *feature.shape)
                for at in map(tuple, np.argwhere(~np.isfinite(values))[:1].tolist()):
                    where = f"{path}: {name}{list(at[1:])} ({place(at[0])})"
                    raise error(FormatError, where, values[at], "must be finite")
            result[name] = values
    return result


def _read_statistics(
    root: Path, info: DatasetInfo, columns: Mapping[str, NDArray[Any]]
) -> dict[str, Statistics]:
    stats: dict[str, Statistics] = {}
    path = root / "meta" / "stats.json"
    per_episode = root / "meta" / "episodes_stats.jsonl"
    if path.exists():
        stats = {name: _statistics(path, name, block) for name, block in read_object(path).items()}
    elif per_episode.exists():
        blocks: dict[str, list[Statistics]] = {}
        for line, row in list(read_lines(per_episode))[: info.total_episodes]:
            entry = entry_of(per_episode, line, row, "stats")
            for name, block in (entry if isinstance(entry, dict) else {}).items():
                blocks.setdefault(name, []).append(_statistics(per_episode, f"line {line}, {name}", block))
        for name, parts in blocks.items():
            missing = [
                key for key in ("min", "max", "mean", "std", "count") if any(key not in p for p in parts)
            ]
            if missing:
                raise error(FormatError, f"{per_episode}: {name}.{missing[0]}", "", "is missing")
            stats[name] = pooled(parts)
    for name, values in columns.items():  # quantiles are younger than the format, and cannot be pooled
        if len(values) and any(key not in stats.get(name, {}) for key in QUANTILES):
            computed = of_rows(values if values.ndim > 1 else values[:, None])
            stats[name] = {**computed, **stats.get(name, {})}
    return stats


def _statistics(path: Path, name: str, block: Any) -> Statistics:
    if not isinstance(block, dict):
        raise error(FormatError, f"{path}: {name}", type(block).__name__, "must be an object")
    try:
        return {key: np.asarray(value, dtype=np.float64) for key, value in block.items()}
    except (TypeError, ValueError) as cause:
        raise error(FormatError, f"{path}: {name}", "", f"must hold numbers: {cause}") from cause
