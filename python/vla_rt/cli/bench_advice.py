"""What the figures of `vla-rt bench` suggest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import vla_rt as vr

_USEFUL_BUDGETS_US = (100, 300, 500, 800)


def inline_figures(path: Path, spec: Any) -> dict[str, Any]:
    """Longest pieces of the package inside a tick [us], or {"refused": why it cannot run there}."""
    if "native" not in spec.backends:
        return {"refused": "the package has no native network"}
    one = np.ones(spec.action_dim)
    limits = vr.JointLimits(-1e6 * one, 1e6 * one, 1e6 * one, 1e9 * one, 1e12 * one)
    try:
        config = vr.ControlConfig(
            mode="async",
            chunk_period_s=spec.period_s,
            execution_horizon=spec.execution_horizon,
            limits=limits,
        )
        inline = vr.InlinePolicy(
            vr.load_policy(path, "native"), vr.Controller(config.to_core()), budget_s=1.0
        )
    except vr.VlaRtError as refused:
        return {"refused": str(refused)}
    figures: dict[str, Any] = inline.stats()["in_tick"]
    pieces = [figures["encode_us"], figures["step_us"], figures["hand_over_us"]]
    total = figures["encode_us"] + figures["num_steps"] * figures["step_us"] + figures["hand_over_us"]
    return {
        "encode_us": figures["encode_us"],
        "step_us": figures["step_us"],
        "hand_over_us": figures["hand_over_us"],
        "least_budget_us": max(pieces),
        "ticks_per_chunk": {
            str(budget): int(np.ceil(total / budget)) + 1
            for budget in _USEFUL_BUDGETS_US
            if budget >= max(pieces)
        },
    }


def advice(spec: Any, result: dict[str, Any]) -> list[str]:
    """Sentences, the most useful first."""
    return [
        *_about_backends(spec, result),
        *_about_weights(spec, result),
        *_about_parts(result),
        *_inline(result),
    ]


def _about_backends(spec: Any, result: dict[str, Any]) -> Iterator[str]:
    rows = {row["backend"]: row["chunk_us"]["p50"] for row in result["rows"]}
    fastest = min(rows, key=lambda name: rows[name])
    for name, chunk in rows.items():
        if name != fastest and chunk > 1.1 * rows[fastest]:
            yield f"{fastest} is {chunk / rows[fastest]:.1f} times as fast as {name}"
    if "native" not in spec.backends:
        yield "export with backend native: no allocation, and usually several times as fast on one thread"
    for row in result["rows"]:
        if row["heap_calls"]:
            yield f"{row['backend']} calls the heap {row['heap_calls']:g} times per chunk: not for a tick"


def _about_weights(spec: Any, result: dict[str, Any]) -> Iterator[str]:
    work = result["work"]
    if (
        work is None
        or spec.precision != "float32"
        or "native" not in {row["backend"] for row in result["rows"]}
    ):
        return
    step, limits = work["step"], result["limits"]
    reads = step["bytes"] / limits["read_gb_s"] > step["flop"] / limits["gflop_s"]
    if step["bytes"] > 1 << 20 and reads:
        megabytes = step["bytes"] / 1e6
        yield (
            f"a step reads {megabytes:.1f} MB of weights and little else: export_policy(..., "
            'precision="bfloat16") halves them, "int8" quarters them, each behind an accuracy gate'
        )


def _about_parts(result: dict[str, Any]) -> Iterator[str]:
    for row in result["rows"]:
        total = sum(row["parts_us"].values())
        share = 100 * row["parts_us"][row["dominant"]] / total if total else 0
        line = f"{row['backend']}: {row['dominant']} takes {share:.0f} % of a chunk"
        if row["dominant"] == "steps" and row["steps"] > 4:
            line += (
                f"; fewer than {row['steps']} evaluations (a lower num_steps, another solver) shorten it most"
            )
        if row["dominant"] == "encode":
            line += "; it runs once per chunk, so a smaller encoder or a rarer chunk shortens it most"
        yield line
        if row["chunk_us"]["p99"] > 2 * row["chunk_us"]["p50"]:
            yield f"{row['backend']}: p99 is more than twice p50; see `vla-rt doctor`"


def _inline(result: dict[str, Any]) -> Iterator[str]:
    inline = result["inline"]
    if "refused" in inline:
        yield f"inside a control tick: no ({inline['refused']})"
        return
    line = f"inside a control tick: from inline_budget_s = {inline['least_budget_us'] * 1e-6:.1e} on"
    if inline["ticks_per_chunk"]:
        budget, ticks = next(iter(inline["ticks_per_chunk"].items()))
        line += f"; with {budget} us a chunk takes about {ticks} ticks"
    yield line
