"""The three stages of a network compiled to `plan.json` and `model.safetensors`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vla_rt import _core
from vla_rt._core import ModelError

# Importing the lowerings registers them.
from vla_rt.export.native import (  # noqa: F401
    elementwise_operators,
    layer_operators,
    sequence_operators,
    shape_operators,
)
from vla_rt.export.native.fusion import fuse
from vla_rt.export.native.matrices import lay_out
from vla_rt.export.native.plan import Plan, Role, Value
from vla_rt.export.native.stage import StageCompiler
from vla_rt.export.stages import Stages

#: Largest difference of a step from PyTorch's, over the largest number of the answer.
STEP_TOLERANCE = 1e-5


def save(stages: Stages, folder: Path, precision: str = "float32") -> None:
    """Writes the compiled stages into `folder`; arguments and errors as of `compile_stages`."""
    compile_stages(stages, precision).save(folder)


def compile_stages(stages: Stages, precision: str = "float32") -> Plan:
    """Compiles the stages.

    Args:
        stages: The network.
        precision: Of the matrices used per chunk and per step: float32, bfloat16 or int8.

    Raises:
        ModelError: A call that the engine does not have; names operator and module.
    """
    plan = Plan()
    time = _input(plan, "time", stages.t)
    observation = [_input(plan, "observation", o) for o in stages.observation]
    x = _input(plan, "input", stages.x)
    prepare = StageCompiler(plan, "prepare")
    rows = _kept(prepare, "row", prepare.compile(stages.prepare, [time]))
    encode = StageCompiler(plan, "encode")
    context = _kept(encode, "context", encode.compile(stages.encode, observation))
    step = StageCompiler(plan, "step")
    (answer,) = step.compile(stages.step, [x, *rows, *context])
    place = plan.allocate("answer", answer.shape, answer.meta.dtype)
    step.elementwise("copy", [answer], place)
    fuse(plan)
    lay_out(plan, precision)
    return plan


def check_step(stages: Stages, folder: Path) -> float:
    """Largest error of one float32 step of the engine against PyTorch, over the answer's largest number.

    Raises:
        ModelError: It is above `STEP_TOLERANCE`.
    """
    expected = _example_answer(stages)
    network = open_network(stages, folder)
    network.prepare([float(stages.t)])
    network.encode([o[0].numpy() for o in stages.observation])
    actual = network.step(stages.x[0].numpy(), 0)
    error = float(np.abs(actual - expected).max() / max(float(np.abs(expected).max()), 1e-30))
    if not error <= STEP_TOLERANCE:
        raise ModelError(
            f"the native engine's step differs from PyTorch's by {error:.2g} of the largest number, must be "
            f"at most {STEP_TOLERANCE:g}"
        )
    return error


def open_network(stages: Stages, folder: Path) -> _core.Network:
    """The network that `save` wrote into `folder`."""
    dtypes = {torch.float32: "float32", torch.int64: "int64", torch.uint8: "uint8"}
    features = [(f"o_{i}", tuple(o.shape[1:]), dtypes[o.dtype]) for i, o in enumerate(stages.observation)]
    answer = _example_answer(stages).shape
    return _core.Network(folder, "native", features, stages.x.shape[1:], answer)


def _example_answer(stages: Stages) -> NDArray[np.float32]:
    with torch.no_grad():
        context = stages.encode(*stages.observation)
        answer: NDArray[np.float32] = stages.step(stages.x, *stages.prepare(stages.t), *context)[0].numpy()
    return answer


def _input(plan: Plan, role: Role, example: Tensor) -> Value:
    return plan.allocate(role, example.shape, example.dtype)


def _kept(stage: StageCompiler, role: Role, values: Sequence[Value]) -> list[Value]:
    """Values in memory that outlives the stage: their own buffer, given another role, or a copy."""
    kept = []
    for value in values:
        if stage.plan.buffers[value.buffer].role != "temporary":
            value = stage.elementwise("copy", [value], stage.like(value.meta))
        stage.plan.buffers[value.buffer].role = role
        kept.append(value)
    return kept
