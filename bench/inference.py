"""Inference of the course's five networks by every engine that is here, one thread, batch 1.

    python bench/inference.py --json out.json [--quick]

A call makes one chunk from noise and observation. (a) FlowMatchingPolicy, ten Euler steps; (b)
ConditionalUNet1D, one DDIM step; (c) NoisePredictor, one DDIM step; (d) ActionTransformer, one forward; (e)
ActionTokenPredictor, seven greedy tokens with caches. Parameters are random anew in every layer.

Engines named "vla_rt" run a policy package in C++, called from Python, with the package's own sampler.
TorchScript from Python and ONNX Runtime get the whole chunk as one graph with the sampler's loop unrolled, so
that Python costs them one call; "hoisted" is the same graph with what our exporter moved out of the loop.
`error` is the largest difference from the same network in float64 over the largest value (tokens: how many of
seven differ). Back-to-back calls follow each other; periodic ones come every 8 ms (every second time the call
takes, where that is longer) with 16 MB of other memory read in between.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import shutil
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import harness
import vla_rt as vr
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
from course.chunk import Chunk, reference
from vla_rt import _backends
from vla_rt.export import aotinductor, convolutions, torchscript
from vla_rt.export.network import Network, capture, example_inputs
from vla_rt.export.stages import Stages, split

PERIOD_S = 8e-3
DISTURBANCE = np.ones(4 << 20, dtype=np.float32)
TOLERANCE = 1e-4

#: One chunk for noise (1, T, D) and observation.
Call = Callable[[Tensor, tuple[Tensor, ...]], np.ndarray]


class Unavailable(Exception):
    """Why an engine does not run a case: one sentence."""


@dataclass(frozen=True)
class Case:
    """A network and what its engines need."""

    name: str
    policy: CoursePolicy
    stages: Stages
    folder: Path  # the package of the plain stages, without networks
    quick: bool

    @property
    def linear_stages(self) -> Stages | None:
        """The stages with convolutions as linears, None where there are none."""
        step = convolutions.as_linears(self.stages.step)
        return None if step is None else dataclasses.replace(self.stages, step=step)


@dataclass(frozen=True)
class Engine:
    """A way to run a case; `build` raises Unavailable with the reason where it cannot."""

    name: str
    build: Callable[[Case], Call]


def eager(case: Case) -> Call:
    """PyTorch, op by op."""
    return _module_call(Chunk(case.policy))


def traced_in_python(case: Case) -> Call:
    """One traced and frozen graph of the chunk."""
    return _module_call(_traced(Chunk(case.policy), case))


def package_unhoisted(case: Case) -> Call:
    """TorchScript in our C++ loop, the whole network at every step."""
    if isinstance(case.policy, TokenPredictor):
        raise Unavailable("without hoisting a token would recompute the context's keys and values")
    return _package(case, "torchscript", lambda folder: _save_whole(case, folder))


def package_hoisted(case: Case) -> Call:
    """TorchScript in our C++ loop, hoisted."""
    return _package(case, "torchscript", lambda folder: torchscript.save(case.stages, folder))


def package_rewritten(case: Case) -> Call:
    """TorchScript in our C++ loop, hoisted, convolutions as linears: what the exporter writes."""
    stages = case.linear_stages
    if stages is None:
        raise Unavailable("the network has no convolutions: the row above")
    return _package(case, "torchscript", lambda folder: torchscript.save(stages, folder))


def compiled(weights: str) -> Callable[[Case], Call]:
    """AOTInductor in our C++ loop."""

    def build(case: Case) -> Call:
        if case.quick and not isinstance(case.policy, FlowMlp):
            raise Unavailable("left out by --quick: compiling takes a minute")
        if not any(shutil.which(name) for name in ("g++", "clang++", os.environ.get("CXX", "g++"))):
            raise Unavailable("AOTInductor needs a C++ compiler")
        stages = case.linear_stages or case.stages
        return _package(case, "aotinductor", lambda folder: aotinductor.save(stages, folder, (weights,)))

    return build


def onnx_runtime(hoisted: bool) -> Callable[[Case], Call]:
    """ONNX Runtime on one graph of the chunk."""

    def build(case: Case) -> Call:
        for name in ("onnxruntime", "onnx", "onnxscript"):
            if importlib.util.find_spec(name) is None:
                raise Unavailable(f"{name} is not installed")
        import onnxruntime

        file = case.folder / f"chunk_{hoisted}.onnx"
        chunk = Chunk(case.policy, case.stages if hoisted else None).eval()
        inputs = (
            case.stages.x if not isinstance(case.policy, TokenPredictor) else torch.zeros(1, 1),
            *case.stages.observation,
        )
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                torch.onnx.export(chunk, inputs, str(file), dynamo=True, external_data=False, verbose=False)
            except torch.onnx.errors.OnnxExporterError as why:
                raise Unavailable(f"cannot be exported: {str(why).splitlines()[0]}") from why
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        names = [i.name for i in session.get_inputs()]
        places = [_place(name, chunk) for name in names]

        def call(noise: Tensor, observation: tuple[Tensor, ...]) -> np.ndarray:
            given = (noise, *observation)
            feeds = {name: given[i].numpy() for name, i in zip(names, places, strict=True)}
            answer: np.ndarray = session.run(None, feeds)[0]
            return answer

        return call

    return build


def package_native(case: Case) -> Call:
    """The native engine in our C++ loop."""
    if "native" not in _backends.available():
        raise Unavailable("this build has no native engine")
    from vla_rt.export import native

    try:
        return _package(case, "native", lambda folder: native.save(case.stages, folder))
    except native.Unsupported as why:
        raise Unavailable(str(why)) from why


#: In the order of the table; an engine that comes later has its line here.
ENGINES: Sequence[Engine] = (
    Engine("PyTorch eager", eager),
    Engine("TorchScript, Python", traced_in_python),
    Engine("ONNX Runtime", onnx_runtime(hoisted=False)),
    Engine("ONNX Runtime hoisted", onnx_runtime(hoisted=True)),
    Engine("vla_rt TorchScript, unhoisted", package_unhoisted),
    Engine("vla_rt TorchScript", package_hoisted),
    Engine("vla_rt TorchScript, linear convolutions", package_rewritten),
    Engine("vla_rt AOTInductor", compiled("plain")),
    Engine("vla_rt AOTInductor frozen", compiled("frozen")),
    Engine("vla_rt native", package_native),
)


def policies(quick: bool) -> list[tuple[str, CoursePolicy]]:
    """Name and network of every case; smaller ones with quick."""
    if quick:
        return [
            ("a flow MLP, 10 steps", FlowMlp(obs_dim=64, hidden=64)),
            ("b U-Net, 1 step", ConditionalUnet(obs_dim=64, channels=(32, 64, 128))),
            ("c noise MLP, 1 step", NoiseMlp(obs_dim=64, hidden=64)),
            ("d action transformer", ActionTransformer(width=64, layers=2, heads=4, patches=20)),
            ("e 7 tokens", TokenPredictor(width=64, layers=2, heads=4, context=30)),
        ]
    return [
        ("a flow MLP, 10 steps", FlowMlp()),
        ("b U-Net, 1 step", ConditionalUnet()),
        ("c noise MLP, 1 step", NoiseMlp()),
        ("d action transformer", ActionTransformer()),
        ("e 7 tokens", TokenPredictor()),
    ]


def measure(report: harness.Report, case: Case, heap: Counter | None, rounds: int, seconds: float) -> None:
    """Rows of one case, back-to-back and periodic, all engines in turn within every round."""
    calls: dict[str, Call] = {}
    errors: dict[str, float] = {}
    for engine in ENGINES:
        try:
            call = engine.build(case)
        except Unavailable as why:
            report.add(harness.missing(case.name, engine.name, str(why)))
            continue
        errors[engine.name] = _error(call, case)
        limit = 0 if isinstance(case.policy, TokenPredictor) else TOLERANCE
        if not errors[engine.name] <= limit:
            raise SystemExit(f"{case.name}: {engine.name} is wrong by {errors[engine.name]}")
        calls[engine.name] = call
    inputs = _inputs(case, 0)
    single = {name: _duration_us(call, inputs) for name, call in calls.items()}
    for mode in ("", ", periodic"):
        samples: dict[str, list[np.ndarray]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                period = max(PERIOD_S, 2e-6 * single[name]) if mode else 0.0
                share = max(period, 1e-6 * single[name])
                samples[name].append(_round(call, inputs, max(5, int(seconds / share)), period))
        for name, call in calls.items():
            allocations = None if heap is None else _allocations(heap, call, inputs)
            row = harness.from_rounds(case.name + mode, name, samples[name], allocations, errors[name])
            report.add(row)
    _ratios(report, case.name)


def _ratios(report: harness.Report, case: str) -> None:
    ours = [e.name for e in ENGINES if e.name.startswith("vla_rt")]
    times = [t for t in (report.p50(case, name) for name in ours) if t is not None]
    hoisted, whole = (report.p50(case, f"vla_rt TorchScript{s}") for s in ("", ", unhoisted"))
    report.ratio(f"{case}: unhoisted / hoisted, TorchScript", whole, hoisted)
    linear = report.p50(case, "vla_rt TorchScript, linear convolutions")
    report.ratio(f"{case}: convolutions / linears, TorchScript", hoisted, linear)
    for peer in (e.name for e in ENGINES if not e.name.startswith("vla_rt")):
        report.ratio(f"{case}: {peer} / quickest vla_rt", report.p50(case, peer), min(times, default=None))


def _round(call: Call, inputs: tuple[Tensor, tuple[Tensor, ...]], count: int, period: float) -> np.ndarray:
    times = np.empty(count)
    due = time.perf_counter()
    for i in range(count):
        if period:
            DISTURBANCE.sum()
            due += period
            time.sleep(max(0.0, due - time.perf_counter()))
        start = time.perf_counter_ns()
        call(*inputs)
        times[i] = (time.perf_counter_ns() - start) / 1e3
    return times


def _duration_us(call: Call, inputs: tuple[Tensor, tuple[Tensor, ...]]) -> float:
    return float(np.median(_round(call, inputs, 5, 0.0)))


def _allocations(heap: Counter, call: Call, inputs: tuple[Tensor, tuple[Tensor, ...]]) -> float:
    before = heap.count()
    for _ in range(5):
        call(*inputs)
    return (heap.count() - before) / 5


def _inputs(case: Case, seed: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    inputs = example_inputs(case.policy, case.policy.config.observation, seed=seed + 1)  # type: ignore[arg-type]
    is_token = isinstance(case.policy, TokenPredictor)
    return (torch.zeros((1, 1)) if is_token else inputs.x), inputs.observation


def _error(call: Call, case: Case) -> float:
    worst = 0.0
    for seed in range(3):
        noise, observation = _inputs(case, seed)
        exact, answer = reference(case.policy, noise, observation), call(noise, observation)
        if isinstance(case.policy, TokenPredictor):
            worst = max(worst, float((exact.reshape(-1) != answer.reshape(-1)).sum()))
        else:
            difference = np.abs(answer.reshape(exact.shape) - exact).max()
            worst = max(worst, float(difference / np.abs(exact).max()))
    return worst


def _module_call(module: Any) -> Call:
    def call(noise: Tensor, observation: tuple[Tensor, ...]) -> np.ndarray:
        with torch.inference_mode():
            answer: np.ndarray = module(noise, *observation).numpy()
        return answer

    return call


def _traced(chunk: Chunk, case: Case) -> torch.jit.ScriptModule:
    noise, observation = _inputs(case, 0)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(chunk.eval(), (noise, *observation), check_trace=False)
        frozen: torch.jit.ScriptModule = torch.jit.freeze(traced)
        for _ in range(3):
            frozen(noise, *observation)
    return frozen


class _Whole(nn.Module):
    """The network in one piece behind the methods of a package."""

    def __init__(self, policy: CoursePolicy) -> None:
        super().__init__()
        self.network = Network(policy)  # type: ignore[arg-type]

    def encode(self, *observation: Tensor) -> Any:
        return tuple(o.clone() for o in observation) if len(observation) > 1 else observation[0].clone()

    def step(self, x: Tensor, t: Tensor, context: Any) -> Tensor:
        answer: Tensor = self.network(x, t, *(context if isinstance(context, tuple) else (context,)))
        return answer.contiguous()


def _save_whole(case: Case, folder: Path) -> None:
    module = _Whole(case.policy).eval()
    stages = case.stages
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = module.encode(*stages.observation)
        inputs = {"encode": stages.observation, "step": (stages.x, stages.t, context)}
        traced = torch.jit.trace_module(module, inputs, check_trace=False)
        torch.jit.freeze(traced.eval(), preserved_attrs=list(inputs)).save(str(folder / torchscript.FILE))


def _package(case: Case, backend: str, save: Callable[[Path], Any]) -> Call:
    """A package with the network that `save` writes, opened with `backend`."""
    _backends.open_backend(backend)
    folder = Path(tempfile.mkdtemp(dir=case.folder))
    save(folder)
    spec = json.loads((case.folder / "policy.json").read_text())
    spec["backends"] = [backend]
    spec["files"] = {
        f.name: {"bytes": f.stat().st_size, "crc32": f"{zlib.crc32(f.read_bytes()):08x}"}
        for f in folder.iterdir()
    }
    (folder / "policy.json").write_text(json.dumps(spec))
    package = vr.load_policy(folder, backend)
    names = [name for name, _, _ in case.policy.config.observation]
    is_token = isinstance(case.policy, TokenPredictor)

    def call(noise: Tensor, observation: tuple[Tensor, ...]) -> np.ndarray:
        raw = {name: o.numpy()[0] for name, o in zip(names, observation, strict=True)}
        if not is_token:
            return package.sample(raw, noise=noise.numpy()[0])
        actions = package.sample(raw)
        return np.round((actions + 1) / 2 * 256 - 0.5)  # ids of the bins

    return call


def _place(name: str, chunk: Chunk) -> int:
    """Which argument of the chunk an ONNX input is; an unused one (a direct policy's noise) is left out."""
    return 0 if name == "noise" else 1 + int(name.rpartition("_")[2]) if name != "observation" else 1


def _case(name: str, policy: CoursePolicy, folder: Path, quick: bool) -> Case:
    policy = randomized(policy)
    inputs = example_inputs(policy, policy.config.observation)  # type: ignore[arg-type]
    stages = split(capture(Network(policy), inputs))  # type: ignore[arg-type]
    folder.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        path = vr.export_policy(policy, Path(scratch) / "p", backends="torchscript")  # type: ignore[arg-type]
        shutil.copy(path / "policy.json", folder)
    return Case(name, policy, stages, folder, quick)


def main() -> None:
    """Measure and report."""
    options = harness.parse(__doc__)
    heap = counter()
    torch.set_num_threads(1)
    report = harness.Report("inference")
    with tempfile.TemporaryDirectory() as scratch:
        for i, (name, policy) in enumerate(policies(options.quick)):
            case = _case(name, policy, Path(scratch) / str(i), options.quick)
            measure(report, case, heap, 3 if options.quick else 7, 0.05 if options.quick else 0.4)
    report.notes.append("one thread; batch 1; medians over interleaved rounds; calls made from Python")
    if options.quick:
        report.notes.append("--quick: small networks; the course's sizes are measured without it")
    report.finish(options)


if __name__ == "__main__":
    main()
