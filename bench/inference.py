"""Inference of the course's five networks by every engine that is here, batch 1.

    python bench/inference.py --json out.json [--models abcde] [--quick] [--plot roofline.png]
                              [--cache DIR] [--build-only]

A call makes one chunk from noise and observation. (a) FlowMatchingPolicy, ten Euler steps; (b)
ConditionalUNet1D, one DDIM step; (c) NoisePredictor, one DDIM step; (d) ActionTransformer, one forward; (e)
ActionTokenPredictor, seven greedy tokens with caches. Parameters are random anew in every layer.

Engines named "vla_rt" run a policy package in C++, called from Python, with the package's own sampler.
TorchScript from Python and ONNX Runtime get the whole chunk as one graph with the sampler's loop unrolled, so
that Python costs them one call; "hoisted" is the same graph with what our exporter moved out of the loop.
`error` is the largest difference from the same network in float64 over the largest value (tokens: how many of
seven differ; in narrow numbers random weights let some). Back-to-back calls follow each other; periodic ones
come every 8 ms (every second time the call takes, where that is longer) with 16 MB of other memory read in
between. The share of a native row is the time that no engine on one core can beat, by what this core was
measured to compute and read in the same run, over its median.

The calls run alone on the last core, under SCHED_FIFO where that is granted, with a pause of 5 ms after 40 ms
of work, as the kernel would take one. `--cache` keeps what was exported (AOTInductor compiles for minutes);
`--build-only` exports and checks the answers without measuring. The JSON is written after every model.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import floor
import harness
from allocations import Counter, counter
from course import (
    ActionTransformer,
    ConditionalUnet,
    CoursePolicy,
    FlowMlp,
    NoiseMlp,
    TokenPredictor,
    randomized,
)
from course.chunk import reference
from course.engines import ENGINES, Call, Case, Engine, Unavailable
from vla_rt.cli.result import require_picture, require_writable, write_json
from vla_rt.export.network import Network, capture, example_inputs
from vla_rt.export.stages import split

PERIOD_S = 8e-3
DISTURBANCE = np.ones(4 << 20, dtype=np.float32)
#: Largest error of a chunk, by precision.
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.05, "int8": 0.1}
_WORK_S, _PAUSE_S = 40e-3, 5e-3


@dataclasses.dataclass(frozen=True)
class Options(harness.Options):
    """Flags of this benchmark."""

    models: str
    plot: Path | None
    cache: Path | None
    build_only: bool


def parse() -> Options:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine, rows and ratios")
    parser.add_argument("--quick", action="store_true", help="small networks, short rounds: a smoke test")
    parser.add_argument("--models", default="abcde", help="letters of the networks, default all")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the roofline")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep exported networks here")
    parser.add_argument("--build-only", action="store_true", help="export and check, do not measure")
    options = Options(**vars(parser.parse_args()))
    if not options.models or set(options.models) - set("abcde"):
        parser.error(f"--models: {options.models!r} must be letters of abcde")
    require_writable(options.json)
    require_picture(options.plot)
    return options


def policies(quick: bool) -> dict[str, tuple[str, CoursePolicy]]:
    """By letter, name and network of every case; smaller ones with quick."""
    if quick:
        networks = (
            FlowMlp(obs_dim=64, hidden=64),
            ConditionalUnet(obs_dim=64, channels=(32, 64, 128)),
            NoiseMlp(obs_dim=64, hidden=64),
            ActionTransformer(width=64, layers=2, heads=4, patches=20),
            TokenPredictor(width=64, layers=2, heads=4, context=30),
        )
    else:
        networks = (FlowMlp(), ConditionalUnet(), NoiseMlp(), ActionTransformer(), TokenPredictor())
    names = (
        "a flow MLP, 10 steps",
        "b U-Net, 1 step",
        "c noise MLP, 1 step",
        "d action transformer",
        "e 7 tokens",
    )
    return {name[0]: (name, network) for name, network in zip(names, networks, strict=True)}


class Stopwatch:
    """Times calls, with the pauses of a real-time thread."""

    def __init__(self) -> None:
        self._worked = 0.0

    def round(self, call: Call, inputs: Any, count: int, period: float) -> np.ndarray:
        """Microseconds of `count` calls, `period` seconds apart or one after the other."""
        times = np.empty(count)
        due = time.perf_counter()
        for i in range(count):
            if period:
                DISTURBANCE.sum()
                due += period
                time.sleep(max(0.0, due - time.perf_counter()))
            elif self._worked > _WORK_S:
                time.sleep(_PAUSE_S)
                self._worked = 0.0
                call(*inputs)  # what the pause let grow cold
            start = time.perf_counter_ns()
            call(*inputs)
            times[i] = (time.perf_counter_ns() - start) / 1e3
            self._worked += times[i] * 1e-6
        return times


def build(report: harness.Report, case: Case) -> tuple[dict[str, Call], dict[str, float]]:
    """Calls of the engines that run the case, and their errors; rows of those that do not."""
    calls: dict[str, Call] = {}
    errors: dict[str, float] = {}
    for engine in ENGINES:
        _progress(f"{case.name}: {engine.name}")
        try:
            call = engine.build(case)
        except Unavailable as why:
            report.add(harness.missing(case.name, engine.name, str(why)))
            continue
        error = _error(call, case)
        if not error <= _tolerance(case, engine):
            report.add(harness.missing(case.name, engine.name, f"is wrong by {error:.3g}: not measured"))
            continue
        calls[engine.name], errors[engine.name] = call, error
    return calls, errors


def measure(report: harness.Report, case: Case, heap: Counter | None, rounds: int, seconds: float) -> None:
    """Rows of one case, back-to-back and periodic, all engines in turn within every round."""
    calls, errors = build(report, case)
    inputs, watch = case.inputs(0), Stopwatch()
    with _alone():
        single = {name: float(np.median(watch.round(call, inputs, 5, 0.0))) for name, call in calls.items()}
        for mode in ("", ", periodic"):
            samples: dict[str, list[np.ndarray]] = {name: [] for name in calls}
            for i in range(rounds):
                _progress(f"{case.name}{mode}: round {i + 1} of {rounds}")
                for name, call in calls.items():
                    period = max(PERIOD_S, 2e-6 * single[name]) if mode else 0.0
                    share = max(period, 1e-6 * single[name])
                    samples[name].append(watch.round(call, inputs, max(5, int(seconds / share)), period))
            for name, call in calls.items():
                counted = None if heap is None else _allocations(heap, call, inputs)
                report.add(harness.from_rounds(case.name + mode, name, samples[name], counted, errors[name]))
    _ratios(report, case.name)


def _ratios(report: harness.Report, case: str) -> None:
    peers = [e.name for e in ENGINES if "native" not in e.name]
    for engine in (e for e in ENGINES if "native" in e.name):
        own = report.p50(case, engine.name)
        for peer in peers:
            report.ratio(
                f"{case}: {peer} / {engine.name.removeprefix('vla_rt ')}", report.p50(case, peer), own
            )


def _floors(
    report: harness.Report, case: Case, limits: floor.Limits | None, points: dict[str, tuple[float, float]]
) -> None:
    """The share of the machine's limit that each native row reached, and its place on the roofline."""
    if limits is None:
        return
    steps = 7 if case.is_token else int(case.policy.sampler_spec().get("num_steps", 1))
    for precision in TOLERANCES:
        folder = case.folder / f"native_{precision}"
        p50 = report.p50(case.name, f"vla_rt native {precision}")
        if p50 is None or not folder.exists():
            continue
        encode, step = floor.work(folder, "encode"), floor.work(folder, "step")
        least = floor.least_us(limits, encode, step, steps)
        report.notes.append(
            f"{case.name}, {precision}: least {least:,.1f} us by this core's limits, share {least / p50:.0%}"
        )
        operations = encode.operations + steps * step.operations
        read = encode.total_bytes + steps * step.total_bytes
        points[f"{case.name[0]} {precision}"] = (operations / read, operations / p50 * 1e-3)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """The calling thread on the last core, first in line where that is granted."""
    before, rank = os.sched_getaffinity(0), os.sched_getscheduler(0)
    os.sched_setaffinity(0, {max(before)})
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    try:
        yield
    finally:
        os.sched_setscheduler(0, rank, os.sched_param(0))
        os.sched_setaffinity(0, before)


