"""Normalisers from the statistics files of LeRobot, OpenVLA, openpi and GR00T."""

import json
import math
import os
from pathlib import Path
from typing import Any, Literal, NoReturn

from vla_rt._core import ConfigError, FormatError, Normalizer

__all__ = ["load_stats"]

Convention = Literal["lerobot", "openvla", "openpi", "groot"]
Mode = Literal["identity", "mean_std", "min_max", "quantiles", "quantile10"]

_FILES = (
    "meta/stats.json",
    "stats.json",
    "norm_stats.json",
    "dataset_statistics.json",
    "statistics.json",
    "meta/episodes_stats.jsonl",
)
_DEFAULT_MODE: dict[str, Mode] = {
    "lerobot": "mean_std",
    "openvla": "quantiles",
    "openpi": "mean_std",
    "groot": "min_max",
}
_NEEDED: dict[str, tuple[str, ...]] = {
    "identity": (),
    "mean_std": ("mean", "std"),
    "min_max": ("min", "max"),
    "quantiles": ("q01", "q99"),
    "quantile10": ("q10", "q90"),
}
_STATISTICS = frozenset(name for names in _NEEDED.values() for name in names)
# How many names lie above a block of statistics: feature; dataset, feature; embodiment, feature, group.
_LEVELS = {1: "lerobot", 2: "openvla", 3: "groot"}


def load_stats(
    path: str | os.PathLike[str],
    key: str = "action",
    mode: Mode | None = None,
    convention: Convention | None = None,
    dataset: str | None = None,
) -> Normalizer:
    """Reads a statistics file and returns the normaliser its project would use.

    | convention | file                                      | layout                            | mode      |
    |------------|-------------------------------------------|-----------------------------------|-----------|
    | lerobot    | `meta/stats.json`, or the dataset's root; | {key: {mean, …}}                  | mean_std  |
    |            | `meta/episodes_stats.jsonl` (v2.1)        | an episode a line, aggregated     |           |
    | openvla    | `dataset_statistics.json`                 | {dataset: {key: {q01, …, mask}}}  | quantiles |
    | openpi     | `norm_stats.json`                         | {"norm_stats": {"actions": {…}}}  | mean_std  |
    | groot      | `statistics.json`                         | {embodiment: {key: {group: {…}}}} | min_max   |

    Args:
        path: the file, or a folder that holds it.
        key: the feature; openpi's plural `actions` is found under `action` too. GR00T's groups are
            concatenated in the order of the file.
        mode: identity, mean_std, min_max, quantiles or quantile10; None takes the table's.
        convention: None recognises the layout.
        dataset: OpenVLA's dataset or GR00T's embodiment; None where the file holds only one.

    Raises:
        ConfigError: no such file, an unknown mode or convention, or a dataset that the file does not hold.
        FormatError: the file is broken; names the file and the field, and what there is instead.
    """
    if mode is not None and mode not in _NEEDED:
        raise _error(ConfigError, "", "mode", repr(mode), "must be one of " + ", ".join(_NEEDED))
    if convention is not None and convention not in _DEFAULT_MODE:
        known = ", ".join(_DEFAULT_MODE)
        raise _error(ConfigError, "", "convention", repr(convention), "must be one of " + known)

    file = _find(Path(path))
    root = _read_episodes(file) if file.suffix == ".jsonl" else _read_json(file)
    if isinstance(root, dict) and isinstance(root.get("norm_stats"), dict):
        root = root["norm_stats"]
        found = {1: "openpi", 2: "openvla"}.get(_levels(root))
    else:
        found = _LEVELS.get(_levels(root))
    if found is None:
        _refuse(file, "layout", "", "is none of LeRobot's, OpenVLA's, openpi's and GR00T's")
    if convention is not None and convention != found:
        _refuse(file, "layout", found, f"must be {convention}'s")

    blocks = _blocks(file, root, found, key, dataset)
    used = mode or _DEFAULT_MODE[found]
    stats: dict[str, list[float]] = {}
    for name in _NEEDED[used]:
        stats[name] = [x for field, block in blocks for x in _numbers(file, field, block, name)]
    if found == "openvla" and used not in ("identity", "mean_std"):
        # They tell which dimensions are constant; files without them are read, too.
        for name in ("min", "max"):
            if all(name in block for _, block in blocks):
                stats[name] = [x for field, block in blocks for x in _numbers(file, field, block, name)]
    mask = None
    if any("mask" in block for _, block in blocks):
        mask = [flag for field, block in blocks for flag in _flags(file, field, block)]
    try:
        return Normalizer(used, found, mask, **stats)
    except ConfigError as error:
        field = blocks[0][0] if len(blocks) == 1 else key
        raise _error(FormatError, str(file), f"{field}.{error.name}", error.value, error.bound) from error


def _error(kind: type[Exception], file: str, name: str, value: str, bound: str) -> Exception:
    where = f"{file}: " if file else ""
    error = kind(f"{where}{name} = {value}: {bound}" if value else f"{where}{name}: {bound}")
    error.name, error.value, error.bound = name, value, bound  # type: ignore[attr-defined]
    return error


def _refuse(file: Path, name: str, value: str, bound: str) -> NoReturn:
    raise _error(FormatError, str(file), name, value, bound)


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        for name in _FILES:
            if (path / name).is_file():
                return path / name
        raise _error(ConfigError, "", "path", str(path), "holds none of " + ", ".join(_FILES))
    raise _error(ConfigError, "", "path", str(path), "no such file or folder")


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _error(FormatError, str(file), f"byte {error.start}", "", "must be UTF-8 text") from error


