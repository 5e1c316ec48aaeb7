"""Operations joined where one can do the work of two: activations into layers, copies into what they copy."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np

from vla_rt.export.native.plan import STAGES, Operation, Plan, View

#: Operations that end with an elementwise function.
_ACTIVATING = ("linear", "convolution", "transposed_convolution", "group_norm")
#: Operations that can write their output in any dense or strided rows.
_STRIDED = (
    "linear",
    "convolution",
    "transposed_convolution",
    "group_norm",
    "layer_norm",
    "softmax",
    "attention",
    "product",
)
#: Functions of one operand.
_FUNCTIONS = frozenset(
    [
        "relu",
        "gelu",
        "gelu_tanh",
        "silu",
        "mish",
        "tanh",
        "sigmoid",
        "softplus",
        "exp",
        "sqrt",
        "rsqrt",
        "reciprocal",
        "negate",
        "absolute",
        "square",
    ]
)


def fuse(plan: Plan) -> None:
    """Joins operations of every stage."""
    for stage in STAGES:
        _fuse_stage(plan, stage)


def _fuse_stage(plan: Plan, stage: str) -> None:
    """Looks at every elementwise function of one operand and at what made that operand."""
    operations = plan.stages[stage]
    touched = Counter(
        view.buffer
        for ops in plan.stages.values()
        for o in ops
        for view in (*o.inputs, o.output)
        if view is not None
    )
    kept: list[Operation] = []
    for operation in operations:
        if not (_is_unary(operation) and _join(plan, kept, operation, touched)):
            kept.append(operation)
    plan.stages[stage] = kept


def _is_unary(operation: Operation) -> bool:
    return operation.op == "elementwise" and operation.function in (*_FUNCTIONS, "copy")


def _join(plan: Plan, before: list[Operation], unary: Operation, touched: Counter[int]) -> bool:
    """Lets the operation that made the operand apply the function and write the result; whether it could.

    Only where nobody else looks at the operand, and nobody touched the place of the result in between.
    """
    source = unary.inputs[0]
    assert source is not None
    if plan.buffers[source.buffer].role != "temporary" or touched[source.buffer] != 2:
        return False
    at = next((i for i in range(len(before) - 1, -1, -1) if before[i].output.buffer == source.buffer), None)
    if at is None:
        return False
    maker = before[at]
    if unary.function != "copy" and (maker.op not in _ACTIVATING or maker.function):
        return False
    if unary.function == "copy" and maker.op not in (*_STRIDED, "elementwise"):
        return False
    target = unary.output.buffer
    if any(v is not None and v.buffer == target for v in maker.inputs):
        return False
    for later in before[at + 1 :]:
        if any(v is not None and v.buffer == target for v in later.inputs):
            return False
        if later.output.buffer == target and _overlap(later.output, unary.output, plan.buffers[target].size):
            return False
    moved = retargeted(maker.output, source, unary.output)
    if moved is None or (maker.op in _STRIDED and not _has_rows(moved)):
        return False
    maker.output = moved
    if unary.function != "copy":
        maker.function = unary.function
    touched[source.buffer] = 0
    return True


def retargeted(written: View, source: View, target: View) -> View | None:
    """The view that writes to `target` what `written` wrote to where `source` reads, or None.

    `written` and `source` both cover all of one buffer; `target` has the shape of `source`.
    """
    if written.offset or source.offset or source.shape != target.shape or _count(written) != _count(source):
        return None
    if all(_is_contiguous(view) for view in (written, source, target)):
        return View(target.buffer, target.offset, written.shape, written.strides)
    strides = []
    axes = {
        (extent, stride): to
        for extent, stride, to in zip(source.shape, source.strides, target.strides, strict=True)
        if extent > 1
    }
    for extent, stride in zip(written.shape, written.strides, strict=True):
        if extent == 1:
            strides.append(0)
        elif (extent, stride) in axes:
            strides.append(axes[extent, stride])
        else:
            return None
    return View(target.buffer, target.offset, written.shape, tuple(strides))


def _overlap(a: View, b: View, size: int) -> bool:
    """Whether two views of a buffer share an element."""
    seen = np.zeros(size, dtype=bool)
    for view in (a, b):
        part = np.lib.stride_tricks.as_strided(seen[view.offset :], view.shape, view.strides)
        if part.any():
            return True
        part[...] = True
    return False


def _count(view: View) -> int:
    count = 1
    for extent in view.shape:
        count *= extent
    return count


def _is_contiguous(view: View) -> bool:
    step = 1
    for extent, stride in zip(reversed(view.shape), reversed(view.strides), strict=True):
        if extent > 1 and stride != step:
            return False
        step *= extent
    return True


def _has_rows(view: View) -> bool:
    """Whether the last axis is dense and the axes before it fold into one."""
    if view.shape[-1] > 1 and view.strides[-1] != 1:
        return False
    axes = [a for a in range(len(view.shape) - 1) if view.shape[a] > 1]
    return all(view.strides[a] == view.strides[b] * view.shape[b] for a, b in itertools.pairwise(axes))
