"""Robots: drivers behind the wait-free mailbox, and the published figures of real arms."""

from vla_rt._core import MailboxRobot
from vla_rt.robots.panda import panda_forward, panda_limits

__all__ = ["MailboxRobot", "panda_forward", "panda_limits"]
