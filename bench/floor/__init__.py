"""What one core of this machine computes and reads at most, measured, and what a network needs of it."""

from __future__ import annotations

import ctypes
import json
import math
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

_SIZES = {"F32": 4, "BF16": 2, "I8": 1}
_L2_BYTES, _L3_BYTES, _MEMORY_BYTES = 640 << 10, 12 << 20, 256 << 20


@dataclass(frozen=True)
class Limits:
    """Of one core: Gop/s (a multiplication and an addition are two), GB/s of reading; 0 is not there."""

    float32: float
    bfloat16: float
    int8: float
    l2: float
    l3: float
    memory: float

    def to_dict(self) -> dict[str, float]:
        """As JSON holds it."""
        return asdict(self)

    def reading(self, working_set: float) -> float:
        """GB/s for data of this size that is read once per turn."""
        if working_set <= _cache_bytes(2, 1 << 20):
            return self.l2
        return self.l3 if working_set <= _cache_bytes(3, 32 << 20) else self.memory


def _cache_bytes(level: int, otherwise: int) -> int:
    """What the system says of a cache, which a virtual machine may not know."""
    size = Path(f"/sys/devices/system/cpu/cpu0/cache/index{level}/size")
    try:
        return int(size.read_text().strip().removesuffix("K")) << 10
    except (OSError, ValueError):
        return otherwise


def measure() -> Limits | None:
    """Measures; None where there is no C compiler. Takes some seconds."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "floor.so"
        source = Path(__file__).with_name("floor.c")
        flags = ["-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC"]
        if subprocess.run([compiler, *flags, "-o", str(library), str(source)], check=False).returncode:
            return None
        c = ctypes.CDLL(str(library))
        for name in ("floor_float32", "floor_bfloat16", "floor_int8", "floor_read"):
            getattr(c, name).restype = ctypes.c_double
        reads = [float(c.floor_read(ctypes.c_size_t(n))) for n in (_L2_BYTES, _L3_BYTES, _MEMORY_BYTES)]
        return Limits(c.floor_float32(), c.floor_bfloat16(), c.floor_int8(), *reads)


@dataclass(frozen=True)
class Work:
    """Multiplications of one pass of a stage's matrices, and the bytes of their weights, by type."""

    products: dict[str, float]
    bytes: dict[str, float]

    @property
    def operations(self) -> float:
        """Multiplications and additions."""
        return 2 * sum(self.products.values())

    @property
    def total_bytes(self) -> float:
        """Of all weights."""
        return sum(self.bytes.values())


def work(folder: Path, stage: str) -> Work:
    """What the plan in `folder` has one pass of a stage do."""
    plan = json.loads((folder / "plan.json").read_text())
    with (folder / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    products = dict.fromkeys(_SIZES, 0.0)
    weights: dict[int, tuple[str, float]] = {}
    for operation in plan[stage]:
        if operation["op"] not in ("linear", "convolution", "transposed_convolution"):
            continue
        weight, output = (plan["views"][i] for i in (operation["inputs"][1], operation["output"]))
        kind = header[plan["buffers"][weight["buffer"]]["tensor"]]["dtype"]
        size = math.prod(weight["shape"])
        rows = math.prod(output["shape"][:-1])
        if operation["op"] == "transposed_convolution":  # every weight meets every row of the input
            rows = math.prod(plan["views"][operation["inputs"][0]]["shape"][:-1])
        products[kind] += rows * size
        weights[operation["inputs"][1]] = (kind, _SIZES[kind] * size)
    read = dict.fromkeys(_SIZES, 0.0)
    for kind, size in weights.values():
        read[kind] += size
    return Work(products, read)


def least_us(limits: Limits, encode: Work, step: Work, steps: int) -> float:
    """Time that no engine on one core can beat for one chunk with these weights."""
    rates = {
        "F32": limits.float32,
        "BF16": limits.bfloat16 or limits.float32,
        "I8": limits.int8 or limits.float32,
    }
    reading = limits.reading(encode.total_bytes + step.total_bytes)
    again = limits.reading(step.total_bytes)

    def stage(w: Work, rate: float) -> float:
        computing = sum(2 * n / rates[kind] for kind, n in w.products.items())
        return max(computing, w.total_bytes / rate) * 1e-3

    return stage(encode, reading) + stage(step, reading) + (steps - 1) * stage(step, again)


def draw_roofline(limits: Limits, points: dict[str, tuple[float, float]], path: Path) -> None:
    """Operations per byte against Gop/s: the machine's roofs and, by name, what was reached."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    figure, axes = plt.subplots(figsize=(8, 5.5))
    intensity = np.geomspace(0.25, 1024, 200)
    for name, rate in (("L2", limits.l2), ("L3", limits.l3), ("memory", limits.memory)):
        axes.plot(
            intensity,
            np.minimum(rate * intensity, max(_rates(limits))),
            lw=1,
            label=f"{name} {rate:.0f} GB/s",
        )
    for name in ("float32", "bfloat16", "int8"):
        if rate := getattr(limits, name):
            axes.axhline(rate, lw=1, ls=":", color="gray")
            axes.annotate(f"{name} {rate:.0f} Gop/s", (300, rate), va="bottom", fontsize=8)
    for name, (x, y) in points.items():
        axes.plot(x, y, "o", ms=5)
        axes.annotate(name, (x, y), xytext=(5, 3), textcoords="offset points", fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="operations per byte of weights", ylabel="Gop/s")
    axes.legend(loc="lower right", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _rates(limits: Limits) -> list[float]:
    return [limits.float32, limits.bfloat16, limits.int8]
