"""Enforcers of a few joints with equal limits, and the definition of a violation written a second time."""

import numpy as np

import vla_rt as vr

PERIOD = 1e-3
ORDERS = ("velocity", "acceleration", "jerk")


def joint_limits(n: int = 1, q=2.7, v=2.62, a=10.0, j=5000.0) -> vr.JointLimits:
    one = np.ones(n)
    return vr.JointLimits(-q * one, q * one, v * one, a * one, j * one)


def enforcer(limits: vr.JointLimits, start, period_s: float = PERIOD, **options) -> vr.ConstraintEnforcer:
    e = vr.ConstraintEnforcer(limits, period_s, **options)
    e.reset(start)
    return e


def violations(position: np.ndarray, start: np.ndarray, limits: vr.JointLimits, dt: float) -> int:
    """The definition of docs/safety.md, written a second time in numpy."""
    history = np.vstack([start, start, start, position])
    eps = np.finfo(float).eps
    found = int(np.sum(~((position >= limits.min_position) & (position <= limits.max_position))))
    for k, name in enumerate(ORDERS, start=1):
        rate = np.abs(np.diff(history, n=k, axis=0))[3 - k :] / dt**k
        bound = getattr(limits, f"max_{name}") * (1 + 1e-6)
        found += int(np.sum(~(rate <= bound + 2**k * 8 * eps * np.maximum(1, np.abs(position)) / dt**k)))
    return found
