"""Lowerings of layers that are many operations: pooling, recurrent layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch

from vla_rt.export.native.layer_operators import linear
from vla_rt.export.native.plan import Value
from vla_rt.export.native.shape_operators import stack
from vla_rt.export.native.stage import StageCompiler, Unsupported, lowers

_aten = torch.ops.aten
_FAR_BELOW = -1e30  # what padding holds under a maximum


@lowers(_aten.max_pool2d.default)
def max_pool(
    stage: StageCompiler,
    target: Any,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Value:
    """The largest of the places that a window covers: one maximum per place of the window."""
    kernel, padding, dilation = (list(o) * 2 if len(o) == 1 else list(o) for o in (kernel, padding, dilation))
    stride = list(stride) * 2 if len(stride) == 1 else list(stride) or kernel
    if ceil_mode:
        raise Unsupported("ceil_mode")
    shape = target(x.meta, kernel, stride, padding, dilation).shape
    padded = stage.channels_last(x)
    if any(padding):
        around = [1, x.shape[1], *(n + 2 * p for n, p in zip(x.shape[2:], padding, strict=True))]
        padded = stage.elementwise("copy", [_FAR_BELOW], stage.new_channels_last(around, x.meta.dtype))
        inside = padded.meta[:, :, padding[0] : padding[0] + x.shape[2], padding[1] : padding[1] + x.shape[3]]
        stage.elementwise("copy", [x], padded.viewed(inside))
    result: Value | None = None
    for i, j in itertools.product(range(kernel[0]), range(kernel[1])):
        top, left = i * dilation[0], j * dilation[1]
        rows = slice(top, top + (shape[2] - 1) * stride[0] + 1, stride[0])
        columns = slice(left, left + (shape[3] - 1) * stride[1] + 1, stride[1])
        window = padded.viewed(padded.meta[:, :, rows, columns])
        place = stage.new_channels_last(shape, x.meta.dtype)
        function, operands = ("copy", [window]) if result is None else ("maximum", [result, window])
        result = stage.elementwise(function, operands, place)
    assert result is not None
    return result


@lowers(_aten.lstm.input)
def lstm(
    stage: StageCompiler,
    target: Any,
    x: Value,
    state: Sequence[Value],
    parameters: Sequence[Value],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> list[Value]:
    """Time after time written out: all inputs' gates in one product, then one product per time."""
    per_layer = 4 if has_biases else 2
    if bidirectional or len(parameters) != per_layer * num_layers:
        raise Unsupported("a bidirectional or projected LSTM")
    if not batch_first:
        x = x.viewed(x.meta.transpose(0, 1))
    if x.shape[0] != 1:
        raise Unsupported(f"a batch of {x.shape[0]}")
    hiddens, cells = [], []
    for layer in range(num_layers):
        weights = parameters[per_layer * layer : per_layer * (layer + 1)]
        h, c = (s.viewed(s.meta[layer]) for s in state)
        x, h, c = _recur(stage, x, h, c, weights)
        hiddens.append(h)
        cells.append(c)
    output = x if batch_first else x.viewed(x.meta.transpose(0, 1))
    return [output, stack(stage, target, hiddens), stack(stage, target, cells)]


def _recur(
    stage: StageCompiler, x: Value, h: Value, c: Value, weights: Sequence[Value]
) -> tuple[Value, Value, Value]:
    """One layer: outputs (1, T, H), last hidden state and cell (1, H)."""
    inputs = linear(stage, _aten.linear.default, x, weights[0], weights[2] if len(weights) == 4 else None)
    times, width = x.shape[1], weights[1].shape[1]
    outputs = stage.new((1, times, width), x.meta.dtype)

    def new() -> Value:
        return stage.new((1, width), x.meta.dtype)

    for t in range(times):
        row = inputs.viewed(inputs.meta[0, t])
        if len(weights) == 4:
            row = stage.elementwise("add", [row, weights[3]], stage.new(row.shape, x.meta.dtype))
        gates = linear(stage, _aten.linear.default, h, weights[1], row)
        i, f, g, o = (gates.viewed(part) for part in gates.meta.chunk(4, dim=-1))
        i, f, o = (stage.elementwise("sigmoid", [gate], new()) for gate in (i, f, o))
        g = stage.elementwise("tanh", [g], new())
        kept = stage.elementwise("multiply", [f, c], new())
        added = stage.elementwise("multiply", [i, g], new())
        c = stage.elementwise("add", [kept, added], new())
        h = outputs.viewed(outputs.meta[:, t])
        stage.elementwise("multiply", [o, stage.elementwise("tanh", [c], new())], h)
    return outputs, h, c
