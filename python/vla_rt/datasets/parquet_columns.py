"""Columns of parquet files as numpy arrays, with whatever is wrong named by file, episode and frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._extras import require_extra
from vla_rt._files import write_whole
from vla_rt.datasets.lerobot_info import Feature
from vla_rt.errors import FormatError, error

require_extra("pyarrow", "LeRobot datasets", "train")

import pyarrow as pa  # noqa: E402  (what is missing is said before anything needs it)
import pyarrow.parquet as pq  # noqa: E402

__all__ = ["Place", "concatenated", "numbers", "read_table", "table_of", "write_table"]

#: Says where a row is: "episode 3, frame 7".
Place = Callable[[int], str]

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads one parquet file, all of it or the columns named.

    Raises:
        FormatError: The file is missing, cut short or damaged, or lacks a column.
    """
    if not path.is_file():
        raise error(FormatError, str(path), "", "is missing")
    try:
        with pq.ParquetFile(path) as file:
            present = set(file.schema_arrow.names)
            for name in columns or ():
                if name not in present:
                    raise error(
                        FormatError, f"{path}: {name}", "", f"column is missing; has {sorted(present)}"
                    )
            return file.read(columns=list(columns) if columns is not None else None)
    except (pa.ArrowException, OSError) as cause:
        reason = " ".join(str(cause).split())[:200]
        raise error(FormatError, str(path), "", f"cannot be read as parquet: {reason}") from cause


def write_table(path: Path, table: pa.Table) -> None:
    """Writes a parquet file durably and in one step, making its folder."""
    os.makedirs(path.parent, exist_ok=True)
    write_whole(path, lambda file: pq.write_table(table, file), durable=True)


def concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables one below the other; what one lacks is null there."""
    return pa.concat_tables(tables, promote_options="permissive")


def numbers(column: pa.ChunkedArray, feature: Feature, name: str, path: Path, place: Place) -> NDArray[Any]:
    """A column of numbers as (n,) if they are single, as (n, *shape) if they are lists.

    Args:
        column: As read.
        feature: What it must hold.
        name: Of the column, for errors.
        path: Of the file, for errors.
        place: Where a row is, for errors.

    Raises:
        FormatError: A value is missing, no number, or of another shape.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    rows = len(array)
    shape: tuple[int, ...] = ()
    repeat = 1
    while (
        pa.types.is_list(array.type)
        or pa.types.is_large_list(array.type)
        or pa.types.is_fixed_size_list(array.type)
    ):
        level = len(shape)
        wanted = feature.shape[level] if level < len(feature.shape) else 1
        _require_no_null(array, name, path, _coarser(place, repeat))
        lengths = array.value_lengths().to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero(lengths != wanted)
        if wrong.size:
            i = int(wrong[0])
            at = place(i // repeat)
            bound = f"feature {name} has shape {list(feature.shape)}"
            raise error(FormatError, f"{path}: {name} ({at})", f"{int(lengths[i])} values", bound)
        shape = (*shape, wanted)
        repeat *= wanted
        array = array.flatten()
    _require_no_null(array, name, path, _coarser(place, repeat))
    if not (
        pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_boolean(array.type)
    ):
        raise error(FormatError, f"{path}: {name}", array.type, f"must hold {feature.dtype}")
    single = not shape and feature.shape == (1,)
    if not single and shape != feature.shape:
        raise error(
            FormatError,
            f"{path}: {name} ({place(0)})",
            f"shape {list(shape)}",
            f"must be {list(feature.shape)}",
        )
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False).astype(feature.dtype, copy=False)
    return values.reshape(rows, *shape)


def table_of(columns: dict[str, Any], features: dict[str, Feature]) -> pa.Table:
    """A table whose columns have the types that LeRobot gives these features.

    Args:
        columns: Arrays (n, *shape) or (n,) of numbers, lists of PNG bytes or of texts.
        features: One per column; those that are videos have none.
    """
    arrays = {}
    for name, values in columns.items():
        feature = features[name]
        if feature.dtype == "image":
            arrays[name] = pa.array([{"bytes": png, "path": None} for png in values], _IMAGE)
        elif feature.dtype == "string":
            arrays[name] = pa.array(values, pa.string())
        else:
            flat = np.ascontiguousarray(values, dtype=feature.dtype)
            array = pa.array(flat.reshape(-1))
            if feature.shape != (1,):
                for depth in range(len(feature.shape) - 1, -1, -1):
                    array = pa.FixedSizeListArray.from_arrays(array, feature.shape[depth])
            arrays[name] = array
    return pa.table(arrays)


def _coarser(place: Place, repeat: int) -> Place:
    return lambda i: place(i // repeat)


def _require_no_null(array: Any, name: str, path: Path, place: Place) -> None:
    if array.null_count:
        i = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise error(FormatError, f"{path}: {name} ({place(i)})", "null", "must be a value")
