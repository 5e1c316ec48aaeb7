"""Matrices laid out as the engine packs them and, where a package asks for it, of narrower numbers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vla_rt.export.native.plan import Operation, Plan, View, dense_strides

#: Order of a weight's axes in the file, outermost first (outputs are neighbours), and the axis of outputs.
_LAYOUTS: dict[str, tuple[tuple[int, ...], int]] = {
    "linear": ((1, 0), 0),
    "convolution": ((2, 3, 1, 0), 0),
    "transposed_convolution": ((2, 0, 1), 1),
}
#: Matrices of fewer numbers stay bfloat16 in an int8 package: their time is none, and what touches the chunk
#: itself (the first layer and the last) is usually among them.
LEAST_INT8 = 1 << 15


def lay_out(plan: Plan, precision: str) -> None:
    """Gives every matrix a tensor of its own in the order in which the engine reads it.

    Args:
        plan: The plan, fused; changed in place.
        precision: float32, bfloat16 or int8, of the matrices used per chunk and per step. Those used at load
            are float32.
    """
    made: dict[tuple[View, str, str], tuple[View, View | None]] = {}
    for stage, operations in plan.stages.items():
        for operation in operations:
            if operation.op not in _LAYOUTS:
                continue
            weight = operation.inputs[1]
            assert weight is not None
            key = (weight, operation.op, "float32" if stage == "prepare" else precision)
            if key not in made:
                made[key] = _replaced(plan, operation, weight, key[2])
            operation.inputs[1], scale = made[key]
            if scale is not None:
                operation.inputs = [*[*operation.inputs, None][:3], scale]


def _replaced(plan: Plan, operation: Operation, weight: View, precision: str) -> tuple[View, View | None]:
    order, outputs = _LAYOUTS[operation.op]
    values = plan.weights[plan.buffers[weight.buffer].tensor].reshape(-1)
    strides = [s * values.itemsize for s in weight.strides]
    matrix = np.lib.stride_tricks.as_strided(values[weight.offset :], weight.shape, strides)
    if precision == "int8" and matrix.size < LEAST_INT8:
        precision = "bfloat16"
    scale = None
    if precision == "bfloat16":
        matrix = bfloat16_bits(matrix)
    elif precision == "int8":
        matrix, scales = int8_numbers(matrix, outputs)
        scale = plan.store(scales, torch.float32).view
    buffer = plan.store(np.ascontiguousarray(matrix.transpose(order)), torch.float32).buffer
    return View(buffer, 0, weight.shape, dense_strides(weight.shape, order)), scale


def bfloat16_bits(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The nearest bfloat16, half to even, as its 16 bits."""
    bits = np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def int8_numbers(values: NDArray[np.float32], outputs: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers in -127..127 and one scale per output, so that values is about numbers * scale."""
    others = tuple(a for a in range(values.ndim) if a != outputs)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    numbers = np.rint(values / scales).clip(-127, 127).astype(np.int8)
    return numbers, scales.reshape(-1)
