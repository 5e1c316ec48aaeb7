"""Lowerings of elementwise calls."""

from __future__ import annotations

from typing import Any

import torch

from vla_rt.export.native.plan import Value
from vla_rt.export.native.stage import StageCompiler, Unsupported, lowers, metas

_aten = torch.ops.aten

_UNARY = {
    _aten.relu.default: "relu",
    _aten.silu.default: "silu",
    _aten.mish.default: "mish",
    _aten.tanh.default: "tanh",
    _aten.sigmoid.default: "sigmoid",
    _aten.exp.default: "exp",
    _aten.log.default: "log",
    _aten.sqrt.default: "sqrt",
    _aten.rsqrt.default: "rsqrt",
    _aten.reciprocal.default: "reciprocal",
    _aten.neg.default: "negate",
    _aten.abs.default: "absolute",
    _aten.square.default: "square",
    _aten.sin.default: "sine",
    _aten.cos.default: "cosine",
    _aten.logical_not.default: "not",
    _aten.bitwise_not.default: "not",
    _aten.clone.default: "copy",
}
_BINARY = {
    _aten.add.Tensor: "add",
    _aten.add.Scalar: "add",
    _aten.sub.Tensor: "subtract",
    _aten.sub.Scalar: "subtract",
    _aten.mul.Tensor: "multiply",
    _aten.mul.Scalar: "multiply",
    _aten.div.Tensor: "divide",
    _aten.div.Scalar: "divide",
    _aten.maximum.default: "maximum",
    _aten.minimum.default: "minimum",
    _aten.pow.Tensor_Tensor: "power",
    _aten.pow.Scalar: "power",
    _aten.lt.Tensor: "less",
    _aten.lt.Scalar: "less",
    _aten.le.Tensor: "less_equal",
    _aten.le.Scalar: "less_equal",
    _aten.eq.Tensor: "equal",
    _aten.eq.Scalar: "equal",
    _aten.ne.Tensor: "not_equal",
    _aten.ne.Scalar: "not_equal",
    _aten.logical_and.default: "multiply",
    _aten.bitwise_and.Tensor: "multiply",
    _aten.__and__.Tensor: "multiply",
    _aten.logical_or.default: "maximum",
    _aten.bitwise_or.Tensor: "maximum",
    _aten.__or__.Tensor: "maximum",
}
_BITS = (
    _aten.bitwise_and.Tensor,
    _aten.bitwise_or.Tensor,
    _aten.__and__.Tensor,
    _aten.__or__.Tensor,
)
_SWAPPED = {
    _aten.gt.Tensor: "less",
    _aten.gt.Scalar: "less",
    _aten.ge.Tensor: "less_equal",
    _aten.ge.Scalar: "less_equal",
}


def _result(stage: StageCompiler, target: Any, args: Any, kwargs: Any) -> Value:
    """Memory for the answer, laid out as PyTorch would."""
    return stage.like(target(*metas(args), **metas(kwargs)))


@lowers(*_UNARY)
def unary(stage: StageCompiler, target: Any, x: Value, **kwargs: Any) -> Value:
    """One operand."""
    if target is _aten.bitwise_not.default and x.meta.dtype != torch.bool:
        raise Unsupported("bits of whole numbers")
    return stage.elementwise(_UNARY[target], [x], _result(stage, target, (x,), kwargs))


@lowers(*_BINARY)
def binary(stage: StageCompiler, target: Any, a: Any, b: Any, **kwargs: Any) -> Value:
    """Two operands."""
    if target in _BITS and not all(o.meta.dtype == torch.bool for o in (a, b)):
        raise Unsupported("bits of whole numbers")
    alpha = kwargs.get("alpha", 1)
    result = _result(stage, target, (a, b), kwargs)
    if alpha != 1:
        b = stage.elementwise("multiply", [b, alpha], stage.like(stage.value(b).meta))
    return stage.elementwise(_BINARY[target], [a, b], result)


@lowers(*_SWAPPED)
def swapped(stage: StageCompiler, target: Any, a: Any, b: Any) -> Value:
    """A > b is b < a."""
    return stage.elementwise(_SWAPPED[target], [b, a], _result(stage, target, (a, b), {}))


@lowers(_aten.rsub.Scalar, _aten.rsub.Tensor)
def reversed_subtract(stage: StageCompiler, target: Any, a: Value, b: Any, alpha: float = 1) -> Value:
    """B - alpha a"""
    if alpha != 1:
        raise Unsupported(f"alpha = {alpha}")
    return stage.elementwise("subtract", [b, a], _result(stage, target, (a, b), {}))


@lowers(_aten.pow.Tensor_Scalar)
def power(stage: StageCompiler, target: Any, x: Value, exponent: float) -> Value:
    """Squares and roots have functions of their own."""
    result = _result(stage, target, (x, exponent), {})
    simple = {2: "square", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}.get(exponent)
    if simple is not None:
        return stage.elementwise(simple, [x], result)
    return stage.elementwise("power", [x, exponent], result)


@lowers(_aten.gelu.default)
def gelu(stage: StageCompiler, target: Any, x: Value, approximate: str = "none") -> Value:
    """With the error function, or its approximation by tanh."""
    function = "gelu_tanh" if approximate == "tanh" else "gelu"
    return stage.elementwise(function, [x], stage.like(x.meta))


