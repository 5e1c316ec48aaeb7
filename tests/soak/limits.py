"""Of the robot of the soak, as its driver states them."""

from __future__ import annotations

import vla_rt as vr

JOINTS = 7
LIMITS = vr.JointLimits([-1.2] * JOINTS, [1.2] * JOINTS, [1.5] * JOINTS, [8.0] * JOINTS, [400.0] * JOINTS)
