"""What both nodes share: sizes and rates, inputs with their age, a rate that does not drift, a status."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._core import JointLimits
from vla_rt.errors import ConfigError, error, require
from vla_rt.integrations.ros2.messages import JointState

__all__ = ["InputMonitor", "Node", "NodeConfig", "NodeStatus", "Rate"]

_S = 1_000_000_000


@dataclass(frozen=True)
class NodeConfig:
    """What every node is told.

    Attributes:
        joint_names: Order of the joints.
        limits: Of the joints.
        rate_hz: Steps per second.
        image_timeout_s: Oldest image that is acted on [s].
        joints_timeout_s: Oldest joint state that is acted on [s].
        command_timeout_s: How long a command is acted on [s].
    """

    joint_names: tuple[str, ...]
    limits: JointLimits
    rate_hz: float = 10.0
    image_timeout_s: float = 0.5
    joints_timeout_s: float = 0.2
    command_timeout_s: float = 5.0

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        joints = len(np.asarray(self.limits.max_velocity))
        require(len(self.joint_names) == joints, "joint_names", len(self.joint_names), f"must be {joints}")
        require(0.1 <= self.rate_hz <= 1000, "rate_hz", self.rate_hz, "must be in [0.1, 1000] Hz")


@dataclass(frozen=True)
class NodeStatus:
    """What a step came to.

    Attributes:
        active: Whether the policy's answer was sent on.
        reason: Why not, in one sentence; empty where it was.
        steps: Steps so far.
        errors: Steps in which the policy, or a port, failed.
        refused_inputs: Messages that were not taken.
    """

    active: bool
    reason: str
    steps: int
    errors: int
    refused_inputs: int


@dataclass
class InputMonitor:
    """The newest image, joint state and command, each with the time it came. Thread: any.

    Args:
        joint_names: Order in which the policy sees the joints.
        timeouts_s: Oldest image, joints and command that are acted on [s].
    """

    joint_names: tuple[str, ...]
    timeouts_s: Mapping[str, float]
    refused: int = 0
    _values: dict[str, tuple[Any, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        require(len(self.joint_names) > 0, "joint_names", "()", "must not be empty")
        unique = len(set(self.joint_names)) == len(self.joint_names)
        require(unique, "joint_names", self.joint_names, "must not occur twice")
        for name, value in self.timeouts_s.items():
            require(0 < value <= 3600, f"{name}_timeout_s", value, "must be in (0, 3600] s")

    def set_image(self, image: NDArray[np.uint8], time_ns: int) -> None:
        """An image (H, W, 3). Raises ConfigError for anything else, which is counted and not taken."""
        array = np.asarray(image)
        good = array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size > 0
        self._take("image", array, time_ns, good, f"{array.dtype} {array.shape}", "must be uint8 (H, W, 3)")

    def set_joints(self, state: JointState) -> None:
        """Joints in any order, others among them. Raises ConfigError where one is missing or not finite."""
        places = {name: i for i, name in enumerate(state.name)}
        missing = [name for name in self.joint_names if name not in places]
        if missing or len(state.position) != len(state.name):
            bound = f"must have a position for {missing[0] if missing else 'every name'}"
            self._take("joints", None, state.time_ns, False, f"{len(state.position)} positions", bound)
        values = np.array([state.position[places[name]] for name in self.joint_names], dtype=np.float64)
        self._take(
            "joints", values, state.time_ns, bool(np.isfinite(values).all()), "a NaN", "must be finite"
        )

    def set_command(self, text: str, time_ns: int) -> None:
        """What shall be done. Raises ConfigError for an empty text."""
        self._take("command", text.strip(), time_ns, bool(text.strip()), repr(text[:20]), "must not be empty")

    def snapshot(self, now_ns: int) -> tuple[dict[str, Any], str]:
        """The values by name, and what is missing or too old; empty where nothing is."""
        with self._lock:
            values = dict(self._values)
        for name, timeout_s in self.timeouts_s.items():
            if name not in values:
                return {}, f"no {name} yet"
            age_s = (now_ns - values[name][1]) / _S
            if age_s > timeout_s:
                return {}, f"{name} is {age_s:.2f} s old, more than {timeout_s:g} s"
            if age_s < -timeout_s:
                return {}, f"{name} is stamped {-age_s:.2f} s ahead of the clock"
        return {name: value for name, (value, _) in values.items()}, ""

    def _take(self, name: str, value: Any, time_ns: int, good: bool, given: str, bound: str) -> None:
        with self._lock:
            if not good:
                self.refused += 1
                raise error(ConfigError, name, given, bound)
            known = self._values.get(name)
            if known is None or time_ns >= known[1]:  # transports may deliver out of order
                self._values[name] = (value, time_ns)


class Node:
    """Inputs of a node and what its steps came to.

    Args:
        config: Names, rates and timeouts.

    Attributes:
        inputs: Ports of image, joints and command.

    Raises:
        ConfigError: A field of `config` is out of its bounds.
    """

    def __init__(self, config: NodeConfig) -> None:
        config.validate()
        names = ("image", "joints", "command")
        self.inputs = InputMonitor(
            config.joint_names, {name: getattr(config, f"{name}_timeout_s") for name in names}
        )
        self._steps = self._errors = 0

    def _failed(self, cause: Exception) -> str:
        """Counts a step that failed; the reason in one sentence."""
        self._errors += 1
        return f"{type(cause).__name__}: {cause}"

    def _status(self, reason: str) -> NodeStatus:
        return NodeStatus(not reason, reason, self._steps, self._errors, self.inputs.refused)


class Rate:
    """Calls a step at a rate by the clock it is given; late steps are left out, not made up for.

    Args:
        rate_hz: In [0.1, 1000].
        clock: Time [ns].
        wait: Waits so many seconds.
    """

    def __init__(
        self,
        rate_hz: float,
        clock: Callable[[], int] = time.monotonic_ns,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        require(0.1 <= rate_hz <= 1000, "rate_hz", rate_hz, "must be in [0.1, 1000] Hz")
        self._period, self._clock, self._wait = round(_S / rate_hz), clock, wait
        self.missed = 0

    def run(self, step: Callable[[int], object], keep_on: Callable[[], bool]) -> None:
        """Calls `step(now_ns)` until `keep_on` is false."""
        due = self._clock()
        while keep_on():
            now = self._clock()
            if now < due:
                self._wait((due - now) / _S)
                continue
            step(now)
            due += self._period
            behind = self._clock() - due
            if behind > 0:
                lost = -(-behind // self._period)
                self.missed += lost
                due += lost * self._period