def _progress(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def _allocations(heap: Counter, call: Call, inputs: Any) -> float:
    before = heap.count()
    for _ in range(5):
        call(*inputs)
    return (heap.count() - before) / 5


def _tolerance(case: Case, engine: Engine) -> float:
    if not case.is_token:
        return TOLERANCES[engine.precision]
    return 0.0 if engine.precision == "float32" else 7.0


def _error(call: Call, case: Case) -> float:
    worst = 0.0
    for seed in range(3):
        noise, observation = case.inputs(seed)
        exact, answer = reference(case.policy, noise, observation), call(noise, observation)
        if case.is_token:
            worst = max(worst, float((exact.reshape(-1) != answer.reshape(-1)).sum()))
        else:
            difference = np.abs(answer.reshape(exact.shape) - exact).max()
            worst = max(worst, float(difference / np.abs(exact).max()))
    return worst


def _case(name: str, policy: CoursePolicy, folder: Path, quick: bool) -> Case:
    policy = randomized(policy)
    inputs = example_inputs(policy, policy.config.observation)  # type: ignore[arg-type]
    stages = split(capture(Network(policy), inputs))  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    return Case(name, policy, stages, folder, quick)


def main() -> None:
    """Measure and report."""
    options = parse()
    heap = counter()
    torch.set_num_threads(1)
    report = harness.Report("inference")
    limits = None if options.build_only else floor.measure()
    points: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        root = (options.cache or Path(scratch)) / ("quick" if options.quick else "full")
        for letter, (name, policy) in policies(options.quick).items():
            if letter not in options.models:
                continue
            case = _case(name, policy, root / letter, options.quick)
            if options.build_only:
                for engine, error in build(report, case)[1].items():
                    report.add(harness.Row(name, engine, error=error))
                continue
            measure(report, case, heap, 3 if options.quick else 7, 0.05 if options.quick else 0.4)
            _floors(report, case, limits, points)
            write_json(options.json, report.to_dict())
    if limits is not None:
        reads = f"reads L2 {limits.l2:.0f}, L3 {limits.l3:.0f}, memory {limits.memory:.0f} GB/s"
        rates = f"float32 {limits.float32:.0f}, bfloat16 {limits.bfloat16:.0f}, int8 {limits.int8:.0f} Gop/s"
        report.notes.append(f"one core: {rates}, {reads}")
        if options.plot is not None:
            floor.draw_roofline(limits, points, options.plot)
    report.notes.append("batch 1; medians over interleaved rounds; calls made from Python")
    if options.quick:
        report.notes.append("--quick: small networks; the course's sizes are measured without it")
    report.finish(options)


if __name__ == "__main__":
    main()
