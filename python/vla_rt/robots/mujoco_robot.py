"""A simulated arm behind the same mailbox a real one would use."""

from __future__ import annotations

import atexit
import copy
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_rt._core import JointLimits, MailboxRobot, VlaRtError, steady_now_ns
from vla_rt.errors import error, require
from vla_rt.robots.picture_thread import PictureThread
from vla_rt.tasks.reach import TaskStatistics
from vla_rt.tasks.scenes import TASKS, TaskConfig, make_scene

__all__ = ["DriverStatistics", "MujocoRobot"]

_CYCLE_NS = 1_000_000
_MAX_CATCH_UP = 50  # cycles per wake-up; what is beyond is lost, and counted
_LOOK_CYCLES = 5  # cycles between two looks at the task and the numbers
_PICTURE_CYCLES = 50  # cycles between two pictures, where there is a camera
_FIRST_PICTURE_S = 30.0
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
    time follows the clock. It also shows one trial of the task after the other: the first one counts from the
    first command on, the next appears when it is done or its time is over.

    What the policy sees depends on the task. `reach`: `observation.state` (7,), the joints [rad], and
    `observation.environment_state` (6,), goal and tool [m]. `pick`: see `PickScene`; the gripper is joint 8.
    `blocks`: see `BlocksScene`; the pictures come from a thread of their own, 20 a second or as many
    as it can make. An exception in a thread becomes a driver error: the controller faults and stops.

    A ControlLoop starts and stops it; both may be called again at any time. `with MujocoRobot() as robot:`
    does as well. Between a stop and a start the arm stays as it is.

    Args:
        task: "reach", "pick" or "blocks".
        seed: Of what appears.
        model_path: MJCF file of another arm for `reach`, see `ArmSimulation`; None for the one that ships
            with vla_rt.
        config: Places, tolerance, times; None for the defaults of the task's `ReachConfig`, `PickConfig` or
            `BlocksConfig`.
        words: Turns the task's instruction into the feature `instruction`, the `encode` of an
            `InstructionVocabulary`; None leaves it out.

    Raises:
        ConfigError: An unknown task, a bad configuration, MuJoCo is not installed, or no such file.
        FormatError: The model cannot be used.
    """

    def __init__(
        self,
        task: str = "reach",
        seed: int = 0,
        model_path: str | Path | None = None,
        config: TaskConfig | None = None,
        words: Callable[[str], NDArray[np.int64]] | None = None,
    ) -> None:
        require(task in TASKS, "task", repr(task), f"must be one of {', '.join(TASKS)}")
        require(seed >= 0, "seed", seed, "must be >= 0")
        fits = config is None or isinstance(config, TASKS[task])
        require(fits, "config", type(config).__name__, f"must be a {TASKS[task].__name__}")
        scene = make_scene(config if config is not None else task, seed, model_path)
        arm = scene.arm
        steps = _CYCLE_NS * 1e-9 / arm.timestep_s
        require(
            steps >= 1 and abs(steps - round(steps)) < 1e-6,
            "timestep",
            arm.timestep_s,
            "1 ms must be a whole number of physics steps",
        )
        super().__init__(arm.num_joints)
        self._arm, self._scene, self._words = arm, scene, words
        self._pictures: PictureThread | None = None
        self._steps = round(steps)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._error: BaseException | None = None
        self._statistics = DriverStatistics()
        self._limits = scene.limits

    @property
    def limits(self) -> JointLimits | None:
        """The Panda's published limits, and the gripper's; None for a model of your own."""
        return self._limits

    @property
    def task_statistics(self) -> TaskStatistics:
        """Goals attempted and reached so far, a copy."""
        return copy.deepcopy(self._scene.statistics)

    @property
    def shown_goals(self) -> list[tuple[float, NDArray[np.float64]]]:
        """Every goal so far: when it appeared, in seconds after the first, and where (3,) [m]."""
        shown = list(self._scene.shown)
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
        if self._scene.has_camera:
            self._pictures = PictureThread(self._scene, self._post_picture, self._end)
            self._pictures.offer(self._arm.data)
            self._pictures.first.wait(_FIRST_PICTURE_S)
            self._check()
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
        pictures, self._pictures = self._pictures, None
        if pictures is not None:
            pictures.stop(_JOIN_S)

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
            self._instruct()
            self._observe(steady_now_ns())
            ready.set()
            self._drive()
        except BaseException as cause:  # the controller must learn of anything that ends this thread
            self._end(cause)
        finally:
            ready.set()

    def _end(self, cause: BaseException) -> None:
        self._error = cause
        self.fail(f"the simulator failed: {cause!r}")

    def _post_picture(self, picture: NDArray[np.uint8]) -> None:
        self.post_feature("observation.image", picture)

    def _instruct(self) -> None:
        if self._words is not None:
            self.post_feature("instruction", self._words(self._scene.instruction))

    def _drive(self) -> None:
        """Cycle k belongs to the time begin + k ms; sleeps until then and does all cycles that are due."""
        arm, steps = self._arm, self._steps
        begin = due = steady_now_ns() + _CYCLE_NS
        cycles = wakeups = latest = lost = looked = pictured = 0
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
            if self._pictures is not None and cycles - pictured >= _PICTURE_CYCLES:
                pictured = cycles
                self._pictures.offer(arm.data)
            if cycles - looked >= _LOOK_CYCLES:
                looked = cycles
                self._look(command is not None)
                self._statistics = DriverStatistics(
                    cycles, wakeups, latest * 1e-6, lost * 1e-9, cycles * _CYCLE_NS / (due - begin)
                )

    def _look(self, commanded: bool) -> None:
        if not self._arm.finite:
            raise ArithmeticError("the physics diverged: a joint's position is not finite")
        if commanded and self._scene.look():
            self._instruct()

    def _observe(self, time_ns: int) -> None:
        # observation.state comes from the control thread's newest state
        for name, value in self._scene.numbers().items():
            if name != "observation.state":
                self.post_feature(name, value)
        self.post_state(self._arm.position, self._arm.velocity, time_ns)
