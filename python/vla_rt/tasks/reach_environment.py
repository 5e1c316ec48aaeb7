"""The task `reach` in steps of one action, for learning by acting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import require
from vla_rt.sim.arm import ArmSimulation
from vla_rt.tasks.reach import ReachConfig, ReachTask, reach_observation

__all__ = ["ReachEnvironment"]

_Array = NDArray[np.float64]
_TICK_S = 0.001
_LOOK_TICKS = 5


class ReachEnvironment:
    """One goal per episode, in simulated time: an ``Environment`` of ``vla_rt.training``.

    An action is the joint positions (N,) [rad] to be at when the step ends; the servos are led there in a
    straight line, millisecond by millisecond. The observation is that of `reach_observation`, the reward
    minus the tool's distance to the goal [m]. The episode is over when the goal is reached or its time is.

    Args:
        period_s: Length of a step [s], a whole number of milliseconds.
        config: Goals, tolerance, times.
        start_noise: Standard deviation of the start from the rest posture [rad].
        model_path: As of `ArmSimulation`.

    Raises:
        ConfigError: An argument is out of its bounds, or MuJoCo is not installed.
    """

    def __init__(
        self,
        period_s: float = 0.05,
        config: ReachConfig | None = None,
        start_noise: float = 0.1,
        model_path: str | Path | None = None,
    ) -> None:
        ticks = period_s / _TICK_S
        whole = bool(np.isfinite(ticks)) and ticks >= 1 and abs(ticks - round(ticks)) < 1e-6
        require(whole, "period_s", period_s, "must be a whole number of milliseconds")
        require(0.0 <= start_noise < np.pi, "start_noise", start_noise, "must be in [0, pi)")
        self._ticks = round(ticks)
        self._config = config
        self._start_noise = start_noise
        self._arm = ArmSimulation(model_path)
        self._steps = round(_TICK_S / self._arm.timestep_s)
        self._task = ReachTask(config)
        self._command = self._arm.home

    @property
    def reached(self) -> bool:
        """Whether the goal of the episode was reached."""
        return self._task.statistics.reached > 0

    def reset(self, seed: int) -> dict[str, _Array]:
        """Begins an episode with the start and goal of this seed."""
        random = np.random.default_rng(seed)
        arm = self._arm
        noise = self._start_noise * random.standard_normal(arm.num_joints)
        self._command = np.clip(arm.home + noise, arm.min_position + 0.05, arm.max_position - 0.05)
        arm.reset(self._command)
        self._task = ReachTask(self._config, seed=int(random.integers(2**31)))
        self._goal = self._task.goal
        self._task.update(0.0, arm.tool)
        return reach_observation(arm.position, self._goal, arm.tool)

    def step(self, action: _Array) -> tuple[dict[str, _Array], float, bool]:
        """Leads the arm to the joint positions ``action`` (N,) within one period.

        Raises:
            ConfigError: Another shape, or a number that is not finite.
        """
        arm = self._arm
        target = np.asarray(action, dtype=np.float64)
        require(
            target.shape == (arm.num_joints,), "action.shape", target.shape, f"must be ({arm.num_joints},)"
        )
        require(bool(np.isfinite(target).all()), "action", target, "must be finite")
        velocity = (target - self._command) / (self._ticks * _TICK_S)
        over = False
        for tick in range(self._ticks):
            arm.command(self._command + (tick + 0.5) * _TICK_S * velocity, velocity)
            arm.step(self._steps)
            if tick % _LOOK_TICKS == 0 and not over:
                over = self._task.update(arm.time_s, arm.tool)
        self._command = target
        distance = float(np.linalg.norm(arm.tool - self._goal))
        return reach_observation(arm.position, self._goal, arm.tool), -distance, over
