"""A plan of the native engine under construction: buffers, views of them, and operations on the views."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vla_rt._core import ModelError

#: Names of the files inside a package.
PLAN_FILE = "plan.json"
WEIGHTS_FILE = "model.safetensors"
STAGES = ("prepare", "encode", "step")

Role = Literal["weight", "temporary", "row", "context", "time", "observation", "input", "answer"]
_WHOLE_NUMBERS_END = 2**24  # float32 holds every whole number up to here


@dataclass(frozen=True)
class View:
    """Part of a buffer as a tensor: element (i, j) is at offset + i * strides[0] + j * strides[1]."""

    buffer: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the network, and where its numbers are.

    Attributes:
        buffer: Its buffer.
        meta: A tensor of the meta device with sizes, strides and offset inside the buffer, so that PyTorch
            itself says what a view of it is. The dtype is the network's; the engine holds float32.
    """

    buffer: int
    meta: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return tuple(self.meta.shape)

    @property
    def view(self) -> View:
        """As an operand."""
        return View(self.buffer, int(self.meta.storage_offset()), self.shape, tuple(self.meta.stride()))

    def viewed(self, meta: Tensor) -> Value:
        """The same numbers as another tensor of the same memory."""
        return Value(self.buffer, meta)


@dataclass
class Buffer:
    """Memory of a plan."""

    role: Role
    size: int
    tensor: str = ""


@dataclass
class Operation:
    """One call of the engine."""

    op: str
    inputs: list[View | None]
    output: View
    function: str = ""
    numbers: dict[str, list[float]] = field(default_factory=dict)

    def to_dict(self, number: Any) -> dict[str, Any]:
        """As plan.json holds it; `number` gives the index of a view."""
        result: dict[str, Any] = {
            "op": self.op,
            "inputs": [-1 if view is None else number(view) for view in self.inputs],
            "output": number(self.output),
        }
        if self.function:
            result["function"] = self.function
        return result | self.numbers


def memory(shape: Sequence[int], strides: Sequence[int], offset: int, dtype: torch.dtype) -> Tensor:
    """A tensor of the meta device with exactly this layout."""
    end = offset + 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    return torch.empty(end, dtype=dtype, device="meta").as_strided(tuple(shape), tuple(strides), offset)


def dense_strides(shape: Sequence[int], outermost_first: Iterable[int]) -> tuple[int, ...]:
    """Strides of a tensor without gaps whose axes follow each other in memory in the given order."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(list(outermost_first)):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


class Plan:
    """Buffers, weights, and the operations of the three stages."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.stages: dict[str, list[Operation]] = {stage: [] for stage in STAGES}
        self.weights: dict[str, NDArray[Any]] = {}
        self._constants: dict[Any, Value] = {}
        self._kept: list[Tensor] = []  # their addresses are keys

    def allocate(
        self, role: Role, shape: Sequence[int], dtype: torch.dtype, strides: Sequence[int] | None = None
    ) -> Value:
        """A new buffer as one tensor, row-major unless `strides` says otherwise."""
        strides = dense_strides(shape, range(len(shape))) if strides is None else strides
        meta = memory(shape, strides, 0, dtype)
        size = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        self.buffers.append(Buffer(role, size))
        return Value(len(self.buffers) - 1, meta)

    def constant(self, tensor: Tensor) -> Value:
        """A tensor of the weights file; equal memory is stored once."""
        key = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if key not in self._constants:
            values = tensor.detach().to(torch.float64)
            if not tensor.is_floating_point() and tensor.numel() and values.abs().max() > _WHOLE_NUMBERS_END:
                raise ModelError("the native engine holds whole numbers up to 2^24")
            self._constants[key] = self.store(values.to(torch.float32).numpy(), tensor.dtype)
            self._kept.append(tensor)
        return self._constants[key]

    def scalar(self, number: float) -> Value:
        """A number as a tensor without axes."""
        key = float(number)
        if key not in self._constants:
            self._constants[key] = self.store(np.array(key, np.float32), torch.float32)
        return self._constants[key]

    def store(self, array: NDArray[Any], dtype: torch.dtype) -> Value:
        """A new tensor of the weights file: float32, bfloat16 (as its 16 bits) or int8."""
        name = f"tensor_{len(self.weights)}"
        self.weights[name] = np.ascontiguousarray(array)
        value = self.allocate("weight", array.shape, dtype)
        self.buffers[value.buffer].tensor = name
        return value

    def save(self, folder: Path) -> None:
        """Writes plan.json and model.safetensors."""
        self._drop_unused()
        views: dict[View, int] = {}

        def number(view: View) -> int:
            return views.setdefault(view, len(views))

        stages = {name: [o.to_dict(number) for o in operations] for name, operations in self.stages.items()}
        document = {
            "schema_version": 1,
            "buffers": [
                {"role": b.role, "tensor": b.tensor}
                if b.role == "weight"
                else {"role": b.role, "size": b.size}
                for b in self.buffers
            ],
            "views": [
                {"buffer": v.buffer, "offset": v.offset, "shape": v.shape, "strides": v.strides}
                for v in views
            ],
            **stages,
        }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False)
        (folder / PLAN_FILE).write_text(text + "\n", encoding="utf-8")
        write_safetensors(folder / WEIGHTS_FILE, self.weights)

    def _drop_unused(self) -> None:
        """Leaves out weights and temporary buffers that no operation touches."""
        operations = [o for stage in self.stages.values() for o in stage]
        used = {v.buffer for o in operations for v in (*o.inputs, o.output) if v is not None}
        kept = [i for i, b in enumerate(self.buffers) if i in used or b.role not in ("weight", "temporary")]
        place = {old: new for new, old in enumerate(kept)}

        def moved(view: View) -> View:
            return View(place[view.buffer], view.offset, view.shape, view.strides)

        for operation in operations:
            operation.inputs = [None if v is None else moved(v) for v in operation.inputs]
            operation.output = moved(operation.output)
        self.buffers = [self.buffers[i] for i in kept]
        names = {b.tensor for b in self.buffers if b.role == "weight"}
        self.weights = {name: array for name, array in self.weights.items() if name in names}


#: Names in the weights file; bfloat16 is held as its 16 bits.
_DTYPES = {"float32": "F32", "uint16": "BF16", "int8": "I8"}


def write_safetensors(path: Path, tensors: dict[str, NDArray[Any]]) -> None:
    """Writes tensors in the format of the same name: length, JSON header, bytes.

    Wider numbers come first, so that every tensor begins at a multiple of its number's size.
    """
    header, end = {}, 0
    tensors = dict(sorted(tensors.items(), key=lambda item: -item[1].itemsize))
    for name, array in tensors.items():
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [end, end + array.nbytes],
        }
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 64 + 56)  # the first tensor begins at a cache line
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            stream.write(array.astype(array.dtype.newbyteorder("<")).tobytes())
