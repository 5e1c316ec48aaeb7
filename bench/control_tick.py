"""One control tick of seven joints: wish from the chunks, interpolation, limits; peers in the same run.

    python bench/control_tick.py --json out.json [--quick]

The motion is a 0.3 rad sine on every joint, in chunks of 16 rows at 20 Hz, a new one each 8 rows. vla_rt is
measured in C++ (`Controller.tick`: state checks, executor with a C2 cubic and blends, position, velocity,
acceleration and jerk limits, final check). The peers are what is used instead: the course's executor and
clamp in numpy, and ruckig fed with the position and velocity of the plan. Every engine must follow the
motion before its time counts: `error` is the rms distance from it [rad]. Further rows: the whole tick of a
running ControlLoop (read, tick, write, judge, record), and what the import costs a new process.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import allocations
import harness
import vla_rt as vr
from vla_rt import _core

JOINTS, PERIOD, ROW_PERIOD, HORIZON, EVERY = 7, 1e-3, 0.05, 16, 8
CASE = "7 joints: executor, cubic, four limits"
LOOP = "7 joints: ControlLoop, whole tick"
IMPORT = "import in a new process"
Array = NDArray[np.float64]


def motion(t: Array) -> Array:
    """The wish (n, 7) [rad] at times t (n,) [s], ramped in over 2 s."""
    s = np.minimum(t / 2, 1)
    ramp = s**3 * (10 - 15 * s + 6 * s**2)
    return np.repeat((0.3 * ramp * np.sin(2 * np.pi * 0.4 * t))[:, None], JOINTS, axis=1)


def joint_limits() -> vr.JointLimits:
    """One set for all joints, close to a Panda's."""
    one = np.ones(JOINTS)
    return vr.JointLimits(-2.8 * one, 2.8 * one, 2.2 * one, 10 * one, 5000 * one)


class NumpyLoop:
    """The course's way: rows interpolated in numpy, clamp of velocity and position, moving average."""

    def __init__(self, rows: Array) -> None:
        self.rows = rows
        self.last = rows[0].copy()
        self.low, self.high = -2.8 * np.ones(JOINTS), 2.8 * np.ones(JOINTS)
        self.step = 2.2 * PERIOD * np.ones(JOINTS)

    def tick(self, now: float) -> Array:
        """Command at `now`."""
        place = now / ROW_PERIOD
        row = min(int(place), len(self.rows) - 2)
        wish = self.rows[row] + (place - row) * (self.rows[row + 1] - self.rows[row])
        command = self.last + np.clip(wish - self.last, -self.step, self.step)
        command = np.clip(command, self.low, self.high)
        self.last = 0.5 * self.last + 0.5 * command
        return self.last


class RuckigLoop:
    """Ruckig, one update per tick towards the plan's position and velocity, from its own last output."""

    def __init__(self, rows: Array) -> None:
        import ruckig

        self.otg = ruckig.Ruckig(JOINTS, PERIOD)
        self.input, self.output = ruckig.InputParameter(JOINTS), ruckig.OutputParameter(JOINTS)
        self.input.current_position = rows[0].tolist()
        self.input.current_velocity = self.input.current_acceleration = [0.0] * JOINTS
        self.input.max_velocity, self.input.max_acceleration = [2.2] * JOINTS, [10.0] * JOINTS
        self.input.max_jerk = [5000.0] * JOINTS
        self.input.synchronization = ruckig.Synchronization.No
        times = np.arange(len(rows)) * ROW_PERIOD
        from scipy.interpolate import CubicSpline

        spline = CubicSpline(times, rows)
        fine = np.arange(int(times[-1] / PERIOD)) * PERIOD
        self.position, self.velocity = spline(fine).tolist(), spline(fine, 1).tolist()

    def tick(self, now: float) -> Array:
        """Command at `now`."""
        k = round(now / PERIOD)
        self.input.target_position, self.input.target_velocity = self.position[k], self.velocity[k]
        self.otg.update(self.input, self.output)
        self.output.pass_to_input(self.input)
        return np.asarray(self.output.new_position)


def rms(commands: Array) -> float:
    """Distance of commands (n, 7) from the motion, the first second left out."""
    wish = motion(np.arange(len(commands)) * PERIOD)
    return float(np.sqrt(np.mean((commands - wish)[1000:] ** 2)))


