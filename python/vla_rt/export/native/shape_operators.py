"""Lowerings of calls that move numbers or look at them in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from vla_rt.export.native.plan import Value, dense_strides
from vla_rt.export.native.stage import StageCompiler, Unsupported, lowers

_aten = torch.ops.aten

_VIEWS = (
    _aten.permute.default,
    _aten.transpose.int,
    _aten.t.default,
    _aten.unsqueeze.default,
    _aten.squeeze.default,
    _aten.squeeze.dim,
    _aten.squeeze.dims,
    _aten.select.int,
    _aten.slice.Tensor,
    _aten.narrow.default,
    _aten.expand.default,
    _aten.expand_as.default,
    _aten.movedim.int,
    _aten.alias.default,
    _aten.detach.default,
)
_SPLITS = (_aten.split.Tensor, _aten.split_with_sizes.default, _aten.chunk.default, _aten.unbind.int)
_RESHAPES = (
    _aten.view.default,
    _aten.reshape.default,
    _aten._unsafe_view.default,
    _aten.flatten.using_ints,
    _aten.unflatten.int,
)


@lowers(*_VIEWS)
def view(stage: StageCompiler, target: Any, x: Value, *args: Any, **kwargs: Any) -> Value:
    """The same memory, looked at as PyTorch says."""
    others = [a.meta if isinstance(a, Value) else a for a in args]
    return x.viewed(target(x.meta, *others, **kwargs))


@lowers(*_SPLITS)
def split(stage: StageCompiler, target: Any, x: Value, *args: Any, **kwargs: Any) -> list[Value]:
    """Parts of the same memory."""
    return [x.viewed(part) for part in target(x.meta, *args, **kwargs)]


@lowers(_aten.broadcast_tensors.default)
def broadcast(stage: StageCompiler, target: Any, parts: Sequence[Value]) -> list[Value]:
    """All in one shape, without a copy."""
    return [p.viewed(meta) for p, meta in zip(parts, target([p.meta for p in parts]), strict=True)]


@lowers(*_RESHAPES)
def reshape(stage: StageCompiler, target: Any, x: Value, *args: Any, **kwargs: Any) -> Value:
    """The same memory where its strides allow it, else a copy."""
    shape = target(torch.empty(x.shape, device="meta"), *args, **kwargs).shape
    return stage.reshaped(x, shape)


@lowers(_aten.contiguous.default)
def contiguous(stage: StageCompiler, target: Any, x: Value, **kwargs: Any) -> Value:
    """Layout is the compiler's business."""
    return x


@lowers(_aten.repeat.default)
def repeat(stage: StageCompiler, target: Any, x: Value, repeats: Sequence[int]) -> Value:
    """Copies beside each other along every axis."""
    result = stage.new(target(x.meta, repeats).shape, x.meta.dtype)
    lead = len(repeats) - x.meta.dim()
    source = x.meta.reshape((1,) * lead + x.shape)
    inner = [n for r, s in zip(repeats, source.shape, strict=True) for n in (r, s)]
    blocks = source.reshape([n for s in source.shape for n in (1, s)]).expand(inner)
    stage.elementwise("copy", [x.viewed(blocks)], result.viewed(result.meta.view(inner)))
    return result


@lowers(_aten.cat.default)
def cat(stage: StageCompiler, target: Any, parts: Sequence[Value], dim: int = 0) -> Value:
    """Every part copied to its place, in the layout of the first that has one."""
    parts = [p for p in parts if p.shape != (0,)]
    like = max(parts, key=lambda p: p.meta.numel()).meta
    dim %= like.dim()
    shape = list(like.shape)
    shape[dim] = sum(p.shape[dim] for p in parts)
    order = sorted(range(like.dim()), key=lambda a: (-like.stride()[a], a))
    result = stage.new(shape, torch.result_type(like, like), dense_strides(shape, order))
    start = 0
    for part in parts:
        stage.elementwise("copy", [part], result.viewed(result.meta.narrow(dim, start, part.shape[dim])))
        start += part.shape[dim]
    return result


