"""Flights: each begins with whole pilot and peer, has some faults pass, and comes to an end of its own."""

from __future__ import annotations

import json
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
from faults import ENDS, PASSING
from judge import judge
from ledger import Ledger
from programs import Program

import vla_rt as vr

FAULTS_PER_FLIGHT = 4
BEFORE_S, BETWEEN_S, AFTER_S = 0.6, 0.5, 0.6
#: Longest flight; it ends by its fault, or is ended.
MOST_S = 30.0


@dataclass(frozen=True)
class Passed:
    """A fault that was brought about: `told` by whoever did it that it really was, and between when [ns]."""

    kind: str
    told: bool
    begin_ns: int
    over_ns: int


class Deck:
    """Draws every card once before any twice, in an order of the seed."""

    def __init__(self, cards: list[str], rng: random.Random) -> None:
        self.cards, self.rng, self.left = cards, rng, []

    def draw(self) -> str:
        """The next one."""
        if not self.left:
            self.left = self.rng.sample(self.cards, len(self.cards))
        return self.left.pop()


class Soak:
    """Pilot and peer, started again whenever a fault took one away."""

    def __init__(self, folder: Path, rng: random.Random, ledger: Ledger, plant: str) -> None:
        self.folder, self.ledger, self.plant = folder, ledger, plant
        self.passing, self.ends = Deck(list(PASSING), rng), Deck(list(ENDS), rng)
        self.segment = f"vla_rt_soak_{os.getpid()}"
        self.clock = machine.WallClock(folder)
        self.pilot: Program | None = None
        self.peer: Program | None = None

    @property
    def complete(self) -> bool:
        """Whether every fault has come once."""
        return self.ledger.faults.keys() == {*PASSING, *ENDS}

    def close(self) -> None:
        """End both."""
        for program in (self.pilot, self.peer):
            if program is not None:
                program.close()
        Path(f"/dev/shm/{self.segment}").unlink(missing_ok=True)

    def fly(self) -> str:
        """One flight, judged; returns a line about it."""
        pilot, peer = self._programs()
        name = f"flight {self.ledger.flights + 1}"
        record = self.folder / "run.flight"
        for old in self.folder.glob("run.flight*"):
            old.unlink()
        end = self.ends.draw()
        kinds = [self.passing.draw() for _ in range(FAULTS_PER_FLIGHT)]
        pilot.say(fly=MOST_S, record=str(record))
        _wait_for(record)
        time.sleep(BEFORE_S)
        passed = []
        for kind in kinds:
            begin = vr.steady_now_ns()
            told = self._bring_about(kind, pilot, peer, record)
            passed.append(Passed(kind, told, begin, vr.steady_now_ns()))
            time.sleep(BETWEEN_S)
        time.sleep(AFTER_S)
        before = len(self.ledger.wrong)
        report = self._end(end, pilot, peer, name)
        self._judge(name, end, passed, report, record)
        self._measure(pilot)
        rss = f"{self.ledger.lives[-1][-1]['rss_mb']:.1f} MB" if self.ledger.lives[-1] else "-"
        fine = "" if len(self.ledger.wrong) == before else ", NOT as it must be"
        return f"{name}: {', '.join(kinds)}; ended by {end}; memory {rss}{fine}"

    def _programs(self) -> tuple[Program, Program]:
        if self.peer is None:
            self.peer = Program("peer.py", self.segment, environment=self.clock.environment)
            self.peer.answer("advice", "ready")
        if self.pilot is None:
            words = json.dumps({"segment": self.segment, "plant": self.plant})
            # Locked memory that a heap has freed is not given back: this way, what grows is in use.
            heap = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
            environment = {**self.clock.environment, **heap}
            self.pilot = Program("pilot.py", words, environment=environment)
            self.ledger.lives.append([])
        return self.pilot, self.peer

    def _bring_about(self, kind: str, pilot: Program, peer: Program, record: Path) -> bool:
        """True when whoever did it saw it done."""
        fault = PASSING[kind]
        self.ledger.faults[kind].injected += 1
        if self.plant == "silence":
            time.sleep(fault.seconds)
            return False
        if fault.where == "machine":
            return self._disturb(kind, fault.seconds, pilot, record)
        if fault.where == "policy":
            for _ in range(fault.answers):
                pilot.say(fault=kind)
        else:
            peer.say(mode=kind, seconds=fault.seconds)
        time.sleep(fault.seconds)
        return True

    def _disturb(self, kind: str, seconds: float, pilot: Program, record: Path) -> bool:
        if kind == "cpu_load":
            return machine.load_processors(seconds)
        if kind == "memory_pressure":
            return machine.press_memory(seconds)
        if kind == "disk_full":
            return machine.fill_disk(pilot.process.pid, record, seconds)
        self.clock.step()
        time.sleep(seconds)
        return self.clock.seen_by(pilot)

    def _end(self, end: str, pilot: Program, peer: Program, name: str) -> dict[str, Any] | None:
        """Brings the end about. Returns the pilot's report, or None when there is no pilot any more."""
        self.ledger.faults[end].injected += 1
        if end == "controller_dies":
            pilot.kill()
            self.pilot = None
            peer.answer("advice", "at rest")
            return None
        if end == "peer_dies":
            peer.kill()
        elif end == "worker_gone":
            pilot.say(end_inference=True)
        elif end != "duration":
            peer.say(mode=end, seconds=MOST_S)
        else:
            pilot.say(land=True)
        report: dict[str, Any] = pilot.answer("report")
        if ENDS[end].where == "peer":
            peer.kill()
            self.peer = None
        return report

    def _judge(
        self, name: str, end: str, passed: list[Passed], report: dict[str, Any] | None, record: Path
    ) -> None:
        verdict, ledger = judge(record, [(fault.begin_ns, fault.over_ns) for fault in passed]), self.ledger
        ledger.judged(name, verdict)
        for fault, window in zip(passed, verdict.windows, strict=True):
            shows = report is None or bool(PASSING[fault.kind].seen(report, window.statuses))
            ledger.faults[fault.kind].seen += fault.told and shows
            ledger.faults[fault.kind].survived += window.recovers
        ledger.faults[end].seen += 1
        if report is None:  # the peer came to rest, and the recording opened
            ledger.faults[end].survived += 1
            return
        ledger.unrecorded += report["unrecorded"]
        good = report["fault"] in ENDS[end].faults and verdict.at_rest and report["limit_violations"] == 0
        ledger.faults[end].survived += good
        if not good:
            why = f"fault {report['fault']} ({report['fault_text']}), at rest {verdict.at_rest}"
            ledger.wrong.append(f"{name}, {end}: {why}, {report['limit_violations']} violations")
        if verdict.ticks + report["unrecorded"] < report["ticks"]:
            ledger.wrong.append(f"{name}: {report['ticks']} ticks, {verdict.ticks} in the recording")

    def _measure(self, pilot: Program) -> None:
        if pilot.process.poll() is not None:
            return
        folder = Path(f"/proc/{pilot.process.pid}")
        status = dict(
            line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
        )
        self.ledger.lives[-1].append(
            {
                "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
                "threads": float(status["Threads"]),
                "files": float(len(list((folder / "fd").iterdir()))),
            }
        )


def _wait_for(record: Path) -> None:
    """Until ticks are in it."""
    for _ in range(1000):
        if record.exists() and record.stat().st_size > 20_000:
            return
        time.sleep(0.01)
    raise RuntimeError("the flight did not begin within 10 s")
