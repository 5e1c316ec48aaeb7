"""Chunks in, one motion out: what ChunkExecutor costs, and how well it and its peers follow a known motion.

    python bench/chunking.py --json out.json [--quick]

Cost: `at` per tick and `push` per chunk of 50 rows and 14 dims, in C++, the clock's own 20-30 ns included;
numpy for scale.

Open loop: chunks of 50 rows at 50 Hz of a motion that is known, asked for every 0.2-0.5 s, arriving 0-300 ms
late, without noise and with 1e-4 rad of noise on every row, played at 1 kHz. `error` is the rms distance from
the motion [rad], and by how much the acceleration (second difference of the positions) peaks above the
motion's own, both from the first answer + blend on. Positions are held where an engine holds them. The peers
are ports of the published behaviour (bench/peers/chunk_players.py); those that infer when they run dry are
given the same latencies.

Closed loop: the arm's reach task in MuJoCo with the policy of `vla-rt demo` (trained once, kept under out/),
in simulated time, with inference delays of 0-300 ms +-30 %: success, time to a goal, smoothness, seams and
wishes beyond the limits, for every mode and for synchronous execution. Picture: out/chunking.png. It takes
about five minutes, two of them to train the policy the first time; the file is written after every part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import allocations
import closed_loop
import harness
import vla_rt as vr
from peers.chunk_players import Aggregating, Blocking, Replacing, SplinePerChunk
from vla_rt import _core
from vla_rt.cli.result import write_json

Array = NDArray[np.float64]

PERIOD, TICK, HORIZON, BLEND = 0.02, 0.001, 50, 0.1
OUT = Path(__file__).resolve().parent.parent / "out"
COST, COST_PUSH = "at, D=14", "push, T=50, D=14"
MODES: dict[str, dict[str, Any]] = {
    "async, cubic": {"mode": "async"},
    "async, quintic": {"mode": "async", "interpolation": "quintic"},
    "async, cubic, replace": {"mode": "async", "merge": "replace"},
    "async, cubic, average": {"mode": "async", "merge": "average"},
    "receding 20, cubic": {"mode": "receding", "execution_horizon": 20},
    "ensemble, cubic": {"mode": "ensemble"},
    "rtc (no guidance), cubic": {"mode": "rtc"},
    "async, linear": {"mode": "async", "interpolation": "linear"},
}
# These promise continuity; the last two have seams, and say so.
PROMISE = list(MODES)[:6]
AGGREGATES: dict[str, Callable[[Array, Array], Array]] = {
    "weighted_average": lambda old, new: 0.3 * old + 0.7 * new,
    "latest_only": lambda old, new: new,
    "average": lambda old, new: 0.5 * old + 0.5 * new,
    "conservative": lambda old, new: 0.7 * old + 0.3 * new,
}


class Sines:
    """Seven joints, two sines each: position and acceleration at times (n,)."""

    amplitude = np.array([0.5, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1])
    rate = np.array([1.0, 2.0, 3.0, 3.5, 4.0, 5.0, 7.0])

    def position(self, t: Array) -> Array:
        """(n, 7) [rad]."""
        w = self.rate * np.asarray(t)[:, None] + np.arange(7)
        return np.asarray(self.amplitude * (np.sin(w) + 0.3 * np.sin(1.7 * w)))

    def acceleration(self, t: Array) -> Array:
        """(n, 7) [rad/s^2]."""
        w = self.rate * np.asarray(t)[:, None] + np.arange(7)
        return np.asarray(-self.amplitude * self.rate**2 * (np.sin(w) + 0.3 * 1.7**2 * np.sin(1.7 * w)))


class Reaches:
    """Seven joints from pose to pose, each in 1.5 s with least jerk, at rest between."""

    duration = 1.5
    poses = np.random.default_rng(3).uniform(-1, 1, (64, 7))

    def _at(self, t: Array, order: int) -> Array:
        k = np.floor(np.asarray(t) / self.duration).astype(int)
        s = (np.asarray(t) / self.duration - k)[:, None]
        step = (self.poses[k + 1] - self.poses[k]) / self.duration**order
        shape = 10 * s**3 - 15 * s**4 + 6 * s**5 if order == 0 else 60 * s - 180 * s**2 + 120 * s**3
        return np.asarray(step * shape + (self.poses[k] if order == 0 else 0))

    def position(self, t: Array) -> Array:
        """(n, 7) [rad]."""
        return self._at(t, 0)

    def acceleration(self, t: Array) -> Array:
        """(n, 7) [rad/s^2]."""
        return self._at(t, 2)


@dataclass(frozen=True)
class Delivery:
    """One chunk: when it was asked for, when it arrives, its rows."""

    start_s: float
    arrival_s: float
    rows: Array


def deliveries(motion: Sines | Reaches, duration_s: float, noise: float, seed: int) -> list[Delivery]:
    """The chunks of one run, in the order of their arrival."""
    rng = np.random.default_rng(seed)
    made, start = [], 0.0
    while start < duration_s:
        rows = motion.position(start + PERIOD * np.arange(HORIZON))
        arrival = start + rng.uniform(0, 0.3)
        made.append(Delivery(start, arrival, rows + noise * rng.normal(size=rows.shape)))
        start += rng.uniform(0.2, 0.5)
    return sorted(made, key=lambda d: d.arrival_s)


class Executor:
    """ChunkExecutor as a player."""

    def __init__(self, **options: Any) -> None:
        self.executor = vr.ChunkExecutor(7, PERIOD, blend_s=BLEND, **options)

    def ask(self, now: float) -> None:
        """An observation is taken."""

    def push(self, now: float, start_s: float, rows: Array) -> None:
        """The chunk (T, D) for `start_s` arrives."""
        self.executor.push(rows, start_s)

    def at(self, now: float) -> Array | None:
        """The position (D,) at a tick; None before the first chunk."""
        position, _, _ = self.executor.at(now)
        return None if self.executor.due_time_s is None else np.asarray(position)


Player = Executor | Aggregating | Replacing | SplinePerChunk | Blocking


def play(player: Player, chunks: list[Delivery], duration_s: float) -> Array:
    """Positions (ticks, 7); NaN before the first."""
    events = sorted(
        [(d.start_s, 0, d) for d in chunks] + [(d.arrival_s, 1, d) for d in chunks], key=lambda e: e[:2]
    )
    out, next_event = np.full((round(duration_s / TICK), 7), np.nan), 0
    for k in range(len(out)):
        now = k * TICK
        while next_event < len(events) and events[next_event][0] <= now:
            _, arrives, chunk = events[next_event]
            if not isinstance(player, Blocking):
                if arrives:
                    player.push(now, chunk.start_s, chunk.rows)
                else:
                    player.ask(chunk.start_s)
            next_event += 1
        position = player.at(now)
        if position is not None:
            out[k] = position
    return out


@dataclass(frozen=True)
class Quality:
    """rms error [rad]; acceleration peak above the motion's own [rad/s^2], and relative to it."""

    rms: float
    excess: float
    ratio: float


