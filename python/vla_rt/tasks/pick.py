"""The task `pick`: grasp a cube, put it down on a goal, let go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import require
from vla_rt.robots.panda import panda_limits
from vla_rt.sim.inverse_kinematics import InverseKinematics
from vla_rt.sim.scenes import CUBE_HALF_SIZE, GRIPPER_RANGE, pick_scene
from vla_rt.tasks.box import require_box
from vla_rt.tasks.table_scene import TableScene

if TYPE_CHECKING:
    from vla_rt._core import JointLimits
    from vla_rt.tasks.pick_expert import PickExpert

__all__ = ["PickConfig", "PickScene", "gripper_limits"]

_Array = NDArray[np.float64]
_ON_FLOOR_M = 0.004  # of the cube's middle above where it is when it lies
_AT_REST_M_S = 0.03
_CLEAR_M = 0.09  # of a new cube from the tool


@dataclass(frozen=True)
class PickConfig:
    """Where cube and goal appear and when the task is done.

    Attributes:
        lower: Lower corner (x, y) of the box of both [m], in the arm's base frame.
        upper: Upper corner [m].
        max_yaw: Largest turn of the cube about the vertical [rad].
        min_distance: Least distance from cube to goal [m].
        tolerance: Distance from cube to goal, along the floor, within which it is placed [m].
        dwell_s: How long the cube must lie there, at rest and touched by nothing but the floor [s].
        timeout_s: After this long a trial has failed [s].
    """

    lower: tuple[float, float] = (0.38, -0.22)
    upper: tuple[float, float] = (0.58, 0.22)
    max_yaw: float = 0.4
    min_distance: float = 0.15
    tolerance: float = 0.025
    dwell_s: float = 0.2
    timeout_s: float = 12.0

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        require_box(self.lower, self.upper, 2)
        for name in ("tolerance", "dwell_s", "timeout_s"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, name, value, "must be finite and > 0")
        require(0 <= self.max_yaw <= math.pi / 4, "max_yaw", self.max_yaw, "must be 0..pi/4")
        half = math.dist(self.lower, self.upper) / 2
        bound = f"must be 0..{half:.3g}, half the box's diagonal"
        require(0 <= self.min_distance <= half, "min_distance", self.min_distance, bound)


def gripper_limits() -> JointLimits:
    """The Panda's published limits, and the gripper's: 4 cm, 0.2 m/s, 5 m/s², 500 m/s³ per finger."""
    from vla_rt._core import JointLimits

    arm = panda_limits()
    more = {
        "min_position": 0.0,
        "max_position": GRIPPER_RANGE,
        "max_velocity": 0.2,
        "max_acceleration": 5.0,
        "max_jerk": 500.0,
    }
    return JointLimits(*(np.append(getattr(arm, name), value) for name, value in more.items()))


class PickScene(TableScene):
    """A cube and a goal on the floor; done when the cube lies on the goal and nothing touches it.

    The cube is held by the friction of the fingers alone. What a policy sees: ``observation.state`` (8,), the
    joints [rad] and how far each finger is open [m]; ``observation.environment_state`` (10,): the tool, from
    it to the cube, from the cube to the goal (3 each) [m], the cube's turn within -pi/4..pi/4 [rad].

    Args:
        config: Places, tolerance, times.
        seed: Of cubes and goals.
    """

    name = "pick"

    def __init__(self, config: PickConfig | None = None, seed: int = 0) -> None:
        self.config = config if config is not None else PickConfig()
        self.config.validate()
        super().__init__(pick_scene(), seed, self.config.timeout_s)
        self.instruction = "put the cube on the goal"
        model = self.arm.model
        self._body, self._geom, self._joint = (
            model.body("cube").id,
            model.geom("cube").id,
            model.joint("cube"),
        )
        self._looked = self._dwelt = 0.0
        self.reset()

    @property
    def limits(self) -> JointLimits:
        """As of `gripper_limits`."""
        return gripper_limits()

    @property
    def cube(self) -> _Array:
        """Middle of the cube (3,) [m], a copy."""
        return self._middle(self._joint)

    @property
    def held(self) -> bool:
        """Whether anything but the floor touches the cube."""
        return any(other != self._floor for other in self._touching())

    def numbers(self) -> dict[str, _Array]:
        """What a policy sees, by feature name."""
        cube, tool = self.cube, self.arm.tool
        return {
            "observation.state": np.array(self.arm.position),
            "observation.environment_state": np.concatenate(
                [tool, cube - tool, self.arm.goal - cube, [self._yaw()]]
            ),
        }

    def look(self) -> bool:
        """Judges the trial; True when the next one began."""
        now, config = self.arm.time_s, self.config
        elapsed, self._looked = now - self._looked, now
        cube = self.cube
        moving = int(self._joint.dofadr[0])
        speed = self.arm.data.qvel[moving : moving + 3]
        placed = (
            abs(cube[2] - CUBE_HALF_SIZE) <= _ON_FLOOR_M
            and math.dist(cube[:2], self.arm.goal[:2]) <= config.tolerance
            and float(np.abs(speed).max()) <= _AT_REST_M_S
            and not self.held
        )
        self._dwelt = self._dwelt + elapsed if placed else 0.0
        done = self._dwelt >= config.dwell_s - 1e-9
        if not done and now - self._since < config.timeout_s:
            return False
        self.statistics.add(done, now - self._since, "" if done else "timeout")
        self._begin()
        return True

    def expert(self) -> PickExpert:
        """Funnels over the cube and the goal."""
        from vla_rt.tasks.pick_expert import PickExpert

        return PickExpert(InverseKinematics())

    def _put(self, position: _Array | None) -> None:
        home = self.arm.home if position is None else position
        self.arm.reset(home)
        self.arm.data.qpos[len(home)] = home[-1]  # the other finger

    def _begin(self) -> None:
        config, random = self.config, self._random()
        for _ in range(1000):
            cube, goal = random.uniform(config.lower, config.upper, (2, 2))
            yaw = random.uniform(-config.max_yaw, config.max_yaw)
            clear = math.dist(cube, self.arm.tool[:2]) >= _CLEAR_M or self.arm.tool[2] > 0.2
            if clear and math.dist(cube, goal) >= config.min_distance:
                break
        self._lay(self._joint, cube, CUBE_HALF_SIZE, yaw)
        self.arm.goal = [*goal, 0.0005]
        self._looked, self._dwelt = self._since, 0.0
        ends = [self.arm.tool.copy(), *(np.array([*place, CUBE_HALF_SIZE]) for place in (cube, goal))]
        self.shown.append((self._since, ends[2]))
        self.straight_m.append(math.dist(ends[0], ends[1]) + math.dist(ends[1], ends[2]))

    def _yaw(self) -> float:
        """Turn of the cube about the vertical: of one of its edges that lies flat, modulo a right angle."""
        axes = self.arm.data.xmat[self._body].reshape(3, 3)
        flat = axes[:, int(np.argmin(np.abs(axes[2])))]
        quarter = math.pi / 2
        angle = math.atan2(flat[1], flat[0])
        return angle - quarter * round(angle / quarter)

    def _touching(self) -> list[int]:
        pairs = self._contacts()
        return [int(b if a == self._geom else a) for a, b in pairs if self._geom in (a, b)]
