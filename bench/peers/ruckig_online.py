"""Ruckig (Berscheid and Kroeger, RSS 2021; package from PyPI), called every tick with the newest target."""

from __future__ import annotations

import numpy as np
import ruckig

from peers import Array, Limits


class OnlineRuckig:
    """M independent joints; `moving` passes the target's own velocity, else targets are at rest."""

    def __init__(self, limits: Limits, period_s: float, start: Array, moving: bool = False) -> None:
        self.limits, self.dt, self.moving = limits, period_s, moving
        m = len(start)
        self.engine = ruckig.Ruckig(m, period_s)
        self.input, self.output = ruckig.InputParameter(m), ruckig.OutputParameter(m)
        self.input.synchronization = ruckig.Synchronization.No
        self.input.current_position = start.tolist()
        self.input.current_velocity = self.input.current_acceleration = [0.0] * m
        self.input.max_velocity = [limits.velocity] * m
        self.input.max_acceleration = [limits.acceleration] * m
        self.input.max_jerk = [limits.jerk] * m
        self.last = start.copy()

    def step(self, target: Array, velocity: Array | None = None) -> Array:
        """The next command (M,); `velocity` overrides the difference of targets."""
        goal = np.clip(target, -self.limits.position, self.limits.position)
        self.input.target_position = goal.tolist()
        if self.moving:
            v = (goal - self.last) / self.dt if velocity is None else velocity
            self.input.target_velocity = np.clip(v, -self.limits.velocity, self.limits.velocity).tolist()
        self.last = goal
        result = self.engine.update(self.input, self.output)
        if result.value < 0:
            raise RuntimeError(f"ruckig: {result}")
        self.output.pass_to_input(self.input)
        return np.array(self.output.new_position)
