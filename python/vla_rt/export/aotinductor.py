"""AOTInductor: the three stages of a network compiled to machine code, in one `.pt2` file."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

from vla_rt.export.failures import as_model_error
from vla_rt.export.stages import Stages
from vla_rt.export.timing import fastest

#: Name of the file inside a package.
FILE = "model.pt2"

_aten = torch.ops.aten
#: Calls whose weights freezing packs anew; a stage without them is compiled once.
_PACKABLE = (
    _aten.linear.default,
    _aten.matmul.default,
    _aten.conv1d.default,
    _aten.conv2d.default,
    _aten.convolution.default,
    _aten.conv_transpose1d.default,
    _aten.lstm.input,
    _aten.gru.input,
)


def save(stages: Stages, folder: Path, weights: Sequence[str] = ("plain", "frozen")) -> dict[str, str]:
    """Compiles the stages, each with frozen (packed) weights or not, as was quicker, and writes `model.pt2`.

    Args:
        stages: What to compile.
        folder: Where `model.pt2` goes.
        weights: The forms to choose from.

    Returns:
        For the stages that have a choice, `aotinductor_<stage>_weights`: "frozen" or "plain".

    Raises:
        ModelError: A stage cannot be compiled; among other things this needs a C++ compiler.
    """
    graphs: dict[str, tuple[fx.GraphModule, tuple[Tensor, ...]]] = {
        "prepare": (stages.prepare, (stages.t,)),
        "encode": (stages.encode, stages.observation),
        "step": (stages.step, (stages.x, *stages.rows, *stages.context)),
    }
    chosen: dict[str, list[Any]] = {}
    notes = {}
    with (
        as_model_error("the policy cannot be compiled by AOTInductor"),
        torch.no_grad(),
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory() as scratch,
    ):
        warnings.simplefilter("ignore")
        for name, (graph, inputs) in graphs.items():
            has_choice = name != "prepare" and any(n.target in _PACKABLE for n in graph.graph.nodes)
            forms = weights if has_choice else ("plain",)
            compiled = {form: _compile(graph, inputs, freezing=form == "frozen") for form in forms}
            best = fastest({f: _runner(c, Path(scratch) / f, inputs) for f, c in compiled.items()})
            if has_choice:
                notes[f"aotinductor_{name}_weights"] = best
            chosen[name] = compiled[best]
        _package(folder / FILE, chosen)
    return notes


def _compile(graph: fx.GraphModule, inputs: tuple[Tensor, ...], freezing: bool) -> list[Any]:
    """Files of one stage; one thread, because a package runs on one."""
    program = torch.export.export(graph, inputs, strict=False)
    options = {"aot_inductor.package": True, "cpp.threads": 1, "freezing": freezing}
    files: Any = torch._inductor.aot_compile(program.module(), inputs, options=options)
    return list(files)


def _package(path: Path, files: dict[str, list[Any]]) -> None:
    from torch._inductor.package import package

    package.package_aoti(str(path), files)


def _runner(files: list[Any], path: Path, inputs: tuple[Tensor, ...]) -> Any:
    from torch._inductor.package import package

    _package(path.with_suffix(".pt2"), {"stage": files})
    model = package.load_package(str(path.with_suffix(".pt2")), "stage", run_single_threaded=True)
    return lambda: model(*inputs)
