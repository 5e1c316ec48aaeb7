"""Check this machine for real-time use: what is right, what is not, and the one line that fixes it.

Everything is read as the user who calls; what that user may not read says so. The wake-up latency is measured
with the thread of the control loop, at 1 kHz, with whatever privileges the kernel grants.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from vla_rt.cli import machine
from vla_rt.cli.result import write_json
from vla_rt.errors import require

Verdict = Literal["ok", "warn", "bad"]

CPU = Path("/sys/devices/system/cpu")
# Clock sources that clock_gettime reads through the vDSO, without a system call.
VDSO_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "riscv_clocksource")
UNREADABLE = "not readable"
CAP_IPC_LOCK, CAP_SYS_NICE = 14, 23


@dataclass(frozen=True)
class Arguments:
    """What to check."""

    duration: float = 2.0
    """How long to measure the wake-up latency [s], 0 to 3600; 0 leaves it out."""
    json: Path | None = None
    """Write machine, items, wakeup_us and verdict to this file."""

    def validate(self) -> None:
        """Raise ConfigError for a duration outside its bounds."""
        require(0.0 <= self.duration <= 3600.0, "duration", self.duration, "must be within [0, 3600] s")


@dataclass(frozen=True)
class Item:
    """One finding. `fix` is empty when nothing needs to be done, or when nothing can be."""

    name: str
    value: str
    verdict: Verdict
    why: str
    fix: str = ""


def run(arguments: Arguments) -> int:
    """Check, print the table, write the file. Returns 0 whatever was found: the verdict is in the result."""
    arguments.validate()
    result = examine(arguments.duration)
    _print(result)
    write_json(arguments.json, result)
    return 0


def examine(duration_s: float) -> dict[str, Any]:
    """Examine the machine.

    Args:
        duration_s: Time to spend on the wake-up latency [s]; 0 leaves it out.

    Returns:
        {"machine": facts, "items": [{name, value, verdict, why, fix}], "wakeup_us": {p50, p99, p999, max} or
        None, "realtime": what was granted or None, "verdict": the worst of the items'}.
    """
    items = [check() for check in CHECKS]
    wakeup: dict[str, float] | None = None
    grant: dict[str, Any] | None = None
    if duration_s > 0:
        item, wakeup, grant = _wakeup(duration_s)
        items.append(item)
    return {
        "machine": machine.facts(),
        "items": [asdict(item) for item in items],
        "wakeup_us": wakeup,
        "realtime": grant,
        "verdict": max((item.verdict for item in items), key=("ok", "warn", "bad").index),
    }


def _kernel() -> Item:
    release = platform.release()
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= (4, 14):
        return Item("kernel", release, "ok", f"{platform.system()} {platform.machine()}")
    return Item("kernel", release, "warn", "kernels before 4.14 are untested", "install a current kernel")


def _preempt_rt() -> Item:
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


def _clock_source() -> Item:
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


def _rtprio() -> Item:
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


def _memlock() -> Item:
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


def _governor() -> Item:
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


def _isolated_cpus() -> Item:
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


def _nohz_full() -> Item:
    value = machine.read(CPU / "nohz_full")
    if value and value != "(null)":
        return Item("nohz_full", value, "ok", "no scheduler interrupts while one thread runs there")
    why = "the scheduler's interrupt costs each tick a few microseconds at most"
    return Item("nohz_full", "none", "ok", why, f"optional: boot with nohz_full={_last_cpu()}")


def _last_cpu() -> int:
    return max(os.sched_getaffinity(0))


def _smt() -> Item:
    value = machine.read(CPU / "smt/active")
    if value == "1":
        why = "a program on the sibling thread slows a tick down by up to half"
        return Item(
            "smt", "active", "warn", why, "boot with nosmt, or echo off > /sys/devices/system/cpu/smt/control"
        )
    known = value == "0"
    return Item("smt", "inactive" if known else "not exposed", "ok", "no sibling threads" if known else "")


def _thp() -> Item:
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


def _rt_throttling() -> Item:
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


def _cpu_idle() -> Item:
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


def _virtualisation() -> Item:
    value = machine.virtualisation()
    if value.startswith("virtual machine"):
        why = "the host may stop the whole machine for milliseconds: good for measuring, no deadline holds"
        return Item("virtualisation", value, "warn", why, "run the robot on bare metal")
    return Item(
        "virtualisation", value, "ok", "bare metal" if value == "none" else "shares the kernel of its host"
    )


def _load() -> Item:
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


def _cpu_features() -> Item:
    names = [name for name in machine.KERNEL_FEATURES if name in machine.cpu_flags()]
    value = ", ".join(names) or "none of " + ", ".join(machine.KERNEL_FEATURES)
    if "avx2" in names or "asimd" in names:
        return Item("cpu_features", value, "ok", "vector instructions for inference")
    return Item(
        "cpu_features", value, "warn", "inference is several times slower without AVX2", "use a newer CPU"
    )


def _torch_backend() -> Item:
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
    _kernel,
    _preempt_rt,
    _clock_source,
    _rtprio,
    _memlock,
    _rt_throttling,
    _cpu_idle,
    _governor,
    _isolated_cpus,
    _nohz_full,
    _smt,
    _thp,
    _virtualisation,
    _load,
    _cpu_features,
    _torch_backend,
)


def _wakeup(duration_s: float) -> tuple[Item, dict[str, float], dict[str, Any]]:
    """Measure with what the control loop uses: 1 kHz, priority 80, the default spin."""
    from vla_rt import measure_wakeup

    found = measure_wakeup(duration_s=duration_s)
    wakeup = {key: found[key] for key in ("p50", "p99", "p999", "max")}
    value = ", ".join(f"{label} {wakeup[key]:.3g}" for key, label in _LABELS) + " us"
    grant: dict[str, Any] = found["grant"]
    with_what = "SCHED_FIFO" if grant["fifo"] else "an ordinary priority"
    why = f"{found['count']} ticks at 1 kHz with {with_what}, {found['missed']} missed"
    if wakeup["max"] < 100.0:
        return Item("wakeup", value, "ok", why), wakeup, grant
    fix = "mend the items above that are not ok; then look for the cause with hwlatdetect and cyclictest"
    verdict: Verdict = "warn" if wakeup["p99"] < 100.0 else "bad"
    return Item("wakeup", value, verdict, why, fix), wakeup, grant


_LABELS = (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("max", "max"))


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    style = {"ok": "green", "warn": "yellow", "bad": "bold red"}
    table = Table(title="vla-rt doctor", title_justify="left")
    for column in ("item", "value", "verdict", "why"):
        table.add_column(column, overflow="fold")
    for item in result["items"]:
        verdict = Text(item["verdict"], style=style[item["verdict"]])
        table.add_row(Text(item["name"]), Text(item["value"]), verdict, Text(item["why"]))
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for line in _fixes(result):
        console.print(Text(line), soft_wrap=True)
    console.print(Text.assemble("verdict: ", (result["verdict"], style[result["verdict"]])))


def _fixes(result: dict[str, Any]) -> Iterator[str]:
    for item in result["items"]:
        if item["fix"] and item["verdict"] != "ok":
            yield f"{item['name']}: {item['fix']}"
    for sentence in (result["realtime"] or {}).get("refused", ()):
        yield f"refused: {sentence}"
