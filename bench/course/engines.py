"""Ways to run a course policy's chunk: PyTorch, ONNX Runtime, and the backends of vla_rt."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import vla_rt as vr
from course.chunk import Chunk
from course.flow_mlp import FlowMlp
from course.policy import CoursePolicy
from course.token_predictor import TokenPredictor
from vla_rt import _backends
from vla_rt.export import aotinductor, convolutions, native, torchscript
from vla_rt.export.description import describe, write_description
from vla_rt.export.network import Network, example_inputs
from vla_rt.export.stages import Stages

#: One chunk for noise (1, T, D) and observation.
Call = Callable[[Tensor, tuple[Tensor, ...]], np.ndarray]


class Unavailable(Exception):
    """Why an engine does not run a case: one sentence."""


@dataclass(frozen=True)
class Case:
    """A network and where its exports are kept."""

    name: str
    policy: CoursePolicy
    stages: Stages
    folder: Path
    quick: bool

    @property
    def is_token(self) -> bool:
        """Whether a chunk is tokens."""
        return isinstance(self.policy, TokenPredictor)

    @property
    def linear_stages(self) -> Stages | None:
        """The stages with convolutions as linears, None where there are none."""
        step = convolutions.as_linears(self.stages.step)
        return None if step is None else dataclasses.replace(self.stages, step=step)

    def inputs(self, seed: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Noise and observation."""
        drawn = example_inputs(self.policy, self.policy.config.observation, seed=seed + 1)  # type: ignore[arg-type]
        return (torch.zeros((1, 1)) if self.is_token else drawn.x), drawn.observation

    def exported(self, name: str, save: Callable[[Path], Any]) -> Path:
        """The folder of that name, which `save` fills unless an earlier run did."""
        folder = self.folder / name
        if not folder.exists():
            draft = self.folder / f".{name}"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            save(draft)
            draft.rename(folder)
        return folder


@dataclass(frozen=True)
class Engine:
    """A way to run a case; `build` raises Unavailable with the reason where it cannot."""

    name: str
    build: Callable[[Case], Call]
    precision: str = "float32"
    threads: int = 1


def eager(case: Case) -> Call:
    """PyTorch, op by op."""
    return _module_call(Chunk(case.policy))


def traced_in_python(case: Case) -> Call:
    """One traced and frozen graph of the chunk."""
    noise, observation = case.inputs(0)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Chunk(case.policy).eval(), (noise, *observation), check_trace=False)
        frozen: torch.jit.ScriptModule = torch.jit.freeze(traced)
        for _ in range(3):
            frozen(noise, *observation)
    return _module_call(frozen)


def onnx_runtime(hoisted: bool, threads: int = 1) -> Callable[[Case], Call]:
    """ONNX Runtime on one graph of the chunk."""

    def build(case: Case) -> Call:
        for name in ("onnxruntime", "onnx", "onnxscript"):
            if importlib.util.find_spec(name) is None:
                raise Unavailable(f"{name} is not installed")
        import onnxruntime

        chunk = Chunk(case.policy, case.stages if hoisted else None).eval()
        noise, observation = case.inputs(0)

        def save(folder: Path) -> None:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
                warnings.simplefilter("ignore")
                file = str(folder / "chunk.onnx")
                torch.onnx.export(
                    chunk, (noise, *observation), file, dynamo=True, external_data=False, verbose=False
                )

        try:
            folder = case.exported(f"onnx_{'hoisted' if hoisted else 'whole'}", save)
        except torch.onnx.errors.OnnxExporterError as why:
            raise Unavailable(f"cannot be exported: {str(why).splitlines()[0]}") from why
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        file = str(folder / "chunk.onnx")
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        names = [i.name for i in session.get_inputs()]
        places = [_place(name) for name in names]

        def call(noise: Tensor, observation: tuple[Tensor, ...]) -> np.ndarray:
            given = (noise, *observation)
            feeds = {name: given[i].numpy() for name, i in zip(names, places, strict=True)}
            answer: np.ndarray = session.run(None, feeds)[0]
            return answer

        return call

    return build


def package_unhoisted(case: Case) -> Call:
    """TorchScript in our C++ loop, the whole network at every step: as a user would trace it."""
    if case.is_token:
        raise Unavailable("without hoisting a token would recompute the context's keys and values")
    return _package(case, "torchscript", "torchscript_whole", lambda folder: _save_whole(case, folder))