def time_python(
    loop: NumpyLoop | RuckigLoop, ticks: int, count: Callable[[], int] | None
) -> tuple[Array, Array, float | None]:
    """Microseconds per tick (ticks,), commands (ticks, 7), allocations per tick."""
    spent, commands = np.zeros(ticks), np.zeros((ticks, JOINTS))
    before = count() if count else 0
    for k in range(ticks):
        begin = time.perf_counter_ns()
        commands[k] = loop.tick(k * PERIOD)
        spent[k] = (time.perf_counter_ns() - begin) * 1e-3
    return spent, commands, (count() - before) / ticks if count else None


def measure(report: harness.Report, quick: bool) -> None:
    """All engines, interleaved."""
    counter = allocations.counter()
    rounds, seconds = (3, 4.0) if quick else (7, 8.0)
    rows = motion(np.arange(int(seconds / ROW_PERIOD) + HORIZON + 1) * ROW_PERIOD)
    config = vr.ControlConfig(
        mode="async", limits=joint_limits(), chunk_period_s=ROW_PERIOD, watchdog_s=None
    ).to_core()
    peers: dict[str, Callable[[Array], NumpyLoop | RuckigLoop]] = {"numpy: linear, clamp, EMA": NumpyLoop}
    try:
        import ruckig  # noqa: F401

        peers["ruckig, plan given"] = RuckigLoop
    except ImportError:
        report.add(harness.missing(CASE, "ruckig, plan given", "ruckig is not installed"))

    samples: dict[str, list[Array]] = {name: [] for name in ("vla_rt", *peers)}
    error: dict[str, float] = {}
    allocated: dict[str, float | None] = {}
    for _ in range(rounds):
        ours = _core.benchmark_control_tick(config, rows, HORIZON, EVERY, counter.address if counter else 0)
        samples["vla_rt"].append(ours["duration_ns"] * 1e-3)
        error["vla_rt"], allocated["vla_rt"] = rms(ours["position"]), ours["allocations"]
        for name, make in peers.items():
            spent, commands, found = time_python(make(rows), int(seconds / PERIOD), counter and counter.count)
            samples[name].append(spent)
            error[name], allocated[name] = rms(commands), found
    for name, found in error.items():
        bound = 1e-3 if name == "vla_rt" else 0.05
        if not found < bound:
            raise SystemExit(f"{name} does not follow the motion: rms {found:.2g} rad, must be below {bound}")
    if allocated["vla_rt"]:
        raise SystemExit(f"vla_rt allocated {allocated['vla_rt']} times in its ticks")
    for name, spent_rounds in samples.items():
        report.add(harness.from_rounds(CASE, name, spent_rounds, allocated[name], error[name]))


def measure_loop(report: harness.Report, quick: bool) -> None:
    """The whole tick, on the real thread beside a policy thread."""
    begin = time.monotonic()

    def policy(observation: dict[str, Array]) -> Array:
        return motion(time.monotonic() - begin + ROW_PERIOD * np.arange(HORIZON))

    summaries = []
    for _ in range(2 if quick else 5):
        robot = vr.robots.SimulatedRobot(joint_limits(), np.zeros(JOINTS))
        config = vr.ControlConfig(mode="async", chunk_period_s=ROW_PERIOD, inference_rate_hz=10.0)
        run = vr.ControlLoop(robot, policy, config).run(1.0 if quick else 3.0)
        if run.limit_violations or run.fault:
            raise SystemExit(f"the loop faulted: {run.fault_text}, {run.limit_violations} violations")
        summaries.append(run.compute_us)
    report.add(harness.from_summaries(LOOP, "vla_rt", summaries))


def measure_import(report: harness.Report, quick: bool) -> None:
    """What `import vla_rt` costs a new process, and numpy's part of it."""
    code = (
        "import time; begin = time.perf_counter(); import numpy; middle = time.perf_counter(); import vla_rt;"
        "print(middle - begin, time.perf_counter() - begin)"
    )
    spent = []
    for _ in range(3 if quick else 15):
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        spent.append([1e6 * float(word) for word in answer.stdout.split()])
    for column, engine in enumerate(("numpy alone", "vla_rt, with numpy")):
        report.add(harness.from_rounds(IMPORT, engine, [[row[column] for row in spent]]))


def main() -> None:
    """Measure and report."""
    options = harness.parse(__doc__)
    report = harness.Report("control_tick")
    measure(report, options.quick)
    measure_loop(report, options.quick)
    measure_import(report, options.quick)
    ours = report.p50(CASE, "vla_rt")
    for row in report.rows:
        if row.case == CASE and row.engine != "vla_rt":
            report.ratio(f"p50 {row.engine} / vla_rt", row.p50_us, ours)
    report.finish(options)


if __name__ == "__main__":
    main()