@lowers(_aten.softplus.default)
def softplus(stage: StageCompiler, target: Any, x: Value, beta: float = 1, threshold: float = 20) -> Value:
    """Above the threshold both forms agree to float32."""
    if beta != 1 or threshold < 15:
        raise Unsupported(f"beta = {beta}, threshold = {threshold}")
    return stage.elementwise("softplus", [x], stage.like(x.meta))


@lowers(_aten.leaky_relu.default)
def leaky_relu(stage: StageCompiler, target: Any, x: Value, slope: float = 0.01) -> Value:
    """max(x, slope x) for slopes up to 1."""
    if not 0 <= slope <= 1:
        raise Unsupported(f"slope = {slope}")
    small = stage.elementwise("multiply", [x, slope], stage.like(x.meta))
    return stage.elementwise("maximum", [x, small], stage.like(x.meta))


@lowers(_aten.clamp.default, _aten.clamp.Tensor, _aten.hardtanh.default)
def clamp(
    stage: StageCompiler, target: Any, x: Value, min: Any = None, max: Any = None, **kwargs: Any
) -> Value:
    """Between two bounds, either of which may be None."""
    low, high = kwargs.get("min_val", min), kwargs.get("max_val", max)
    if target is _aten.hardtanh.default:
        low, high = (-1.0 if low is None else low), (1.0 if high is None else high)
    for function, bound in (("maximum", low), ("minimum", high)):
        if bound is not None:
            x = stage.elementwise(function, [x, bound], stage.like(x.meta))
    return x


@lowers(_aten.clamp_min.default)
def clamp_min(stage: StageCompiler, target: Any, x: Value, bound: float) -> Value:
    """At least a bound."""
    return clamp(stage, target, x, bound, None)


@lowers(_aten.clamp_max.default)
def clamp_max(stage: StageCompiler, target: Any, x: Value, bound: float) -> Value:
    """At most a bound."""
    return clamp(stage, target, x, None, bound)


@lowers(_aten.where.self, _aten.where.ScalarOther, _aten.where.ScalarSelf, _aten.where.Scalar)
def where(stage: StageCompiler, target: Any, condition: Value, a: Any, b: Any) -> Value:
    """Condition ? a : b"""
    return stage.elementwise("where", [condition, a, b], _result(stage, target, (condition, a, b), {}))


@lowers(_aten.masked_fill.Scalar, _aten.masked_fill.Tensor)
def masked_fill(stage: StageCompiler, target: Any, x: Value, mask: Value, number: Any) -> Value:
    """Mask ? number : x, with an infinity taken to a number far below every score."""
    if isinstance(number, float) and number == -float("inf"):
        number = -1e30
    return stage.elementwise("where", [mask, number, x], stage.like(x.meta))


@lowers(_aten.lerp.Tensor, _aten.lerp.Scalar)
def lerp(stage: StageCompiler, target: Any, start: Value, end: Value, weight: Any) -> Value:
    """Start + weight (end - start)"""
    result = _result(stage, target, (start, end, weight), {})
    difference = stage.elementwise("subtract", [end, start], stage.like(result.meta))
    part = stage.elementwise("multiply", [difference, weight], stage.like(result.meta))
    return stage.elementwise("add", [start, part], result)


@lowers(_aten.addcmul.default)
def addcmul(stage: StageCompiler, target: Any, x: Value, a: Value, b: Value, value: float = 1) -> Value:
    """X + value a b"""
    if value != 1:
        raise Unsupported(f"value = {value}")
    result = _result(stage, target, (x, a, b), {})
    product = stage.elementwise("multiply", [a, b], stage.like(result.meta))
    return stage.elementwise("add", [x, product], result)


@lowers(_aten._to_copy.default, _aten.to.dtype, _aten.to.dtype_layout, _aten.type_as.default)
def convert(stage: StageCompiler, target: Any, x: Value, *args: Any, **kwargs: Any) -> Value:
    """Another dtype: the engine's numbers stay float32, so only fractions can be lost."""
    dtype = target(*metas((x, *args)), **metas(kwargs)).dtype
    if dtype == torch.uint8 and x.meta.dtype not in (torch.uint8, torch.bool):
        raise Unsupported("numbers that wrap to bytes")
    if dtype == torch.bool and x.meta.dtype != torch.bool:
        return stage.elementwise("not_equal", [x, 0.0], stage.like(x.meta.to(dtype)))
    if x.meta.dtype.is_floating_point and not dtype.is_floating_point:
        return stage.elementwise("truncate", [x], stage.like(x.meta.to(dtype)))
    return stage.retyped(x, dtype)


_FILLS = {
    _aten.new_zeros.default: 0.0,
    _aten.new_ones.default: 1.0,
    _aten.zeros_like.default: 0.0,
    _aten.ones_like.default: 1.0,
    _aten.new_full.default: None,
    _aten.full_like.default: None,
}


@lowers(*_FILLS)
def fill(stage: StageCompiler, target: Any, x: Value, *args: Any, **kwargs: Any) -> Value:
    """A tensor of one number."""
    number = _FILLS[target]
    number = args[-1] if number is None else number
    result = _result(stage, target, (x, *args), kwargs)
    return stage.elementwise("copy", [number], result)