def package_hoisted(case: Case) -> Call:
    """TorchScript in our C++ loop, hoisted."""
    return _package(case, "torchscript", "torchscript", lambda folder: torchscript.save(case.stages, folder))


def package_rewritten(case: Case) -> Call:
    """TorchScript in our C++ loop, hoisted, convolutions as linears: what the exporter writes."""
    stages = case.linear_stages
    if stages is None:
        raise Unavailable("the network has no convolutions: the row above")
    return _package(
        case, "torchscript", "torchscript_linear", lambda folder: torchscript.save(stages, folder)
    )


def compiled(weights: str) -> Callable[[Case], Call]:
    """AOTInductor in our C++ loop."""

    def build(case: Case) -> Call:
        if case.quick and not isinstance(case.policy, FlowMlp):
            raise Unavailable("left out by --quick: compiling takes a minute")
        if not any(shutil.which(name) for name in ("g++", "clang++", os.environ.get("CXX", "g++"))):
            raise Unavailable("AOTInductor needs a C++ compiler")
        stages = case.linear_stages or case.stages
        return _package(
            case,
            "aotinductor",
            f"aotinductor_{weights}",
            lambda folder: aotinductor.save(stages, folder, (weights,)),
        )

    return build


def package_native(precision: str, threads: int = 1) -> Callable[[Case], Call]:
    """The native engine in our C++ loop."""

    def build(case: Case) -> Call:
        if "native" not in _backends.available():
            raise Unavailable("this build has no native engine")
        try:
            return _package(
                case,
                "native",
                f"native_{precision}",
                lambda folder: native.save(case.stages, folder, precision),
                threads,
            )
        except native.Unsupported as why:
            raise Unavailable(str(why)) from why

    return build


#: In the order of the table.
ENGINES: Sequence[Engine] = (
    Engine("PyTorch eager", eager),
    Engine("TorchScript, Python", traced_in_python),
    Engine("ONNX Runtime", onnx_runtime(hoisted=False)),
    Engine("ONNX Runtime hoisted", onnx_runtime(hoisted=True)),
    Engine("ONNX Runtime hoisted, 2 threads", onnx_runtime(hoisted=True, threads=2), threads=2),
    Engine("vla_rt TorchScript, unhoisted", package_unhoisted),
    Engine("vla_rt TorchScript", package_hoisted),
    Engine("vla_rt TorchScript, linear convolutions", package_rewritten),
    Engine("vla_rt AOTInductor", compiled("plain")),
    Engine("vla_rt AOTInductor frozen", compiled("frozen")),
    *(
        Engine(
            f"vla_rt native {precision}" + (", 2 threads" if threads == 2 else ""),
            package_native(precision, threads),
            precision,
            threads,
        )
        for threads in (1, 2)
        for precision in ("float32", "bfloat16", "int8")
    ),
)


def _module_call(module: Any) -> Call:
    def call(noise: Tensor, observation: tuple[Tensor, ...]) -> np.ndarray:
        with torch.inference_mode():
            answer: np.ndarray = module(noise, *observation).numpy()
        return answer

    return call


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


def _package(case: Case, backend: str, name: str, save: Callable[[Path], Any], threads: int = 1) -> Call:
    """A package with the network that `save` writes, opened with `backend`."""
    _backends.open_backend(backend)

    def save_package(folder: Path) -> None:
        save(folder)
        spec = describe(case.policy)  # type: ignore[arg-type]
        spec |= {"backends": [backend], "precision": "float32", "device": "cpu"}
        write_description(folder, spec)

    package = vr.load_policy(case.exported(name, save_package), backend, threads)
    names = [name for name, _, _ in case.policy.config.observation]

    def call(noise: Tensor, observation: tuple[Tensor, ...]) -> np.ndarray:
        raw = {name: o.numpy()[0] for name, o in zip(names, observation, strict=True)}
        if not case.is_token:
            return package.sample(raw, noise=noise.numpy()[0])
        actions = package.sample(raw)
        return np.round((actions + 1) / 2 * 256 - 0.5)  # ids of the bins

    return call


def _place(name: str) -> int:
    """Which argument of the chunk an ONNX input is; an unused one (a direct policy's noise) is left out."""
    return 0 if name == "noise" else 1 + int(name.rpartition("_")[2]) if name != "observation" else 1