def quality(motion: Sines | Reaches, positions: Array) -> Quality:
    """Judged from the first answer + blend on."""
    first = int(np.argmax(np.isfinite(positions[:, 0]))) + round(BLEND / TICK) + 2
    times = TICK * np.arange(len(positions))
    error = (positions - motion.position(times))[first:]
    peak = np.abs(np.diff(positions[first:], 2, axis=0) / TICK**2).max(axis=0)
    own = np.abs(motion.acceleration(times)).max(axis=0)
    return Quality(float(np.sqrt(np.mean(error**2))), float((peak - own).max()), float((peak / own).max()))


def players(motion: Sines | Reaches, noise: float, seed: int) -> dict[str, Player]:
    """Everyone who plays in one run."""
    rng = np.random.default_rng(seed + 1000)

    def policy(now: float) -> Array:
        rows = motion.position(now + PERIOD * np.arange(HORIZON))
        return np.asarray(rows + noise * rng.normal(size=rows.shape))

    def latency() -> float:
        return float(rng.uniform(0, 0.3))

    found: dict[str, Player] = {f"vla_rt {name}": Executor(**options) for name, options in MODES.items()}
    found["LeRobot queue, 50 rows"] = Blocking(PERIOD, HORIZON, policy, latency)
    found["openpi broker, 10 rows"] = Blocking(PERIOD, 10, policy, latency)
    for name, aggregate in AGGREGATES.items():
        found[f"LeRobot async, {name}"] = Aggregating(PERIOD, aggregate)
    found["LeRobot RTC queue"] = Replacing(PERIOD)
    found["JTC upsampling, rest to rest"] = SplinePerChunk(PERIOD, keep_velocity=False)
    found["JTC upsampling, velocity kept"] = SplinePerChunk(PERIOD, keep_velocity=True)
    return found


def measure_open_loop(report: harness.Report, quick: bool) -> None:
    """The worst of several runs, every player on the same chunks."""
    duration, seeds = (6.0, 1) if quick else (20.0, 3)
    for motion in (Sines(), Reaches()):
        for noise in (0.0, 1e-4):
            worst: dict[str, Quality] = {}
            for seed in range(seeds):
                chunks = deliveries(motion, duration, noise, seed)
                for name, player in players(motion, noise, seed).items():
                    found = quality(motion, play(player, chunks, duration))
                    old = worst.get(name, found)
                    worst[name] = Quality(
                        max(old.rms, found.rms), max(old.excess, found.excess), max(old.ratio, found.ratio)
                    )
            for name in PROMISE:
                found = worst[f"vla_rt {name}"]
                if found.rms > 5e-4 or found.excess > 6 or (noise == 0 and found.ratio > 1.1):
                    raise SystemExit(
                        f"{name} missed its goal on {type(motion).__name__}, noise {noise}: {found}"
                    )
            case = f"{type(motion).__name__.lower()}, noise {noise:g}"
            for name, found in worst.items():
                report.add(harness.Row(f"{case}: rms [rad]", name, error=found.rms))
            for name, found in worst.items():
                report.add(
                    harness.Row(f"{case}: acceleration peak above [rad/s^2]", name, error=found.excess)
                )
            best_peer = min(found.rms for name, found in worst.items() if not name.startswith("vla_rt"))
            report.ratio(
                f"rms of the best peer / vla_rt async, {case}", best_peer, worst["vla_rt async, cubic"].rms
            )


