"""Lowerings of layers: matrices, convolutions, norms, attention, reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from vla_rt.export.native.plan import Value
from vla_rt.export.native.stage import StageCompiler, Unsupported, lowers, metas

_aten = torch.ops.aten


def _is_weight(stage: StageCompiler, value: Any) -> bool:
    return isinstance(value, Value) and stage.plan.buffers[value.buffer].role == "weight"


@lowers(_aten.linear.default)
def linear(stage: StageCompiler, target: Any, x: Value, weight: Value, bias: Value | None = None) -> Value:
    """Rows times a matrix."""
    if not _is_weight(stage, weight):
        result = matmul(stage, _aten.matmul.default, x, weight.viewed(weight.meta.t()))
        return result if bias is None else stage.elementwise("add", [result, bias], result)
    result = stage.new((*x.shape[:-1], weight.shape[0]), x.meta.dtype)
    if x.meta.dim() == 1:
        x, rows = x.viewed(x.meta.unsqueeze(0)), result.viewed(result.meta.unsqueeze(0))
    else:
        rows = result
    bias = None if bias is None else stage.contiguous(bias)
    stage.emit("linear", [stage.rows(x), weight, bias], rows)
    return result


@lowers(_aten.addmm.default)
def addmm(stage: StageCompiler, target: Any, bias: Value, a: Value, b: Value) -> Value:
    """Bias + a b"""
    if _is_weight(stage, b) and bias.meta.dim() == 1:
        return linear(stage, target, a, b.viewed(b.meta.t()), bias)
    result = matmul(stage, target, a, b)
    return stage.elementwise("add", [result, bias], result)


@lowers(_aten.matmul.default, _aten.mm.default, _aten.bmm.default)
def matmul(stage: StageCompiler, target: Any, a: Value, b: Value) -> Value:
    """Products of matrices; by a weight a linear layer."""
    if b.meta.dim() == 2 and _is_weight(stage, b):
        return linear(stage, target, a, b.viewed(b.meta.t()))
    shape = _aten.matmul.default(a.meta, b.meta).shape
    if a.meta.dim() < 2 or b.meta.dim() < 2:
        raise Unsupported("a product of vectors")
    batch = shape[:-2]
    first = stage.reshaped(a.viewed(a.meta.expand(*batch, *a.shape[-2:])), (-1, *a.shape[-2:]))
    second = b.viewed(b.meta.expand(*batch, *b.shape[-2:]))
    if b.shape[-1] > 1 and b.meta.stride(-1) != 1:
        second = stage.contiguous(second)
    second = stage.reshaped(second, (-1, *b.shape[-2:]))
    result = stage.new((first.shape[0], *shape[-2:]), a.meta.dtype)
    stage.emit("product", [first, second], result)
    return stage.reshaped(result, shape)


@lowers(_aten.conv1d.default, _aten.conv2d.default)
def convolution(
    stage: StageCompiler,
    target: Any,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    """Rows of channels, one per place; one axis of space is two, the first of size 1."""
    if groups != 1 or not _is_weight(stage, weight):
        raise Unsupported(f"groups = {groups}" if groups != 1 else "a weight that is computed")
    kernel, axes = weight.meta, weight.meta.dim() - 2
    options = [list(o) if isinstance(o, list | tuple) else [o] for o in (stride, padding, dilation)]
    options = [o * axes if len(o) == 1 else o for o in options]
    shape = target(*metas((x, weight, bias)), *options).shape
    x = stage.channels_last(x)
    result = stage.new_channels_last(shape, x.meta.dtype)
    planes = [v.meta.squeeze(0).movedim(0, -1) for v in (x, result)]
    if kernel.dim() == 3:
        planes, kernel = [p.unsqueeze(0) for p in planes], kernel.unsqueeze(2)
        options = [[1, *options[0]], [0, *options[1]], [1, *options[2]]]
    names = ("stride", "padding", "dilation")
    stage.emit(
        "convolution",
        [x.viewed(planes[0]), weight.viewed(kernel), bias],
        result.viewed(planes[1]),
        numbers=dict(zip(names, options, strict=True)),
    )
    return result


@lowers(_aten.conv_transpose1d.default)
def transposed_convolution(
    stage: StageCompiler,
    target: Any,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> Value:
    """Rows of channels; output rows of one phase see the same taps."""
    if groups != 1 or tuple(dilation) != (1,) or not _is_weight(stage, weight):
        raise Unsupported(f"groups = {groups}, dilation = {tuple(dilation)}")
    shape = target(*metas((x, weight, bias, list(stride), list(padding), list(output_padding)))).shape
    x = stage.channels_last(x)
    result = stage.new_channels_last(shape, x.meta.dtype)
    rows = [v.viewed(v.meta.squeeze(0).t()) for v in (x, result)]
    numbers = {"stride": list(stride), "padding": list(padding)}
    stage.emit("transposed_convolution", [rows[0], weight, bias], rows[1], numbers=numbers)
    return result


@lowers(_aten.layer_norm.default)
def layer_norm(
    stage: StageCompiler,
    target: Any,
    x: Value,
    shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    *args: Any,
) -> Value:
    """Over the last axes, taken as one."""
    width = math.prod(shape)
    flat = stage.rows(stage.reshaped(x, (-1, width)))
    vectors = [None if v is None else stage.reshaped(v, (width,)) for v in (weight, bias)]
    result = stage.new(flat.shape, x.meta.dtype)
    stage.emit("layer_norm", [flat, *vectors], result, numbers={"epsilon": eps})
    return stage.reshaped(result, x.shape)


@lowers(_aten.group_norm.default)
def group_norm(
    stage: StageCompiler,
    target: Any,
    x: Value,
    groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    *args: Any,
) -> Value:
    """Groups of channels over all places."""
    channels = x.shape[1]
    x = stage.channels_last(x)
    result = stage.new_channels_last(x.shape, x.meta.dtype)
    rows = [v.meta.movedim(1, -1) for v in (x, result)]
    stage.emit(
        "group_norm",
        [x.viewed(rows[0]), *(None if v is None else stage.reshaped(v, (channels,)) for v in (weight, bias))],
        result.viewed(rows[1]),
        numbers={"groups": groups, "epsilon": eps},
    )
    return result


@lowers(_aten.softmax.int, _aten._softmax.default)
def softmax(stage: StageCompiler, target: Any, x: Value, dim: int, *args: Any) -> Value:
    """Over one axis, which is moved to the end."""
    moved = stage.rows(x.viewed(x.meta.movedim(dim, -1)))
    result = stage.new(moved.shape, x.meta.dtype)
    stage.emit("softmax", [moved], result)
    return result.viewed(result.meta.movedim(-1, dim))


_REDUCTIONS = {
    _aten.mean.dim: "mean",
    _aten.mean.default: "mean",
    _aten.sum.default: "sum",
    _aten.sum.dim_IntList: "sum",
    _aten.amax.default: "maximum",
    _aten.amin.default: "minimum",
}


@lowers(*_REDUCTIONS)
def reduce(
    stage: StageCompiler, target: Any, x: Value, dims: Any = None, keepdim: bool = False, **kwargs: Any
) -> Value:
    """Over some axes, which are moved to the end."""
    dims = [dims] if isinstance(dims, int) else list(dims or range(x.meta.dim()))
    dims = sorted(d % x.meta.dim() for d in dims)
    kept = [a for a in range(x.meta.dim()) if a not in dims]
    count, length = math.prod(x.shape[a] for a in kept), math.prod(x.shape[a] for a in dims)
    rows = stage.rows(stage.reshaped(x.viewed(x.meta.permute(*kept, *dims)), (count, length)))
    result = stage.new((count,), x.meta.dtype)
    stage.emit("reduce", [rows], result, _REDUCTIONS[target])
    shape = (
        [1 if a in dims else x.shape[a] for a in range(x.meta.dim())]
        if keepdim
        else [x.shape[a] for a in kept]
    )
    return stage.reshaped(result, shape)


@lowers(_aten.linalg_vector_norm.default)
def vector_norm(
    stage: StageCompiler,
    target: Any,
    x: Value,
    order: float = 2,
    dims: Any = None,
    keepdim: bool = False,
    **kwargs: Any,
) -> Value:
    """The root of the sum of squares."""
    if order != 2:
        raise Unsupported(f"order {order}")
    squares = stage.elementwise("square", [x], stage.like(x.meta))
    total = reduce(stage, _aten.sum.dim_IntList, squares, dims, keepdim)
    return stage.elementwise("sqrt", [total], stage.like(total.meta))


@lowers(_aten.scaled_dot_product_attention.default)
def attention(
    stage: StageCompiler,
    target: Any,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """Heads are the product of all axes before the last two."""
    lead, queries, depth = query.shape[:-2], query.shape[-2], query.shape[-1]
    if dropout_p or enable_gqa or key.shape[:-2] != lead or value.shape[:-2] != lead:
        raise Unsupported("dropout, or groups of heads")
    heads, keys = math.prod(lead), key.shape[-2]
    q, k, v = (_dense_last(stage, m, heads) for m in (query, key, value))
    mask = None
    if attn_mask is not None:
        if attn_mask.meta.dtype == torch.bool:
            additive = stage.new(attn_mask.shape, torch.float32)
            attn_mask = stage.elementwise("where", [attn_mask, 0.0, -1e30], additive)
        full = attn_mask.meta.expand(*lead, queries, keys)
        mask = stage.reshaped(attn_mask.viewed(full), (heads, queries, keys))
    # The answer goes to (queries, heads, depth), where the projection after it wants it.
    width = value.shape[-1]
    result = stage.new((heads, queries, width), query.meta.dtype, (width, heads * width, 1))
    numbers = {"scale": depth**-0.5 if scale is None else scale, "causal": int(is_causal)}
    stage.emit("attention", [q, k, v, mask], result, numbers=numbers)
    return stage.reshaped(result, (*lead, queries, width)) if len(lead) != 1 else result


def _dense_last(stage: StageCompiler, x: Value, heads: int) -> Value:
    """(heads, rows, columns) with dense columns."""
    if x.shape[-1] > 1 and x.meta.stride(-1) != 1:
        x = stage.contiguous(x)
    return stage.reshaped(x, (heads, *x.shape[-2:]))


@lowers(_aten.batch_norm.default, _aten._native_batch_norm_legit_no_training.default)
def batch_norm(
    stage: StageCompiler,
    target: Any,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    mean: Value,
    variance: Value,
    *args: Any,
) -> Any:
    """In evaluation mode: times a gain plus an offset per channel."""
    eps = args[-1] if target is not _aten.batch_norm.default else args[2]
    channels, broadcast = x.shape[1], (-1, *([1] * (x.meta.dim() - 2)))
    place = stage.new((channels,), torch.float32)
    stage.elementwise("add", [variance, eps], place)
    gain = stage.elementwise("rsqrt", [place], stage.new((channels,), torch.float32))
    if weight is not None:
        gain = stage.elementwise("multiply", [gain, weight], stage.new((channels,), torch.float32))
    shift = stage.elementwise("multiply", [mean, gain], stage.new((channels,), torch.float32))
    shift = stage.elementwise(
        "subtract", [0.0 if bias is None else bias, shift], stage.new((channels,), torch.float32)
    )
    gain, shift = (stage.reshaped(v, (channels, *broadcast[1:])) for v in (gain, shift))
    scaled = stage.elementwise("multiply", [x, gain], stage.like(x.meta))
    result = stage.elementwise("add", [scaled, shift], stage.like(x.meta))
    return result if target is _aten.batch_norm.default else [result]
