"""What the stages of a native plan must at least do: weights to read, multiplications and additions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

_WIDTH = {"F32": 4, "BF16": 2, "I8": 1}
_MATRICES = ("linear", "convolution", "transposed_convolution")


@dataclass(frozen=True)
class StageWork:
    """Of one run of a stage.

    Attributes:
        bytes: Weights, each tensor once.
        flop: Of matrices, products and attention.
        narrow: Whether a matrix is of fewer than 32 bits, so that float32 says nothing about its arithmetic.
    """

    bytes: int
    flop: int
    narrow: bool

    def least_us(self, limits: dict[str, float]) -> float:
        """The longer of reading the weights and, in float32, of calculating [us]."""
        reading = self.bytes / (limits["read_gb_s"] * 1e3)
        return reading if self.narrow else max(reading, self.flop / (limits["gflop_s"] * 1e3))


@dataclass(frozen=True)
class PlanWork:
    """Of encode and step."""

    encode: StageWork
    step: StageWork

    @classmethod
    def read(cls, folder: Path) -> PlanWork:
        """From a package that has been opened once, so is known to be sound."""
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        with (folder / "model.safetensors").open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return cls(_work(plan, header, "encode"), _work(plan, header, "step"))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            name: {"bytes": stage.bytes, "flop": stage.flop}
            for name, stage in (("encode", self.encode), ("step", self.step))
        }


def _work(plan: dict[str, Any], header: dict[str, Any], stage: str) -> StageWork:
    tensors: set[str] = set()
    flop, narrow = 0, False
    for operation in plan[stage]:
        views = [plan["views"][v] for v in operation["inputs"] if v >= 0]
        shapes = [view["shape"] for view in views]
        output = plan["views"][operation["output"]]["shape"]
        for view in views:
            if (name := plan["buffers"][view["buffer"]].get("tensor")) is not None:
                tensors.add(name)
                narrow = narrow or header[name]["dtype"] != "F32"
        if operation["op"] in _MATRICES:
            rows = prod(shapes[0] if operation["op"] == "transposed_convolution" else output)
            channel = -1
            rows //= (shapes[0] if operation["op"] == "transposed_convolution" else output)[channel]
            flop += 2 * rows * prod(shapes[1])
        elif operation["op"] == "product":
            flop += 2 * prod(output) * shapes[0][2]
        elif operation["op"] == "attention":
            heads, queries, depth = shapes[0]
            flop += 2 * heads * queries * shapes[1][1] * (depth + shapes[2][2])
    size = sum(prod(header[name]["shape"]) * _WIDTH[header[name]["dtype"]] for name in tensors)
    return StageWork(size, flop, narrow)
