"""What a soak has seen so far, and what of it is not as it must be."""

from __future__ import annotations

import collections
import itertools
import statistics
from dataclasses import dataclass, field
from typing import Any

from judge import Verdict

#: Of a pilot, from its second flight on to its last, however long it lived.
MAX_GROWTH_MB = 1.0
WARM_UP_FLIGHTS = 1


@dataclass
class Count:
    """Of one kind of fault."""

    injected: int = 0
    seen: int = 0
    survived: int = 0


@dataclass
class Ledger:
    """Counts over all flights; `lives` holds the pilot's figures after each flight, one list per process."""

    faults: dict[str, Count] = field(default_factory=lambda: collections.defaultdict(Count))
    flights: int = 0
    ticks: int = 0
    unrecorded: int = 0
    breaches: int = 0
    worst: dict[str, float] = field(default_factory=dict)
    lives: list[list[dict[str, float]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def judged(self, name: str, verdict: Verdict) -> None:
        """Add what the recording of a flight says."""
        self.flights += 1
        self.ticks += verdict.ticks
        self.breaches += verdict.breaches
        for quantity, share in verdict.worst.items():
            self.worst[quantity] = max(share, self.worst.get(quantity, 0.0))
        if verdict.breaches:
            self.wrong.append(f"{name}: {verdict.breaches} numbers beyond their limit, {verdict.worst}")
        if verdict.difference is not None:
            self.wrong.append(f"{name}: the replay differs, {verdict.difference}")

    def growth(self, key: str) -> float:
        """Most that any pilot took on: median over the last third of its flights less that of the first."""
        most = 0.0
        for life in self.lives:
            values = [figures[key] for figures in life[WARM_UP_FLIGHTS:]]
            third = max(1, len(values) // 3)
            if len(values) > 1:
                most = max(most, statistics.median(values[-third:]) - statistics.median(values[:third]))
        return most

    def memory_growth(self) -> float:
        """Most that any pilot's memory rose by, again and again, in MB.

        What a kind of fault takes when it comes for the first time stays: of the steps from flight to flight
        the largest are left out, one for each kind at most and no more than a third, and made up for in
        proportion.
        """
        most = 0.0
        for life in self.lives:
            values = [figures["rss_mb"] for figures in life[WARM_UP_FLIGHTS:]]
            steps = sorted(after - before for before, after in itertools.pairwise(values))
            kept = steps[: len(steps) - min((len(steps) + 1) // 3, len(self.faults))]
            if kept:
                most = max(most, sum(kept) * len(steps) / len(kept))
        return most

    def problems(self) -> list[str]:
        """One sentence each."""
        found = list(self.wrong)
        for name, count in sorted(self.faults.items()):
            if count.seen < count.injected:
                found.append(f"{name}: {count.injected} times brought about, seen {count.seen} times")
            if count.survived < count.injected:
                found.append(f"{name}: {count.injected} times, {count.survived} times survived")
        if self.memory_growth() > MAX_GROWTH_MB:
            found.append(f"the pilot's memory grew by {self.memory_growth():.1f} MB")
        for key in ("threads", "files"):
            if self.growth(key) > 0:
                found.append(f"the pilot's {key} grew by {self.growth(key):g}")
        return found

    def summary(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "clean": not self.problems(),
            "problems": self.problems(),
            "flights": self.flights,
            "ticks": self.ticks,
            "unrecorded": self.unrecorded,
            "breaches": self.breaches,
            "worst_share_of_limit": self.worst,
            "faults": {name: vars(count) for name, count in sorted(self.faults.items())},
            "memory_growth_mb": self.memory_growth(),
            "memory_mb": [[figures["rss_mb"] for figures in life] for life in self.lives],
        }

    def table(self) -> str:
        """Of the faults, and one line of the rest."""
        lines = [f"{'fault':24}{'injected':>9}{'seen':>6}{'survived':>10}"]
        lines += [
            f"{name:24}{count.injected:9}{count.seen:6}{count.survived:10}"
            for name, count in sorted(self.faults.items())
        ]
        worst = ", ".join(f"{name} {share:.3f}" for name, share in self.worst.items())
        memory = max((life[-1]["rss_mb"] for life in self.lives if life), default=0.0)
        lines.append(
            f"{self.flights} flights, {self.ticks} ticks judged, {self.unrecorded} records dropped, "
            f"{self.breaches} limits broken (largest shares: {worst}), "
            f"memory {memory:.1f} MB, grown by {self.memory_growth():.2f} MB"
        )
        return "\n".join(lines)
