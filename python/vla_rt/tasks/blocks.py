"""The task `blocks`: touch the block that the instruction names, seen by a camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import require
from vla_rt.robots.panda import panda_limits
from vla_rt.sim.camera import Camera
from vla_rt.sim.inverse_kinematics import InverseKinematics
from vla_rt.sim.scenes import BLOCK_HALF_SIZE, COLORS, blocks_scene
from vla_rt.tasks.box import require_box
from vla_rt.tasks.table_scene import TableScene

if TYPE_CHECKING:
    from vla_rt._core import JointLimits
    from vla_rt.tasks.blocks_expert import BlocksExpert

__all__ = ["INSTRUCTIONS", "BlocksConfig", "BlocksScene"]

_Array = NDArray[np.float64]
_CLEAR_M = 0.10  # of a new block from the tool

#: Ways to say it.
INSTRUCTIONS = ("touch the {} block", "go to the {} block", "tap the {} one")


@dataclass(frozen=True)
class BlocksConfig:
    """Where blocks appear and what is asked.

    Attributes:
        colors: Of the blocks, one each; names of `vla_rt.sim.scenes.COLORS`.
        lower: Lower corner (x, y) of their box [m], in the arm's base frame.
        upper: Upper corner [m].
        min_distance: Least distance between two blocks [m].
        timeout_s: After this long a trial has failed [s].
        dwell_s: How long a trial goes on after the first touch [s]. Recordings have some, so that it is seen
            what to do when the block is all but touched.
        image_size: Rows and columns of the camera's picture.
        mislead: Say another colour than the one that is judged: a policy that listens fails.
    """

    colors: tuple[str, ...] = ("red", "green", "blue", "yellow")
    lower: tuple[float, float] = (0.38, -0.22)
    upper: tuple[float, float] = (0.58, 0.22)
    min_distance: float = 0.11
    timeout_s: float = 6.0
    dwell_s: float = 0.0
    image_size: int = 96
    mislead: bool = False

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        require(len(self.colors) >= 2, "colors", self.colors, "needs at least 2")
        for i, color in enumerate(self.colors):
            require(color in COLORS, f"colors[{i}]", color, f"must be one of {', '.join(COLORS)}")
            require(color not in self.colors[:i], f"colors[{i}]", color, "must be there once")
        require_box(self.lower, self.upper, 2)
        least = 2 * math.sqrt(2) * BLOCK_HALF_SIZE
        require(
            least <= self.min_distance,
            "min_distance",
            self.min_distance,
            f"must be >= {least:.3g}: they touch",
        )
        require(
            math.isfinite(self.timeout_s) and self.timeout_s > 0,
            "timeout_s",
            self.timeout_s,
            "must be finite and > 0",
        )
        require(0 <= self.dwell_s < self.timeout_s, "dwell_s", self.dwell_s, "must be >= 0, below timeout_s")
        require(16 <= self.image_size <= 480, "image_size", self.image_size, "must be 16..480")


class BlocksScene(TableScene):
    """Blocks of different colours on the floor; the first one that the stylus touches decides.

    What a policy sees: ``observation.image`` (H, W, 3) uint8, ``observation.state`` (7,), the joints [rad],
    and ``instruction``, the text, which tells it the colour.

    Args:
        config: Colours, places, times.
        seed: Of places, colours asked for and words.
    """

    name = "blocks"
    has_camera = True

    def __init__(self, config: BlocksConfig | None = None, seed: int = 0) -> None:
        self.config = config if config is not None else BlocksConfig()
        self.config.validate()
        super().__init__(blocks_scene(self.config.colors), seed, self.config.timeout_s)
        model = self.arm.model
        self._geoms = {model.geom(f"block_{color}").id: color for color in self.config.colors}
        self._joints = [model.joint(f"block_{color}") for color in self.config.colors]
        self._camera: Camera | None = None
        self._first: str | None = None  # block that was touched
        self._after = 0.0  # how long it took [s]
        self.reset()

    @property
    def limits(self) -> JointLimits:
        """The Panda's published ones."""
        return panda_limits()

    @property
    def target(self) -> str:
        """Colour that is asked for and judged."""
        return self._target

    def block(self, color: str) -> _Array:
        """Middle of a block (3,) [m], a copy."""
        return self._middle(self._joints[self.config.colors.index(color)])

    def observe(self) -> dict[str, NDArray[Any]]:
        """Picture and joints, by feature name; renders."""
        if self._camera is None:
            self._camera = self.camera()
        return {"observation.image": self._camera.picture(self.arm.data), **self.numbers()}

    def numbers(self) -> dict[str, NDArray[Any]]:
        """The joints."""
        return {"observation.state": np.array(self.arm.position)}

    def camera(self) -> Camera:
        """A camera that sees the table as the policy does; for the thread that asks for it."""
        return Camera(self.arm.model, "table", self.config.image_size, self.config.image_size)

    def show(self) -> dict[str, NDArray[Any]]:
        """Joints, and for the expert where the block is (3,) and the tool (3,) [m]."""
        return {
            "observation.state": np.array(self.arm.position),
            "observation.environment_state": np.concatenate([self.block(self._target), self.arm.tool]),
        }

    def look(self) -> bool:
        """Judges the trial; True when the next one began."""
        elapsed = self.arm.time_s - self._since
        if self._first is None:
            self._first, self._after = self._touched(), elapsed
        until = self.config.timeout_s if self._first is None else self._after + self.config.dwell_s
        if elapsed < until:
            return False
        reason = "timeout" if self._first is None else "another block"
        self.statistics.add(self._first == self._target, self._after, reason)
        self._begin()
        return True

    def expert(self) -> BlocksExpert:
        """Down a funnel onto the block."""
        from vla_rt.tasks.blocks_expert import BlocksExpert

        return BlocksExpert(InverseKinematics())

    def _touched(self) -> str | None:
        """Colour of a block that something other than floor and blocks touches."""
        for a, b in self._contacts():
            for block, other in ((int(a), int(b)), (int(b), int(a))):
                if block in self._geoms and other != self._floor and other not in self._geoms:
                    return self._geoms[block]
        return None

    def _begin(self) -> None:
        config, random, tool = self.config, self._random(), self.arm.tool
        for _ in range(10_000):
            places = random.uniform(config.lower, config.upper, (len(config.colors), 2))
            gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(len(places))
            clear = tool[2] > 0.2 or np.linalg.norm(places - tool[:2], axis=1).min() >= _CLEAR_M
            if gaps.min() >= config.min_distance and clear:
                break
        yaws = random.uniform(-math.pi / 4, math.pi / 4, len(places))
        for joint, place, yaw in zip(self._joints, places, yaws, strict=True):
            self._lay(joint, place, BLOCK_HALF_SIZE, yaw)
        self._target = str(random.choice(config.colors))
        words = str(random.choice(INSTRUCTIONS))
        others = [color for color in config.colors if color != self._target]
        other = str(random.choice(others))
        self.instruction = words.format(other if config.mislead else self._target)
        self._first, self._after = None, 0.0
        top = self.block(self._target) + np.array([0.0, 0.0, BLOCK_HALF_SIZE])
        self.shown.append((self._since, top))
        self.straight_m.append(math.dist(top, tool))
