"""What this machine is: read from /proc and /sys, without privileges and without importing anything heavy."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from vla_rt import __version__

# Instruction sets that the native engine chooses its kernels by (names as in /proc/cpuinfo).
KERNEL_FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "asimd", "bf16", "i8mm")


def read(path: str | Path) -> str | None:
    """Text of a small file without the surrounding space; None when it is absent or not readable."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def cpuinfo(field: str) -> str | None:
    """First value of a /proc/cpuinfo field, e.g. "model name"."""
    for line in (read("/proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return None


def cpu_flags() -> frozenset[str]:
    """Every CPU feature that the kernel names."""
    return frozenset((cpuinfo("flags") or cpuinfo("Features") or "").split())


def virtualisation() -> str:
    """Kind of virtual machine or container, or "none"."""
    if "hypervisor" in cpu_flags() or read("/sys/hypervisor/type"):
        vendor = read("/sys/class/dmi/id/sys_vendor") or read("/sys/hypervisor/type")
        clock = read("/sys/devices/system/clocksource/clocksource0/available_clocksource") or ""
        kind = vendor or ("KVM" if "kvm-clock" in clock else "unknown hypervisor")
        return f"virtual machine ({kind})"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return "container"
    return "none"


def package_version(name: str) -> str | None:
    """Version of an installed distribution, without importing it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def facts() -> dict[str, Any]:
    """Machine facts that stand beside every measurement.

    Returns:
        Keys cpu, cores (this process may use), features, memory_gib, kernel, architecture, virtualisation,
        load (mean number of runnable threads in the last minute), python, numpy, torch (None when not
        installed), vla_rt.
    """
    flags = cpu_flags()
    return {
        "cpu": cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "features": [name for name in KERNEL_FEATURES if name in flags],
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "virtualisation": virtualisation(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": package_version("numpy"),
        "torch": package_version("torch"),
        "vla_rt": __version__,
    }
