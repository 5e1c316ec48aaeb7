"""A simulated arm behind the same mailbox a real one would use."""

from __future__ import annotations

import atexit
import copy
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_rt._core import JointLimits, MailboxRobot, VlaRtError, steady_now_ns
from vla_rt.errors import error, require
from vla_rt.robots.panda import panda_limits
from vla_rt.sim.arm import ArmSimulation
from vla_rt.tasks.reach import ReachConfig, ReachTask, TaskStatistics, reach_observation

__all__ = ["DriverStatistics", "MujocoRobot"]

_CYCLE_NS = 1_000_000
_MAX_CATCH_UP = 50  # cycles per wake-up; what is beyond is lost, and counted
_LOOK_CYCLES = 5  # cycles between two looks at the task and the numbers
_JOIN_S = 5.0


@dataclass(frozen=True)
class DriverStatistics:
    """How the simulator's thread kept up with the clock since `start`.

    Attributes:
        cycles: Cycles of 1 ms simulated.
        wakeups: Times the thread woke up; fewer than cycles where it had to catch up.
        latest_ms: Longest delay of a cycle behind its time [ms].
        lost_s: Time given up because the delay was too long to catch up [s].
        real_time_factor: Simulated time per elapsed time; 1 when nothing was lost.
    """

    cycles: int = 0
    wakeups: int = 0
    latest_ms: float = 0.0
    lost_s: float = 0.0
    real_time_factor: float = 1.0


class MujocoRobot(MailboxRobot):
    """The simulated arm, stepped in real time by a thread of its own: one cycle per millisecond of the clock.

    The thread is the robot's driver. Each cycle takes the newest command from the mailbox, advances the
    physics by 1 ms and posts what was measured; a cycle that comes late is made up for, so that simulated
    time follows the clock. With the task `reach` it also shows one random goal after the other: the first one
    counts from the first command on, the next appears when the tool has come to rest on it or its time is
    over.

    The policy sees `observation.state` (7,), the joints [rad], and `observation.environment_state` (6,), goal
    and tool [m]. An exception in the thread becomes a driver error: the controller faults and stops.

    A ControlLoop starts and stops it; both may be called again at any time. `with MujocoRobot() as robot:`
    does as well. Between a stop and a start the arm stays as it is.

    Args:
        task: "reach".
        seed: Of the goals.
        model_path: MJCF file of another arm, see `ArmSimulation`; None for the one that ships with vla_rt.
        config: Goals, tolerance, times; None for the defaults of `ReachConfig`.

    Raises:
        ConfigError: An unknown task, a bad configuration, MuJoCo is not installed, or no such file.
        FormatError: The model cannot be used.
    """

    def __init__(
        self,
        task: str = "reach",
        seed: int = 0,
        model_path: str | Path | None = None,
        config: ReachConfig | None = None,
    ) -> None:
        require(task == "reach", "task", repr(task), "must be 'reach'")
        require(seed >= 0, "seed", seed, "must be >= 0")
        arm = ArmSimulation(model_path)
        steps = _CYCLE_NS * 1e-9 / arm.timestep_s
        require(
            steps >= 1 and abs(steps - round(steps)) < 1e-6,
            "timestep",
            arm.timestep_s,
            "1 ms must be a whole number of physics steps",
        )
        super().__init__(arm.num_joints)
        self._arm = arm
        self._task = ReachTask(config, seed)
        self._steps = round(steps)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._error: BaseException | None = None
        self._statistics = DriverStatistics()
        self._limits = panda_limits() if model_path is None else None
        arm.goal = self._task.goal

    @property
    def limits(self) -> JointLimits | None:
        """The Panda's published limits; None for a model of your own, whose rates nobody knows."""
        return self._limits

    @property
    def task_statistics(self) -> TaskStatistics:
        """Goals attempted and reached so far, a copy."""
        return copy.deepcopy(self._task.statistics)

    @property
    def shown_goals(self) -> list[tuple[float, NDArray[np.float64]]]:
        """Every goal so far: when it appeared, in seconds after the first, and where (3,) [m]."""
        shown = list(self._task.shown)
        return [(time_s - shown[0][0], goal.copy()) for time_s, goal in shown]

    @property
    def driver_statistics(self) -> DriverStatistics:
        """How the thread kept up since the last start."""
        return self._statistics

    @property
    def running(self) -> bool:
        """Whether the thread steps the arm."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Starts the thread and returns when the first state is posted; does nothing while it runs.

        Raises:
            VlaRtError: The thread failed, now or earlier.
        """
        if self.running:
            return
        self.stop()
        self._check()
        self._stopping = False
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="vla_rt-mujoco", daemon=True)
        self._thread.start()
        atexit.register(self.stop)
        ready.wait()
        self._check()

    def stop(self) -> None:
        """Ends the thread and waits for it; does nothing when there is none."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        atexit.unregister(self.stop)
        self._stopping = True
        if thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def __enter__(self) -> MujocoRobot:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _check(self) -> None:
        if self._error is not None:
            cause = self._error
            raise error(VlaRtError, "MujocoRobot", "", f"the simulator failed: {cause!r}") from cause

    def _run(self, ready: threading.Event) -> None:
        try:
            self._observe(steady_now_ns())
            ready.set()
            self._drive()
        except BaseException as cause:  # the controller must learn of anything that ends this thread
            self._error = cause
            self.fail(f"the simulator failed: {cause!r}")
        finally:
            ready.set()

    def _drive(self) -> None:
        """Cycle k belongs to the time begin + k ms; sleeps until then and does all cycles that are due."""
        arm, steps = self._arm, self._steps
        begin = due = steady_now_ns() + _CYCLE_NS
        cycles = wakeups = latest = lost = looked = 0
        while not self._stopping:
            now = steady_now_ns()
            behind = now - due
            if behind < 0:
                time.sleep(-behind * 1e-9)
                continue
            latest = max(latest, behind)
            count = behind // _CYCLE_NS + 1
            if count > _MAX_CATCH_UP:
                lost += (count - _MAX_CATCH_UP) * _CYCLE_NS
                due += (count - _MAX_CATCH_UP) * _CYCLE_NS
                count = _MAX_CATCH_UP
            command = self.latest_command()
            if command is not None:
                arm.command(command.position, command.velocity)
            arm.step(steps * count)
            due += count * _CYCLE_NS
            cycles += count
            wakeups += 1
            self._observe(due - _CYCLE_NS)
            if cycles - looked >= _LOOK_CYCLES:
                looked = cycles
                self._look(command is not None)
                self._statistics = DriverStatistics(
                    cycles, wakeups, latest * 1e-6, lost * 1e-9, cycles * _CYCLE_NS / (due - begin)
                )

    def _look(self, commanded: bool) -> None:
        if not self._arm.finite:
            raise ArithmeticError("the physics diverged: a joint's position is not finite")
        if commanded and self._task.update(self._arm.time_s, self._arm.tool):
            self._arm.goal = self._task.goal

    def _observe(self, time_ns: int) -> None:
        arm = self._arm
        # observation.state comes from the control thread's newest state
        features = reach_observation(arm.position, self._task.goal, arm.tool)
        self.post_feature("observation.environment_state", features["observation.environment_state"])
        self.post_state(arm.position, arm.velocity, time_ns)
