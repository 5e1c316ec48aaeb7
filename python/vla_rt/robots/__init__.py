"""Robots: drivers behind the wait-free mailbox, and the published figures of real arms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vla_rt._core import MailboxRobot, SharedMemoryDriver, SharedMemoryRobot, SimulatedRobot
from vla_rt.robots.panda import panda_forward, panda_limits, panda_urdf

if TYPE_CHECKING:
    from vla_rt.robots.mujoco_robot import MujocoRobot

__all__ = [
    "MailboxRobot",
    "MujocoRobot",
    "SharedMemoryDriver",
    "SharedMemoryRobot",
    "SimulatedRobot",
    "panda_forward",
    "panda_limits",
    "panda_urdf",
]


def __getattr__(name: str) -> Any:
    if name == "MujocoRobot":  # loads the simulator's modules, which no other robot needs
        from vla_rt.robots.mujoco_robot import MujocoRobot

        return MujocoRobot
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
