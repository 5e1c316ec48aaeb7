"""A way down that is low only where it is near the axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]


def funnel_velocity(
    offset: _Array,
    height: float,
    top: float = 0.10,
    throat: float = 0.004,
    slope: float = 4.0,
    gain: float = 5.0,
    max_speed: float = 0.4,
) -> _Array:
    """Velocity (3,) [m/s] of something towards the bottom of a vertical funnel.

    Height above the bottom follows ``slope`` times the distance from the axis beyond ``throat``, ``top`` at
    most. Who is below the funnel's wall goes up before it goes aside.

    Args:
        offset: From it to the axis (2,) [m].
        height: Of it above the bottom [m].
        top: Height from far away [m].
        throat: Radius within which it may go all the way down [m].
        slope: Height per distance.
        gain: Velocity per distance [1/s].
        max_speed: Along the floor, and upwards or downwards [m/s].
    """
    distance = float(np.hypot(offset[0], offset[1]))
    wall = min(top, max(0.0, slope * (distance - throat)))
    below = wall - height
    free = min(1.0, max(0.0, 1.0 - (below - 0.01) / 0.03))
    speed = min(gain * distance, max_speed) * free
    lateral = offset * (speed / distance) if distance > 1e-9 else np.zeros(2)
    vertical = float(np.clip(gain * below, -0.6 * max_speed, 0.6 * max_speed))
    return np.array([lateral[0], lateral[1], vertical])