@lowers(_aten.stack.default)
def stack(stage: StageCompiler, target: Any, parts: Sequence[Value], dim: int = 0) -> Value:
    """A concatenation along a new axis."""
    return cat(stage, target, [p.viewed(p.meta.unsqueeze(dim)) for p in parts], dim)


@lowers(_aten.constant_pad_nd.default, _aten.pad.default)
def pad(
    stage: StageCompiler, target: Any, x: Value, widths: Sequence[int], *args: Any, **kwargs: Any
) -> Value:
    """Numbers around a copy."""
    number = args[-1] if args and not isinstance(args[-1], str) else kwargs.get("value", 0)
    if "constant" not in (*args, kwargs.get("mode", "constant")) and target is _aten.pad.default:
        raise Unsupported(f"padding by {args[0]}")
    if min(widths) < 0:
        raise Unsupported("padding by negative widths")
    meta = _aten.constant_pad_nd.default(x.meta, widths)
    result = stage.new(meta.shape, meta.dtype)
    stage.elementwise("copy", [number or 0.0], result)
    inside = result.meta
    for i in range(len(widths) // 2):
        axis = x.meta.dim() - 1 - i
        inside = inside.narrow(axis, widths[2 * i], x.shape[axis])
    stage.elementwise("copy", [x], result.viewed(inside))
    return result


@lowers(_aten.embedding.default)
def embedding(
    stage: StageCompiler, target: Any, table: Value, index: Value, *args: Any, **kwargs: Any
) -> Value:
    """Rows of a table."""
    width = table.shape[1]
    count = math.prod(index.shape)
    result = stage.new((count, width), table.meta.dtype)
    stage.emit("gather", [stage.rows(table), stage.reshaped(index, (count,))], result)
    return stage.reshaped(result, (*index.shape, width))


@lowers(_aten.index_select.default)
def index_select(stage: StageCompiler, target: Any, x: Value, dim: int, index: Value) -> Value:
    """Entries of an axis."""
    moved = x.meta.movedim(dim, 0)
    rest = tuple(moved.shape[1:])
    table = stage.reshaped(x.viewed(moved), (moved.shape[0], math.prod(rest)))
    result = embedding(stage, target, table, index)
    return result.viewed(result.meta.view(*index.shape, *rest).movedim(0, dim))


@lowers(_aten.index_copy.default, _aten.index_copy_.default)
def index_copy(
    stage: StageCompiler, target: Any, table: Value, dim: int, index: Value, source: Value
) -> Value:
    """One entry of an axis, written in place or into a copy."""
    if source.shape[dim] != 1:
        raise Unsupported(f"{source.shape[dim]} entries at once")
    if target is _aten.index_copy.default:
        table = stage.elementwise("copy", [table], stage.like(table.meta))
    dim %= table.meta.dim()
    before, after = math.prod(table.shape[:dim]), math.prod(table.shape[dim + 1 :])
    rows = table.viewed(table.meta.view(before, table.shape[dim], after))
    stage.emit("scatter", [stage.reshaped(source, (before, after)), stage.reshaped(index, (1,))], rows)
    return table


@lowers(_aten.index_put.default, _aten.index_put_.default)
def index_put(
    stage: StageCompiler,
    target: Any,
    table: Value,
    indices: Sequence[Any],
    source: Value,
    accumulate: bool = False,
) -> Value:
    """One entry of one axis."""
    axes = [a for a, index in enumerate(indices) if index is not None]
    if len(axes) != 1 or accumulate or math.prod(indices[axes[0]].shape) != 1:
        raise Unsupported("more than one entry of one axis")
    shape = list(table.shape)
    shape[axes[0]] = 1
    in_place = target is _aten.index_put_.default
    copy = _aten.index_copy_.default if in_place else _aten.index_copy.default
    expanded = source.viewed(source.meta.expand(shape))
    return index_copy(stage, copy, table, axes[0], indices[axes[0]], expanded)


@lowers(_aten.copy_.default)
def copy_(stage: StageCompiler, target: Any, table: Value, source: Value, *args: Any) -> Value:
    """The whole contents, written in place."""
    return stage.elementwise("copy", [source], table)
