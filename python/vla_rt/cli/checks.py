"""What `vla-rt doctor` looks at: one function per finding, each ready to be called alone.

Everything is read as the user who calls; what that user may not read says so.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vla_rt.cli import machine

Verdict = Literal["ok", "warn", "bad"]

CPU = Path("/sys/devices/system/cpu")
# Clock sources that clock_gettime reads through the vDSO, without a system call.
VDSO_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "riscv_clocksource")
UNREADABLE = "not readable"
CAP_IPC_LOCK, CAP_SYS_NICE = 14, 23


@dataclass(frozen=True)
class Item:
    """One finding. `fix` is empty when nothing needs to be done, or when nothing can be."""

    name: str
    value: str
    verdict: Verdict
    why: str
    fix: str = ""


def kernel() -> Item:
    release = platform.release()
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= (4, 14):
        return Item("kernel", release, "ok", f"{platform.system()} {platform.machine()}")
    return Item("kernel", release, "warn", "kernels before 4.14 are untested", "install a current kernel")


def preempt_rt() -> Item:
    version = platform.version()
    if machine.read("/sys/kernel/realtime") == "1" or "PREEMPT_RT" in version or "PREEMPT RT" in version:
        return Item("preempt_rt", "yes", "ok", "the kernel itself can be preempted almost everywhere")
    model = next((word for word in version.split() if word.startswith("PREEMPT")), "none")
    return Item(
        "preempt_rt",
        f"no ({model})",
        "warn",
        "kernel work can hold up a tick for milliseconds",
        "install a PREEMPT_RT kernel: linux-image-rt-amd64 (Debian), pro enable realtime-kernel (Ubuntu)",
    )


def clock_source() -> Item:
    value = machine.read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    if value is None:
        return Item(
            "clock_source", UNREADABLE, "warn", "whether reading the clock is a system call is unknown"
        )
    if value in VDSO_CLOCKS:
        return Item("clock_source", value, "ok", "the clock is read without a system call")
    return Item(
        "clock_source",
        value,
        "bad",
        "every reading of the clock is a system call",
        "boot with clocksource=tsc (tsc=reliable where the firmware disturbs it)",
    )


def rtprio() -> Item:
    limit = _limit_text(resource.getrlimit(resource.RLIMIT_RTPRIO)[0])
    refusal = _try_fifo()
    if refusal is None:
        return Item("rtprio", f"limit {limit}", "ok", "SCHED_FIFO 80 was granted to a trial thread")
    if _has_capability(CAP_SYS_NICE):
        fix = "the control group gives real-time threads no time: raise its cpu.rt_runtime_us"
    else:
        fix = "add 'USER - rtprio 99' to /etc/security/limits.conf and log in again"
    return Item("rtprio", f"limit {limit}", "bad", f"SCHED_FIFO 80 was refused ({refusal})", fix)


def _try_fifo() -> str | None:
    """What the kernel says to SCHED_FIFO, asked by a thread that ends at once; None when it was granted."""
    answer: list[str] = []

    def ask() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(80))
        except OSError as error:
            answer.append(error.strerror or str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answer[0] if answer else None


def memlock() -> Item:
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if limit == resource.RLIM_INFINITY or _has_capability(CAP_IPC_LOCK):
        return Item("memlock", _limit_text(limit), "ok", "memory can be locked against paging")
    return Item(
        "memlock",
        f"{limit // 1024} KiB",
        "bad",
        "memory cannot be locked: a tick may wait for the disk",
        "add 'USER - memlock unlimited' to /etc/security/limits.conf and log in again",
    )


def _has_capability(bit: int) -> bool:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", machine.read("/proc/self/status") or "", re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> bit & 1)


def _limit_text(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def governor() -> Item:
    files = sorted(CPU.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    governors = sorted({machine.read(file) or UNREADABLE for file in files})
    value = ", ".join(governors)
    if not files:
        return Item("governor", "not exposed", "ok", "the kernel does not change the frequency here")
    if governors == ["performance"]:
        return Item("governor", value, "ok", "the frequency stays up")
    return Item(
        "governor",
        value,
        "warn",
        "the frequency rises only after the load: the first ticks are slow",
        "cpupower frequency-set -g performance",
    )


def isolated_cpus() -> Item:
    value = machine.read(CPU / "isolated")
    if value:
        return Item("isolated_cpus", value, "ok", "pin the control thread to one of them")
    return Item(
        "isolated_cpus",
        UNREADABLE if value is None else "none",
        "warn",
        "other programs share the CPU of the control thread",
        f"boot with isolcpus=managed_irq,domain,{_last_cpu()} and give that CPU to the control loop",
    )


def nohz_full() -> Item:
    value = machine.read(CPU / "nohz_full")
    if value and value != "(null)":
        return Item("nohz_full", value, "ok", "no scheduler interrupts while one thread runs there")
    why = "the scheduler's interrupt costs each tick a few microseconds at most"
    return Item("nohz_full", "none", "ok", why, f"optional: boot with nohz_full={_last_cpu()}")


def _last_cpu() -> int:
    return max(os.sched_getaffinity(0))


def smt() -> Item:
    value = machine.read(CPU / "smt/active")
    if value == "1":
        why = "a program on the sibling thread slows a tick down by up to half"
        return Item(
            "smt", "active", "warn", why, "boot with nosmt, or echo off > /sys/devices/system/cpu/smt/control"
        )
    known = value == "0"
    return Item("smt", "inactive" if known else "not exposed", "ok", "no sibling threads" if known else "")


def thp() -> Item:
    text = machine.read("/sys/kernel/mm/transparent_hugepage/enabled")
    if text is None:
        return Item("thp", "not exposed", "ok", "no transparent huge pages")
    chosen = re.search(r"\[(\w+)\]", text)
    value = chosen[1] if chosen else text
    if value != "always":
        return Item("thp", value, "ok", "only memory that asks for huge pages is moved")
    return Item(
        "thp",
        value,
        "warn",
        "the kernel may stop a thread to move its memory into huge pages",
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
    )


def rt_throttling() -> Item:
    name = "sched_rt_runtime_us"
    text = machine.read(f"/proc/sys/kernel/{name}")
    period = machine.read("/proc/sys/kernel/sched_rt_period_us") or "1000000"
    if text is None:
        return Item(name, UNREADABLE, "warn", "how long real-time threads may run is unknown")
    runtime = int(text)
    if runtime == 0:
        return Item(name, text, "bad", "real-time threads get no time at all", f"sysctl kernel.{name}=950000")
    if runtime < 0:
        return Item(name, "-1", "ok", "no throttling: a runaway real-time thread can hang its CPU")
    share = 100.0 * runtime / float(period)
    return Item(
        name, text, "ok", f"real-time threads may use {share:.0f} % of each CPU; the control loop sleeps"
    )


def cpu_idle() -> Item:
    name, device = "cpu_dma_latency", Path("/dev/cpu_dma_latency")
    driver = machine.read(CPU / "cpuidle/current_driver")
    if driver in (None, "none"):
        return Item(name, "no idle states", "ok", "the kernel knows no deep idle states here")
    if os.access(device, os.W_OK):
        return Item(
            name, "writable", "ok", "the control loop keeps the CPUs out of deep idle states while it runs"
        )
    return Item(
        name,
        "not writable" if device.exists() else "absent",
        "warn",
        f"waking from a deep idle state ({driver}) takes up to hundreds of microseconds",
        'udev rule: KERNEL=="cpu_dma_latency", GROUP="realtime", MODE="0660"',
    )


def virtualisation() -> Item:
    value = machine.virtualisation()
    if value.startswith("virtual machine"):
        why = "the host may stop the whole machine for milliseconds: good for measuring, no deadline holds"
        return Item("virtualisation", value, "warn", why, "run the robot on bare metal")
    return Item(
        "virtualisation", value, "ok", "bare metal" if value == "none" else "shares the kernel of its host"
    )


def load() -> Item:
    text = machine.read("/proc/loadavg")
    if text is None:
        return Item("load", UNREADABLE, "warn", "whether other programs disturb the measurement is unknown")
    one_minute, cores = float(text.split()[0]), len(os.sched_getaffinity(0))
    value = f"{one_minute:.2f} on {cores} CPUs"
    if one_minute < 0.5 * cores:
        return Item("load", value, "ok", "the machine is nearly idle")
    return Item(
        "load", value, "warn", "other programs ran in the last minute", "stop them and run doctor again"
    )


def cpu_features() -> Item:
    names = [name for name in machine.KERNEL_FEATURES if name in machine.cpu_flags()]
    value = ", ".join(names) or "none of " + ", ".join(machine.KERNEL_FEATURES)
    if "avx2" in names or "asimd" in names:
        return Item("cpu_features", value, "ok", "vector instructions for inference")
    return Item(
        "cpu_features", value, "warn", "inference is several times slower without AVX2", "use a newer CPU"
    )


def native_engine() -> Item:
    from vla_rt import _core
    from vla_rt.errors import ConfigError

    name, best = "native_engine", _core.best_instruction_set()
    try:
        used = _core.instruction_set()
    except ConfigError as error:
        return Item(name, best, "bad", str(error), "unset VLA_RT_INSTRUCTION_SET")
    if used != best:
        why = f"VLA_RT_INSTRUCTION_SET takes them; the processor has {best}"
        return Item(name, f"{used} kernels", "warn", why, "unset VLA_RT_INSTRUCTION_SET")
    return Item(name, f"{used} kernels", "ok", "the best that this processor and build have")


def torch_backend() -> Item:
    from vla_rt import _core

    name = "torch_backend"
    built = getattr(_core, "TORCH_VERSION", None)
    installed = machine.package_version("torch")
    if built is None:
        value = f"not built; torch {installed}" if installed else "not built; no torch"
        why = "TorchScript packages cannot be opened; native ones can"
        return Item(
            name,
            value,
            "ok",
            why,
            "to have it, install from source with VLA_RT_TORCH=1",
        )
    value = f"built against {built}; torch {installed or 'not installed'}"
    # In a process of its own: importing torch takes a second and would stay in memory, then to be locked.
    code = "from vla_rt._backends import open_torch; open_torch()"
    try:
        trial = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    except OSError as error:
        return Item(name, value, "warn", f"could not be tried ({error.strerror})")
    if trial.returncode == 0:
        return Item(name, value, "ok", "TorchScript packages can be opened")
    reason = (trial.stderr.strip().splitlines() or ["it ended without a message"])[-1]
    why, _, fix = reason.partition(": ")[2].rpartition(": ")
    return Item(name, value, "warn", why or reason, fix)


CHECKS: tuple[Callable[[], Item], ...] = (
    kernel,
    preempt_rt,
    clock_source,
    rtprio,
    memlock,
    rt_throttling,
    cpu_idle,
    governor,
    isolated_cpus,
    nohz_full,
    smt,
    thp,
    virtualisation,
    load,
    cpu_features,
    native_engine,
    torch_backend,
)
