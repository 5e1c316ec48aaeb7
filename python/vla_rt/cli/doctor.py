"""Check this machine for real-time use: what is right, what is not, and the one line that fixes it.

The wake-up latency is measured with the thread of the control loop, at 1 kHz, as privileged as it may be.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vla_rt.cli import machine
from vla_rt.cli.checks import CHECKS, Item, Verdict
from vla_rt.cli.result import write_json
from vla_rt.errors import require


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