def _read_json(file: Path) -> Any:
    try:
        return json.loads(_read_text(file))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _error(FormatError, str(file), where, "", f"not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise _error(FormatError, str(file), "file", "", f"not readable JSON: {error}") from error


def _levels(root: Any) -> int:
    """How many names lie above the first block of statistics; 0 where there is none within reach."""
    level = [root]
    for depth in range(5):
        if any(isinstance(node, dict) and _is_block(node) for node in level):
            return depth
        level = [child for node in level if isinstance(node, dict) for child in node.values()]
    return 0


def _is_block(node: dict[str, Any]) -> bool:
    return any(name in _STATISTICS and not isinstance(value, dict) for name, value in node.items())


def _blocks(
    file: Path, root: dict[str, Any], convention: str, key: str, dataset: str | None
) -> list[tuple[str, dict[str, Any]]]:
    """The blocks of statistics that make up `key`, with their names in the file."""
    prefix = ""
    if convention in ("openvla", "groot"):
        if dataset is None and len(root) == 1:
            dataset = next(iter(root))
        if dataset is None or dataset not in root:
            there = ", ".join(map(str, root))
            raise _error(ConfigError, str(file), "dataset", repr(dataset), f"must be one of {there}")
        root, prefix = _mapping(file, dataset, root[dataset]), f"{dataset}."
    elif dataset is not None:
        raise _error(ConfigError, str(file), "dataset", repr(dataset), f"{convention}'s files hold only one")
    if convention == "openpi" and key == "action" and "action" not in root:
        key = "actions"
    if key not in root:
        there = ", ".join(name for name, value in root.items() if isinstance(value, dict))
        _refuse(file, prefix + key, "", f"missing; there are: {there}")
    field = prefix + key
    feature = _mapping(file, field, root[key])
    if convention != "groot":
        return [(field, feature)]
    if not feature:
        _refuse(file, field, "{}", "must hold at least one group")
    return [(f"{field}.{name}", _mapping(file, f"{field}.{name}", group)) for name, group in feature.items()]


def _mapping(file: Path, field: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(file, field, json.dumps(value)[:40], "must be an object")
    return value


def _numbers(file: Path, field: str, block: dict[str, Any], name: str) -> list[float]:
    field = f"{field}.{name}"
    if name not in block:
        _refuse(file, field, "", f"missing; there are: {', '.join(block)}")
    values = block[name]
    if not isinstance(values, list) or not values:
        _refuse(file, field, json.dumps(values)[:40], "must be a list of numbers")
    numbers = []
    for i, value in enumerate(values):
        shown = value
        while isinstance(value, list) and len(value) == 1:  # LeRobot writes images as (3, 1, 1)
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            _refuse(file, f"{field}[{i}]", json.dumps(shown)[:40], "must be a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            _refuse(file, f"{field}[{i}]", str(number), "must be finite")
        numbers.append(number)
    return numbers


def _flags(file: Path, field: str, block: dict[str, Any]) -> list[bool]:
    field = f"{field}.mask"
    flags = block.get("mask")
    if not isinstance(flags, list):
        _refuse(file, field, json.dumps(flags)[:40], "must be a list of true and false")
    for i, flag in enumerate(flags):
        if not isinstance(flag, bool):
            _refuse(file, f"{field}[{i}]", json.dumps(flag)[:40], "must be true or false")
    return flags


def _read_episodes(file: Path) -> dict[str, dict[str, list[float]]]:
    """LeRobot v2.1: the episodes' statistics as one, means weighted by count, the variance pooled."""
    episodes: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for line, text in enumerate(_read_text(file).splitlines(), start=1):
        if not text.strip():
            continue
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _error(FormatError, str(file), f"line {line}", "", f"not JSON: {error}") from error
        stats = _mapping(file, f"line {line}", entry).get("stats")
        for key, block in _mapping(file, f"line {line}, stats", stats).items():
            where = f"line {line}, {key}"
            episodes.setdefault(key, []).append((where, _mapping(file, where, block)))
    return {key: _pooled(file, blocks) for key, blocks in episodes.items()}


def _pooled(file: Path, blocks: list[tuple[str, dict[str, Any]]]) -> dict[str, list[float]]:
    counts = [_numbers(file, where, block, "count")[0] for where, block in blocks]
    for (where, _), count in zip(blocks, counts, strict=True):
        if count < 1:
            _refuse(file, f"{where}.count[0]", str(count), "must be >= 1")
    columns = {
        name: [_numbers(file, where, block, name) for where, block in blocks]
        for name in ("mean", "std", "min", "max")
    }
    width = len(columns["mean"][0])
    for name, rows in columns.items():
        for (where, _), row in zip(blocks, rows, strict=True):
            if len(row) != width:
                _refuse(file, f"{where}.{name}", f"{len(row)} values", f"must have {width}")
    total = sum(counts)
    mean, std = [], []
    for d in range(width):
        means = [row[d] for row in columns["mean"]]
        center = sum(n * m for n, m in zip(counts, means, strict=True)) / total
        variances = [row[d] ** 2 + (m - center) ** 2 for row, m in zip(columns["std"], means, strict=True)]
        mean.append(center)
        std.append(math.sqrt(sum(n * v for n, v in zip(counts, variances, strict=True)) / total))
    return {
        "mean": mean,
        "std": std,
        "min": [min(row[d] for row in columns["min"]) for d in range(width)],
        "max": [max(row[d] for row in columns["max"]) for d in range(width)],
    }
