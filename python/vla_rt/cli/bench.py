"""Measure a policy package on this machine: chunk, encode and step, heap calls, share of the machine's limit.

Every backend of the package that can run here is measured in turn, with an observation of zeros and the
process's own priority. The machine's limits (reading the weights, float32 multiply-adds) are measured in the
same run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from vla_rt import _backends, _core
from vla_rt._core import machine_limits, read_policy_spec
from vla_rt.cli import machine
from vla_rt.cli.bench_advice import advice, inline_figures
from vla_rt.cli.heap_calls import heap_calls
from vla_rt.cli.plan_work import PlanWork
from vla_rt.cli.result import write_json
from vla_rt.errors import ConfigError, ModelError, require
from vla_rt.package import load_policy

_STAGES_PER_STEP = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}


@dataclass(frozen=True)
class Arguments:
    """What to measure, and for how long."""

    path: Annotated[Path, tyro.conf.Positional]
    """Folder of the package."""
    backend: str | None = None
    """Measure this backend alone; None measures every one that can run here."""
    seconds: float = 2.0
    """Time per backend [s], 0.01 to 600; the start is not counted."""
    json: Path | None = None
    """Write machine, limits, rows and advice to this file."""


def run(arguments: Arguments) -> int:
    """Measure, print, write the file."""
    seconds = arguments.seconds
    require(0.01 <= seconds <= 600, "seconds", seconds, "must be in [0.01, 600] s")
    result = measure(arguments.path, arguments.backend, seconds)
    _print(result)
    write_json(arguments.json, result)
    return 0


def measure(path: Path, backend: str | None = None, seconds: float = 2.0) -> dict[str, Any]:
    """Measure a package.

    Args:
        path: Its folder.
        backend: One of its backends; None is every one that can run here.
        seconds: Per backend.

    Returns:
        {"machine", "instruction_set", "limits": {read_gb_s, gflop_s} with the step's weights, "work": of
        encode and step {bytes, flop} or None without a plan, "rows": per backend {backend, chunk_us,
        encode_us, step_us: {p50, p99, p999, max}, steps, heap_calls per chunk or None, dominant,
        share_of_limit or None},
        "inline": what `inline_budget_s` takes, or why not, "advice": sentences}.

    Raises:
        FormatError: Not a policy package, or a damaged one.
        ModelError: No backend of it can run here, or not the one that was named.
    """
    spec = read_policy_spec(path)
    known = _backends.available()
    runnable = [name for name in spec.backends if name in known]
    if backend is not None:
        require(backend in spec.backends, "backend", backend, f"the package has {', '.join(spec.backends)}")
        runnable = [backend]
    if not runnable:
        raise ModelError(f"none of the package's backends ({', '.join(spec.backends)}) can run here")
    work = PlanWork.read(path) if "native" in spec.backends else None
    _tell("the machine's limits")
    step_bytes = work.step.bytes if work else sum(spec.files.values())
    limits = machine_limits(max(step_bytes, 4096), min(0.2, seconds / 4))
    rows = []
    for name in runnable:
        _tell(name)
        rows.append(_row(path, spec, name, seconds, work, limits))
    _tell("a policy inside the tick")
    result: dict[str, Any] = {
        "path": str(path),
        "machine": machine.facts(),
        "instruction_set": _core.instruction_set(),
        "limits": limits,
        "work": work.to_dict() if work else None,
        "rows": rows,
        "inline": inline_figures(path, spec),
    }
    result["advice"] = advice(spec, result)
    _tell("")
    return result


def evaluations(sampler: dict[str, Any]) -> int:
    """Evaluations of the network per chunk."""
    if sampler["type"] == "autoregressive":
        return 1 if sampler.get("parallel") else int(sampler["num_tokens"])
    return int(sampler.get("num_steps", 1)) * _STAGES_PER_STEP.get(sampler.get("solver", ""), 1)


def _row(
    path: Path, spec: Any, backend: str, seconds: float, work: PlanWork | None, limits: dict[str, float]
) -> dict[str, Any]:
    policy = load_policy(path, backend)
    sampler = spec.sampler
    steps = evaluations(sampler)
    once_us = policy.benchmark(3)["p50_us"]
    n = int(min(max(0.5 * seconds * 1e6 / max(once_us, 0.1), 5), 1_000_000))
    chunk = policy.benchmark(n)
    network = _network(path, spec, backend)
    is_over_tokens = sampler["type"] == "autoregressive"
    network.prepare([float(k) if is_over_tokens else k / steps for k in range(steps)])
    network.time(2, steps)
    encode_ns, step_ns = network.time(max(5, n // 2), steps)
    row: dict[str, Any] = {
        "backend": backend,
        "chunks": n,
        "steps": steps,
        "chunk_us": {
            key.removesuffix("_us"): chunk[key] for key in ("p50_us", "p99_us", "p999_us", "max_us")
        },
        "encode_us": _percentiles(encode_ns),
        "step_us": _percentiles(step_ns.reshape(-1)),
        "heap_calls": heap_calls(path, backend),
        "share_of_limit": None,
    }
    parts = {"encode": row["encode_us"]["p50"], "steps": steps * row["step_us"]["p50"]}
    parts["sampler and normalisers"] = max(row["chunk_us"]["p50"] - sum(parts.values()), 0.0)
    row["parts_us"] = parts
    row["dominant"] = max(parts, key=lambda part: parts[part])
    if work is not None:
        least_us = work.encode.least_us(limits) + steps * work.step.least_us(limits)
        row["share_of_limit"] = min(least_us / max(row["chunk_us"]["p50"], 1e-9), 1.0)
    return row


def _network(path: Path, spec: Any, backend: str) -> Any:
    sampler, size = spec.sampler, (spec.horizon, spec.action_dim)
    inputs: tuple[int, ...] = size
    outputs: tuple[int, ...] = size
    if sampler["type"] == "autoregressive":
        inputs, outputs = (1,), (sampler["vocab_size"],)
        if sampler.get("parallel"):
            outputs = (sampler["num_tokens"], *outputs)
    elif sampler["type"] == "direct" and sampler["head"] == "normal":
        outputs = (2, *size)
    elif sampler["type"] == "direct" and sampler["head"] == "mixture":
        outputs = (sampler["num_components"], 1 + 2 * size[0] * size[1])
    if spec.device != "cpu":
        raise ConfigError(f"device = {spec.device}: networks on the CPU alone are measured")
    return _core.Network(path, backend, spec.observation, inputs, outputs)


def _percentiles(durations_ns: Any) -> dict[str, float]:
    import numpy as np

    values = np.percentile(durations_ns, [50, 99, 99.9, 100], method="inverted_cdf") * 1e-3
    return dict(zip(("p50", "p99", "p999", "max"), map(float, values), strict=True))


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{'measuring ' + what if what else ''}", end="", file=sys.stderr, flush=True)


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title=f"{result['path']}, microseconds", title_justify="left")
    for column in ("backend", "what", "p50", "p99", "p99.9", "max", "heap calls", "of the limit"):
        table.add_column(column, justify="left" if column in ("backend", "what") else "right")
    for row in result["rows"]:
        for cells in _lines(row):
            table.add_row(*map(Text, cells))
        table.add_section()
    console.print(table)
    limits = result["limits"]
    print(f"this machine, one thread: reads the weights of a step at {limits['read_gb_s']:.0f} GB/s,")
    print(f"{limits['gflop_s']:.0f} GFLOP/s in float32; native kernels: {result['instruction_set']}")
    for sentence in result["advice"]:
        print(f"- {sentence}")


def _lines(row: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for what in ("chunk", "encode", "step"):
        values = row[f"{what}_us"]
        numbers = [f"{values[key]:.1f}" for key in ("p50", "p99", "p999", "max")]
        times = f" x {row['steps']}" if what == "step" else ""
        if what == "chunk":
            calls = "-" if row["heap_calls"] is None else f"{row['heap_calls']:g}"
            share = "-" if row["share_of_limit"] is None else f"{100 * row['share_of_limit']:.0f} %"
            yield (row["backend"], what, *numbers, calls, share)
        else:
            yield ("", what + times, *numbers, "", "")
