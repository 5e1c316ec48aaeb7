"""TorchScript: the three stages of a network traced and frozen into one file."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from vla_rt.export.failures import as_model_error
from vla_rt.export.stages import Stages

#: Name of the file inside a package.
FILE = "model.ts"

_Packed: TypeAlias = "Tensor | tuple[Tensor, ...]"


class _Traceable(nn.Module):
    """The stages as methods: rows and context travel as a tuple, or as a tensor where there is only one."""

    def __init__(self, stages: Stages) -> None:
        super().__init__()
        self.prepare_graph, self.encode_graph, self.step_graph = stages.prepare, stages.encode, stages.step

    def prepare(self, t: Tensor) -> _Packed:
        return _packed(self.prepare_graph(t))

    def encode(self, *observation: Tensor) -> _Packed:
        return _packed(self.encode_graph(*observation))

    def step(self, x: Tensor, rows: _Packed, context: _Packed) -> Tensor:
        answer: Tensor = self.step_graph(x, *_unpacked(rows), *_unpacked(context))
        return answer


def _packed(tensors: tuple[Tensor, ...]) -> _Packed:
    return tensors[0] if len(tensors) == 1 else tensors


def _unpacked(packed: _Packed) -> tuple[Tensor, ...]:
    return packed if isinstance(packed, tuple) else (packed,)


def trace(stages: Stages) -> torch.jit.ScriptModule:
    """Traces the stages; the result has the methods `prepare`, `encode` and `step`.

    Raises:
        ModelError: A stage cannot be traced.
    """
    inputs = {
        "prepare": (stages.t,),
        "encode": stages.observation,
        "step": (stages.x, _packed(stages.rows), _packed(stages.context)),
    }
    what = "the policy cannot be exported to TorchScript"
    with as_model_error(what), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = _Traceable(stages).eval()
        traced = torch.jit.trace_module(module, inputs, check_trace=False)  # type: ignore[no-untyped-call]
        frozen: torch.jit.ScriptModule = torch.jit.freeze(traced.eval(), preserved_attrs=list(inputs))
    return frozen


def calls(stages: Stages) -> dict[str, Callable[[], object]]:
    """The traced encode and step with their example inputs, to be measured."""
    module = trace(stages)
    rows, context = _packed(stages.rows), _packed(stages.context)
    return {
        "encode": lambda: module.encode(*stages.observation),
        "step": lambda: module.step(stages.x, rows, context),
    }


def save(stages: Stages, folder: Path) -> None:
    """Traces the stages and writes `model.ts` into `folder`; raises as `trace`."""
    trace(stages).save(str(folder / FILE))
