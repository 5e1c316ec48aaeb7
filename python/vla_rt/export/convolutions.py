"""One-dimensional convolutions as a linear layer of unfolded rows, where that is quicker.

At batch 1 and the short horizons of action chunks PyTorch's Conv1d and ConvTranspose1d take a slow path; the
same numbers, up to rounding, come quicker from one matrix product.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor, fx

from vla_rt.export import torchscript
from vla_rt.export.stages import Stages
from vla_rt.export.timing import fastest

_aten = torch.ops.aten


def choose(stages: Stages) -> tuple[Stages, dict[str, str]]:
    """The stages with their convolutions in the quicker form, and which that is: "linear" or "plain".

    The forms are measured as TorchScript: what makes the convolutions slow there is what AOTInductor calls
    too. A stage without convolutions is not mentioned.
    """
    found = {name: as_linears(getattr(stages, name)) for name in ("encode", "step")}
    rewritten: dict[str, Any] = {name: module for name, module in found.items() if module is not None}
    if not rewritten:
        return stages, {}
    forms = {"plain": stages, "linear": dataclasses.replace(stages, **rewritten)}
    calls = {form: torchscript.calls(candidate) for form, candidate in forms.items()}
    chosen = {name: fastest({form: calls[form][name] for form in forms}) for name in rewritten}
    quicker = {name: rewritten[name] for name, form in chosen.items() if form == "linear"}
    return dataclasses.replace(stages, **quicker), {
        f"convolutions_in_{n}": form for n, form in chosen.items()
    }


def as_linears(module: fx.GraphModule) -> fx.GraphModule | None:
    """A copy of `module` without the convolutions that can be written as linears; None without any.

    Left alone are grouped and dilated ones, those with an output padding, and those whose weights are not
    constants.
    """
    rewritten = fx.GraphModule(module, copy.deepcopy(module.graph))
    found = False
    for node in list(rewritten.graph.nodes):
        replace = _REWRITES.get(node.target)
        if replace is not None and replace(rewritten, node):
            found = True
    if not found:
        return None
    rewritten.graph.eliminate_dead_code()
    rewritten.graph.lint()
    rewritten.delete_all_unused_submodules()
    _drop_unused(rewritten)
    rewritten.recompile()
    return rewritten


class _Writer:
    """Emits calls before a node and constants into its module."""

    def __init__(self, module: fx.GraphModule, node: fx.Node) -> None:
        self._module, self._node = module, node

    def call(self, target: Any, *args: Any) -> fx.Node:
        with self._module.graph.inserting_before(self._node):
            return self._module.graph.call_function(target, args)

    def constant(self, value: Tensor) -> fx.Node:
        name = f"{self._node.name}_weight"
        self._module.register_buffer(name, value.contiguous())
        with self._module.graph.inserting_before(self._node):
            return self._module.graph.get_attr(name)

    def replace(self, value: fx.Node) -> None:
        value.meta = dict(self._node.meta)
        self._node.replace_all_uses_with(value)
        self._module.graph.erase_node(self._node)


def _convolution(module: fx.GraphModule, node: fx.Node) -> bool:
    x, weight, bias, stride, padding, dilation, groups = _arguments(
        node,
        (None, None, None, [1], [0], [1], 1),
        ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    )
    values = _constant(module, weight)
    if values is None or groups != 1 or list(dilation) != [1] or isinstance(padding, str):
        return False
    (step,), (pad,), width = stride, padding, values.shape[2]
    write = _Writer(module, node)
    if width == 1 and step == 1 and pad == 0:
        rows = write.call(_aten.transpose.int, x, 1, 2)
    else:
        padded = write.call(_aten.constant_pad_nd.default, x, [pad, pad]) if pad else x
        windows = write.call(_aten.unfold.default, padded, 2, width, step)  # (B, C, T, k)
        rows = write.call(_aten.permute.default, windows, [0, 2, 1, 3])
        rows = write.call(_aten.flatten.using_ints, rows, 2, 3)
    answer = write.call(_aten.linear.default, rows, write.constant(values.flatten(1)), bias)
    write.replace(write.call(_aten.transpose.int, answer, 1, 2))
    return True


def _transposed_convolution(module: fx.GraphModule, node: fx.Node) -> bool:
    x, weight, bias, stride, padding, output_padding, groups, dilation = _arguments(
        node,
        (None, None, None, [1], [0], [0], 1, [1]),
        ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
    )
    values = _constant(module, weight)
    if values is None or groups != 1 or list(dilation) != [1] or list(output_padding) != [0]:
        return False
    (step,), (pad,), (channels, outputs, width) = stride, padding, values.shape
    # Tap j of row t adds to row t step + j: whole strides of taps are shifted against each other and added.
    shifts = -(-width // step)
    taps = torch.nn.functional.pad(values, (0, shifts * step - width))
    taps = taps.permute(2, 1, 0).reshape(shifts * step * outputs, channels)
    write = _Writer(module, node)
    rows = write.call(_aten.transpose.int, x, 1, 2)
    products = write.call(_aten.linear.default, rows, write.constant(taps))
    products = write.call(_aten.unflatten.int, products, 2, [shifts, step * outputs])  # (B, T, shifts, ...)
    total: fx.Node | None = None
    for shift in range(shifts):
        part = write.call(_aten.select.int, products, 2, shift)
        part = write.call(_aten.constant_pad_nd.default, part, [0, 0, shift, shifts - 1 - shift])
        total = part if total is None else write.call(_aten.add.Tensor, total, part)
    flat = write.call(_aten.unflatten.int, total, 2, [step, outputs])
    flat = write.call(_aten.flatten.using_ints, flat, 1, 2)
    length = (_length(x) - 1) * step - 2 * pad + width
    answer = write.call(_aten.slice.Tensor, flat, 1, pad, pad + length)
    if bias is not None:
        answer = write.call(_aten.add.Tensor, answer, bias)
    write.replace(write.call(_aten.transpose.int, answer, 1, 2))
    return True


_REWRITES = {
    _aten.conv1d.default: _convolution,
    _aten.conv_transpose1d.default: _transposed_convolution,
}


def _arguments(node: fx.Node, defaults: tuple[Any, ...], names: tuple[str, ...]) -> list[Any]:
    given = list(node.args) + list(defaults[len(node.args) :])
    for i, name in enumerate(names):
        if name in node.kwargs:
            given[i] = node.kwargs[name]
    return given


def _constant(module: fx.GraphModule, weight: Any) -> Tensor | None:
    if not isinstance(weight, fx.Node) or weight.op != "get_attr":
        return None
    value: Tensor = getattr(module, str(weight.target))
    return value


def _length(x: Any) -> int:
    example: Tensor = x.meta["example"]
    return int(example.shape[2])


def _drop_unused(module: fx.GraphModule) -> None:
    used = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in module.named_buffers() if name not in used]:
        delattr(module, name)
