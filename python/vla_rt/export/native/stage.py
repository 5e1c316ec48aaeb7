"""One stage of a network turned into operations, node by node."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, fx
from torch.fx.node import map_aggregate

from vla_rt._core import ModelError
from vla_rt.export.native.plan import Operation, Plan, Value, View, dense_strides, memory

#: Lowers one ATen call: (stage, target, args, kwargs) -> value, or list of values.
OPERATORS: dict[Any, Callable[..., Any]] = {}
_Lowering = TypeVar("_Lowering", bound=Callable[..., Any])
_ADVICE = "the torchscript backend takes it"


def lowers(*targets: Any) -> Callable[[_Lowering], _Lowering]:
    """Registers a function as the lowering of ATen operators."""

    def register(function: _Lowering) -> _Lowering:
        OPERATORS.update(dict.fromkeys(targets, function))
        return function

    return register


#: What PyTorch does to numbers of these types otherwise than to real ones: bytes wrap, truths stay truths.
_OF_OWN_KIND = {
    torch.uint8: ("add", "subtract", "multiply", "negate", "square", "power"),
    torch.bool: ("add", "subtract", "negate"),
}


class Unsupported(ModelError):
    """The engine cannot compute a call."""


def place(node: fx.Node) -> str:
    """What to call a node: the operator, and the module it was traced in where that is known."""
    module = node.meta.get("module")
    return f"{node.target}" + (f" of {module}" if module else "")


class StageCompiler:
    """Turns the calls of one stage into operations of `plan`.

    Args:
        plan: The plan to add to.
        name: prepare, encode or step.
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self.plan = plan
        self.name = name

    def compile(self, module: fx.GraphModule, inputs: Sequence[Value]) -> list[Value]:
        """Lowers every call; returns the stage's answers."""
        given = iter(inputs)
        values: dict[fx.Node, Any] = {}
        for node in module.graph.nodes:
            if node.op == "placeholder":
                values[node] = next(given)
            elif node.op == "get_attr":
                values[node] = self.plan.constant(getattr(module, node.target))
            elif node.op == "call_function":
                args, kwargs = map_aggregate((node.args, node.kwargs), lambda a: _known(a, values))
                values[node] = self._call(node, args, kwargs)
            elif node.op == "output":
                answers = map_aggregate(node.args[0], lambda a: _known(a, values))
                return list(answers) if isinstance(answers, tuple | list) else [answers]
        raise AssertionError("a graph without output")

    def _call(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        if node.target is operator.getitem:
            return args[0][args[1]]
        lowering = OPERATORS.get(node.target)
        if lowering is None:
            raise Unsupported(f"the native engine has no operator for {place(node)}; {_ADVICE}")
        try:
            return lowering(self, node.target, *args, **kwargs)
        except (Unsupported, TypeError, RuntimeError) as cause:
            raise Unsupported(
                f"the native engine cannot take {place(node)}: {str(cause).splitlines()[0]}; {_ADVICE}"
            ) from cause

    # What lowerings are made of.

    def emit(
        self,
        op: str,
        inputs: Sequence[Value | View | None],
        output: Value | View,
        function: str = "",
        numbers: Mapping[str, float | Sequence[float]] | None = None,
    ) -> None:
        """Adds an operation."""
        views = [v.view if isinstance(v, Value) else v for v in inputs]
        lists = {
            name: [float(v)] if isinstance(v, int | float) else [float(n) for n in v]
            for name, v in (numbers or {}).items()
        }
        target = output.view if isinstance(output, Value) else output
        self.plan.stages[self.name].append(Operation(op, views, target, function, lists))

    def new(self, shape: Sequence[int], dtype: torch.dtype, strides: Sequence[int] | None = None) -> Value:
        """Temporary memory."""
        return self.plan.allocate("temporary", shape, dtype, strides)

    def like(self, meta: Tensor) -> Value:
        """Temporary memory laid out as `meta` is, without its gaps."""
        order = sorted(range(meta.dim()), key=lambda a: (-meta.stride()[a], a))
        return self.new(meta.shape, meta.dtype, dense_strides(meta.shape, order))

    def value(self, operand: Any) -> Value:
        """A tensor, or a number as one."""
        return operand if isinstance(operand, Value) else self.plan.scalar(operand)

    def elementwise(self, function: str, operands: Sequence[Any], output: Value) -> Value:
        """Adds an elementwise operation over broadcast operands."""
        if function in _OF_OWN_KIND.get(output.meta.dtype, ()):
            raise Unsupported(f"{function} of {str(output.meta.dtype).removeprefix('torch.')}")
        self.emit("elementwise", [self.value(o) for o in operands], output, function)
        return output

    def contiguous(self, value: Value) -> Value:
        """`value`, row-major without gaps: itself or a copy."""
        if value.meta.is_contiguous():
            return value
        return self.elementwise("copy", [value], self.new(value.shape, value.meta.dtype))

    def rows(self, value: Value) -> Value:
        """`value` with dense rows whose leading axes fold into one: itself or a copy."""
        shape, strides = value.shape, value.meta.stride()
        dense = shape[-1] == 1 or strides[-1] == 1
        axes = [a for a in range(len(shape) - 1) if shape[a] > 1]
        folds = all(strides[a] == strides[b] * shape[b] for a, b in itertools.pairwise(axes))
        return value if dense and folds else self.contiguous(value)

    def reshaped(self, value: Value, shape: Sequence[int]) -> Value:
        """`value` in another shape: a view where the memory allows, else of a copy."""
        try:
            return value.viewed(value.meta.view(tuple(shape)))
        except RuntimeError:
            copied = self.contiguous(value)
            return copied.viewed(copied.meta.view(tuple(shape)))

    def channels_last(self, value: Value) -> Value:
        """(1, C, *space) with the channels of a place beside each other: itself or a copy."""
        if value.shape[0] != 1:
            raise Unsupported(f"a batch of {value.shape[0]}")
        moved = value.viewed(value.meta.movedim(1, -1))
        dense = self.rows(moved)
        return value if dense is moved else dense.viewed(dense.meta.movedim(-1, 1))

    def new_channels_last(self, shape: Sequence[int], dtype: torch.dtype) -> Value:
        """Temporary memory (1, C, *space) in that layout."""
        return self.new(shape, dtype, dense_strides(shape, [0, *range(2, len(shape)), 1]))

    def retyped(self, value: Value, dtype: torch.dtype) -> Value:
        """The same numbers under another dtype."""
        m = value.meta
        return value.viewed(memory(m.shape, m.stride(), int(m.storage_offset()), dtype))


def _known(argument: Any, values: dict[fx.Node, Any]) -> Any:
    return values[argument] if isinstance(argument, fx.Node) else argument


def metas(arguments: Any) -> Any:
    """Arguments with the meta tensors in place of values."""
    if isinstance(arguments, Value):
        return arguments.meta
    if isinstance(arguments, tuple | list):
        return type(arguments)(metas(a) for a in arguments)
    return {k: metas(v) for k, v in arguments.items()} if isinstance(arguments, dict) else arguments
