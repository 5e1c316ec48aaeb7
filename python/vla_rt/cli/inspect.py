"""Say what a policy package is: sizes, inputs, actions, sampler, networks, and what was checked at export.

Reads the description alone: no network is opened, and torch need not be installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from vla_rt import _backends
from vla_rt._core import read_policy_spec
from vla_rt.cli.result import write_json


@dataclass(frozen=True)
class Arguments:
    """What to look at."""

    path: Annotated[Path, tyro.conf.Positional]
    """Folder of the package."""
    json: Path | None = None
    """Write the description, sizes and which networks can run here to this file."""


def run(arguments: Arguments) -> int:
    """Read the package, print it, write the file."""
    result = examine(arguments.path)
    show(result)
    write_json(arguments.json, result)
    return 0


def examine(path: Path) -> dict[str, Any]:
    """Describe a package.

    Args:
        path: Its folder.

    Returns:
        {"path", "bytes": of all files, "runnable": backends of the package that this installation can open,
        "spec": the contents of policy.json}.

    Raises:
        FormatError: Not a policy package, or a damaged one.
    """
    spec = read_policy_spec(path)
    size = (path / "policy.json").stat().st_size + sum(spec.files.values())
    return {
        "path": str(path),
        "bytes": size,
        "runnable": [name for name in spec.backends if name in _backends.available()],
        "spec": spec.to_dict(),
    }


def show(result: dict[str, Any]) -> None:
    """Print what `examine` found."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="policy package", title_justify="left", show_header=False)
    table.add_column("what", style="bold")
    table.add_column("value", overflow="fold")
    for what, value in _rows(result):
        table.add_row(Text(what), Text(value))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    spec = result["spec"]
    yield "path", result["path"]
    yield "kind", f"{spec['kind']}, {spec['precision']}, schema {spec['schema_version']}"
    yield (
        "chunk",
        (
            f"{spec['horizon']} x {spec['action_dim']}, {spec['period_s']:g} s between rows "
            f"({spec['horizon'] * spec['period_s']:.3g} s), {spec['execution_horizon']} rows executed"
        ),
    )
    for feature in spec["observation"]:
        shape = "x".join(map(str, feature["shape"]))
        what = f"{feature['name']}: {feature['kind']}, {feature['dtype']} {shape}"
        yield "observes", f"{what}, {_statistics(feature['normalizer'])}"
    yield "acts in", _space(spec["action_space"]) + ", " + _statistics(spec["action_normalizer"])
    options = ", ".join(f"{key} {value}" for key, value in spec["sampler"].items() if key != "type")
    yield "sampler", f"{spec['sampler']['type']}: {options}"
    if (tokenizer := spec["tokenizer"]) is not None:
        options = ", ".join(
            f"{key} {value}" for key, value in tokenizer.items() if key not in ("type", "edges")
        )
        yield "tokenizer", tokenizer["type"] + (f": {options}" if options else "")
    for name in spec["backends"]:
        yield "network", f"{name}, {'can' if name in result['runnable'] else 'cannot'} run here"
    for name, file in spec["files"].items():
        yield "file", f"{name}, {file['bytes'] / 1e6:.3g} MB, CRC-32 {file['crc32']}"
    for name, value in spec["checks"].items():
        yield "checked", f"{name}: {value:g}" if isinstance(value, (int, float)) else f"{name}: {value}"


def _statistics(normalizer: dict[str, Any]) -> str:
    if normalizer["mode"] == "identity":
        return "not normalised"
    return f"normalised by {normalizer['mode']} ({normalizer['convention']})"


def _space(space: dict[str, Any] | None) -> str:
    if space is None:
        return "a space that was not named"
    if space["type"] == "discrete":
        return f"discrete, {space['num_actions']} actions"
    if space["type"] == "hybrid":
        return "hybrid: " + ", ".join(skill["name"] for skill in space["skills"])
    ranges = zip(space["lower"], space["upper"], strict=True)
    return f"{space['type']} " + " ".join(f"[{low:g}, {high:g}]" for low, high in ranges)