def numpy_at(rows: Array, ticks: int) -> Array:
    """Microseconds per linear interpolation of D numbers in numpy."""
    spent = np.zeros(ticks)
    for k in range(ticks):
        begin = time.perf_counter_ns()
        place = k * TICK / PERIOD
        row = min(int(place), len(rows) - 2)
        _ = rows[row] + (place - row) * (rows[row + 1] - rows[row])
        spent[k] = (time.perf_counter_ns() - begin) * 1e-3
    return spent


def measure_cost(report: harness.Report, quick: bool) -> None:
    """Per tick and per push, interleaved; every 400 ticks a chunk."""
    dim, ticks, chunks, rounds = 14, 400, 20 if quick else 60, 3 if quick else 9
    counter = allocations.counter()
    every = round(ticks * TICK / PERIOD)
    rows = np.sin(PERIOD * np.arange(chunks * every + HORIZON)[:, None] * np.linspace(1, 4, dim))
    pushed = np.array([rows[k * every :][:HORIZON] for k in range(chunks)])
    modes = {name: options for name, options in MODES.items() if name != "async, cubic, replace"}
    at: dict[str, list[Array]] = {f"vla_rt {name}": [] for name in modes}
    push: dict[str, list[Array]] = {f"vla_rt {name}": [] for name in modes}
    allocated: dict[str, float | None] = {}
    error: dict[str, float] = {}
    scale: list[Array] = []
    for _ in range(rounds):
        for name, options in modes.items():
            executor = vr.ChunkExecutor(dim, PERIOD, blend_s=BLEND, **options)
            found = _core.benchmark_chunk_executor(
                executor, pushed, ticks, TICK, counter.address if counter else 0
            )
            engine = f"vla_rt {name}"
            at[engine].append(found["at_ns"] * 1e-3)
            push[engine].append(found["push_ns"] * 1e-3)
            allocated[engine] = found["allocations"]
            on_rows = found["position"][:: round(PERIOD / TICK)]
            error[engine] = float(np.abs(on_rows - rows[: len(on_rows)]).max())
        scale.append(numpy_at(rows, 20 * ticks))
    for engine, found_error in error.items():
        if found_error > 1e-6:
            raise SystemExit(f"{engine} misses its rows by {found_error:.2g} rad")
        if allocated[engine]:
            raise SystemExit(f"{engine} allocated {allocated[engine]} times")
        report.add(harness.from_rounds(COST, engine, at[engine], allocated[engine], found_error))
    report.add(harness.from_rounds(COST, "numpy: linear", scale))
    for engine, rounds_us in push.items():
        report.add(harness.from_rounds(COST_PUSH, engine, rounds_us, allocated[engine]))
    report.ratio(
        "p50 at, numpy linear / vla_rt async cubic",
        report.p50(COST, "numpy: linear"),
        report.p50(COST, "vla_rt async, cubic"),
    )


def measure_closed_loop(report: harness.Report, quick: bool) -> None:
    """The reach task at injected delays; the picture goes to out/."""
    try:
        sample, spec = closed_loop.policy_sample(OUT / "demo")
    except vr.VlaRtError as error:
        report.add(harness.missing("closed loop", "vla_rt", f"no policy: {error}"))
        return
    found = closed_loop.measure(sample, spec, quick)
    for way in closed_loop.STEADY:
        lost = found[way, 0.0].success - found[way, 0.2].success
        if lost > 0.05:
            raise SystemExit(f"{way} loses {100 * lost:.0f} points of success at 200 ms")
    for (way, delay), outcome in found.items():
        if outcome.violations:
            raise SystemExit(f"{way} broke {outcome.violations} limits at {delay} s")
    for field, title in closed_loop.FIGURES.items():
        for (way, delay), outcome in found.items():
            figure = getattr(outcome, field)
            case = f"closed loop, {1e3 * delay:.0f} ms: {title}"
            report.add(harness.Row(case, way, error=figure if np.isfinite(figure) else "n/a"))
    for way in closed_loop.STEADY:
        report.ratio(
            f"success at 200 ms, {way} / synchronous",
            found[way, 0.2].success,
            found[closed_loop.SYNCHRONOUS, 0.2].success,
        )
    try:
        closed_loop.draw(found, OUT / "chunking.png")
        report.notes.append(f"success, time and smoothness over the delay: {OUT / 'chunking.png'}")
    except ImportError:
        report.notes.append("matplotlib is not installed: no picture")


def main() -> None:
    """Measure and report."""
    options = harness.parse(__doc__)
    report = harness.Report("chunking")
    for measure in (measure_cost, measure_open_loop, measure_closed_loop):
        measure(report, options.quick)
        write_json(options.json, report.to_dict())  # what is known so far
    report.finish(options)


if __name__ == "__main__":
    main()
