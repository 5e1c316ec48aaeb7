"""What the benchmarks share: command line, machine facts, rows with percentiles, ratios, table and JSON file.

    options = harness.parse(__doc__)
    report = harness.Report("jitter")
    report.add(harness.from_rounds("1 kHz", "vla_rt", rounds_us))
    report.ratio("p50 cyclictest / vla_rt", report.p50("1 kHz", "cyclictest"), report.p50("1 kHz", "vla_rt"))
    report.finish(options)

Engines are measured in the same run, interleaved (A B A B ...); a row is the median over the rounds of each
round's percentile, and the largest maximum. A peer that is not installed is a row that says so.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vla_rt.cli import machine
from vla_rt.cli.result import require_writable, write_json


@dataclass(frozen=True)
class Options:
    """Flags every benchmark takes."""

    json: Path | None
    quick: bool


def parse(description: str | None, argv: Sequence[str] | None = None) -> Options:
    """Parse `--json FILE` and `--quick`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine, rows and ratios")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, for a smoke test")
    options = Options(**vars(parser.parse_args(argv)))
    require_writable(options.json)
    return options


@dataclass(frozen=True)
class Row:
    """One engine in one case. Times are microseconds; None is not measured or not applicable.

    `error` is the accuracy against the reference where the case has one, or a sentence where there is no
    result.
    """

    case: str
    engine: str
    p50_us: float | None = None
    p99_us: float | None = None
    p999_us: float | None = None
    max_us: float | None = None
    allocations: float | None = None
    error: float | str | None = None


def from_rounds(
    case: str,
    engine: str,
    rounds_us: Sequence[Any],
    allocations: float | None = None,
    error: float | str | None = None,
) -> Row:
    """Row from rounds of raw samples [us]: each percentile's median over the rounds, the largest maximum."""
    quantiles = np.array([np.percentile(np.asarray(r, dtype=float), [50, 99, 99.9, 100]) for r in rounds_us])
    p50, p99, p999 = np.median(quantiles[:, :3], axis=0)
    return Row(
        case, engine, float(p50), float(p99), float(p999), float(quantiles[:, 3].max()), allocations, error
    )


def from_summaries(
    case: str,
    engine: str,
    rounds: Sequence[dict[str, float]],
    allocations: float | None = None,
    error: float | str | None = None,
) -> Row:
    """Row from rounds that are already {p50, p99, p999, max} [us], such as `LatencyHistogram.summary()`."""
    p50, p99, p999 = (statistics.median(r[key] for r in rounds) for key in ("p50", "p99", "p999"))
    return Row(case, engine, p50, p99, p999, max(r["max"] for r in rounds), allocations, error)


def missing(case: str, engine: str, why: str) -> Row:
    """Row of a peer that could not be measured; `why` is one plain sentence."""
    return Row(case, engine, error=why)


@dataclass
class Report:
    """Rows and ratios of one benchmark; `notes` are sentences about how it was measured."""

    name: str
    rows: list[Row] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Append a row."""
        self.rows.append(row)

    def row(self, case: str, engine: str) -> Row | None:
        """The row of an engine in a case, or None."""
        return next((r for r in self.rows if (r.case, r.engine) == (case, engine)), None)

    def p50(self, case: str, engine: str) -> float | None:
        """Median of an engine in a case [us], or None when it was not measured."""
        row = self.row(case, engine)
        return row.p50_us if row else None

    def ratio(self, name: str, numerator: float | None, denominator: float | None) -> None:
        """Record numerator / denominator; left out when either is missing or the denominator is 0."""
        if numerator is not None and denominator:
            self.ratios[name] = numerator / denominator

    def to_dict(self) -> dict[str, Any]:
        """{"machine", "rows", "ratios", "notes"}."""
        rows = [asdict(row) for row in self.rows]
        return {"machine": machine.facts(), "rows": rows, "ratios": self.ratios, "notes": self.notes}

    def finish(self, options: Options) -> None:
        """Print the table and write the file."""
        _print(self)
        write_json(options.json, self.to_dict())


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report.name} [us]", title_justify="left")
    for column in ("case", "engine"):
        table.add_column(column)
    for column in ("p50", "p99", "p99.9", "max", "allocations", "error"):
        table.add_column(column, justify="right")
    for row in report.rows:
        times = (_cell(t) for t in (row.p50_us, row.p99_us, row.p999_us, row.max_us))
        table.add_row(row.case, row.engine, *times, _cell(row.allocations), _cell(row.error))
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for name, ratio in report.ratios.items():
        console.print(f"{name} = {ratio:.3g}", highlight=False, markup=False)
    for note in report.notes:
        console.print(note, highlight=False, markup=False)
    facts = machine.facts()
    where = f"{facts['cpu']}, {facts['cores']} cores, {facts['virtualisation']}, {facts['kernel']}"
    console.print(f"{where}, load {facts['load']}", highlight=False, markup=False)


def _cell(value: float | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:,.3f}".rstrip("0").rstrip(".")
