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
        if _is_unary(operation) and _join(plan, kept, operation, touched):
            continue
        if operation.function in ("multiply", "add") and _into_norm(plan, kept, operation, touched):
            continue
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
    if unary.function != "copy" and (maker.op not in _ACTIVATING or maker.function or _adds_residual(maker)):
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


def _adds_residual(operation: Operation) -> bool:
    """Whether the last thing that a norm does is to add: no function may follow it in the same operation."""
    return operation.op == "group_norm" and len(operation.inputs) > 5 and operation.inputs[5] is not None


def _into_norm(plan: Plan, before: list[Operation], binary: Operation, touched: Counter[int]) -> bool:
    """Lets a group norm scale and shift its channels (FiLM) and add a residual; whether it could.

    The norm moves to the place of the operation that it takes over, where the other operand is known.
    """
    for at in range(len(before) - 1, -1, -1):
        norm = before[at]
        if norm.op != "group_norm" or touched[norm.output.buffer] != 2:
            continue
        for source, other in (binary.inputs, binary.inputs[::-1]):
            assert source is not None
            assert other is not None
            if source.buffer == norm.output.buffer and _absorb(plan, before, at, source, other, binary):
                touched[source.buffer] = 0
                return True
    return False


def _absorb(
    plan: Plan, before: list[Operation], at: int, source: View, other: View, binary: Operation
) -> bool:
    """Gives the norm at `before[at]` the other operand and the output of `binary`; whether it could."""
    norm = before[at]
    weight, bias, scale, shift, residual = (*norm.inputs[1:], None, None, None)[:5]
    read = {view.buffer for view in norm.inputs if view is not None}
    if plan.buffers[source.buffer].role != "temporary":
        return False
    if any(later.output.buffer in read for later in before[at + 1 :]):
        return False
    output = retargeted(norm.output, source, binary.output)
    if output is None or not _has_rows(output) or output.buffer in read | {other.buffer}:
        return False
    vector = _channel_vector(other, norm.output.shape[-1], source)
    if vector is not None and not norm.function and residual is None and shift is None:
        if binary.function == "multiply" and scale is None:
            scale = vector
        elif binary.function == "add":
            shift = vector
        else:
            return False
    elif binary.function == "add" and residual is None and other.shape == source.shape:
        residual = retargeted(norm.output, source, other)
        if residual is None or not _has_rows(residual):
            return False
    else:
        return False
    norm.inputs = [norm.inputs[0], weight, bias, scale, shift, residual]
    norm.output = output
    before.append(before.pop(at))
    return True


def _channel_vector(view: View, channels: int, source: View) -> View | None:
    """A dense vector that broadcasts along the channels of `source`, which are neighbours; or None."""
    if _count(view) != channels or len(view.shape) != len(source.shape):
        return None
    axes = zip(view.shape, view.strides, source.shape, source.strides, strict=True)
    if any(own > 1 and (own != whole or stride != 1 or step != 1) for own, stride, whole, step in axes):
        return None
    return View(view.buffer, view.offset, (channels,), (1,))


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
