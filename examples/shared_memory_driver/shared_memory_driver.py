"""A robot driver in Python, in a process of its own, as shared_memory_driver.c.

    python shared_memory_driver.py arm 10        # seven simulated joints for 10 s under the name "arm"

The simulated servo stands in for the robot: replace `Servo`. Python keeps 1 kHz on a good day only; hence the
longer times after which a command counts as late or the controller as gone.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time

import numpy as np

import vla_rt as vr

JOINTS, PERIOD_S, LATE_S, TIMEOUT_S = 7, 0.001, 0.02, 0.2
LIMITS = vr.JointLimits([-2.8] * JOINTS, [2.8] * JOINTS, [2.0] * JOINTS, [10.0] * JOINTS, [1000.0] * JOINTS)


class Servo:
    """Joints that follow their command within 5 ms."""

    def __init__(self) -> None:
        self.position, self.velocity = np.zeros(JOINTS), np.zeros(JOINTS)

    def command(self, wanted: np.ndarray) -> None:
        """One cycle."""
        self.velocity = 0.2 * (wanted - self.position) / PERIOD_S
        self.position = self.position + 0.2 * (wanted - self.position)


def main(name: str, seconds: float) -> None:
    """Drives; says so whenever what the controller is worth changes."""
    servo, said = Servo(), ""
    end = due = time.monotonic()
    end += seconds
    with vr.robots.SharedMemoryDriver(name, LIMITS, late_s=LATE_S, timeout_s=TIMEOUT_S) as driver:
        while due < end:
            driver.post_state(servo.position, servo.velocity)
            advice, wanted, _ = driver.follow()
            servo.command(servo.position if wanted is None else wanted)
            if advice != said:
                print(advice, flush=True)
                said = advice
            due += PERIOD_S
            time.sleep(max(0.0, due - time.monotonic()))
    print(f"at rest: {'yes' if np.abs(servo.velocity).max() < 1e-3 else 'no'}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1] if len(sys.argv) > 1 else "arm", float(sys.argv[2]) if len(sys.argv) > 2 else 10.0)
