"""A Panda in a room: capsules on its links, a floor, a box beside it and walls for its tool.

For the tests of workspace and collision, and for their benchmark.
"""

import numpy as np

import vla_rt as vr

LIMITS = vr.robots.panda_limits()
READY = np.array([0, -0.785, 0, -2.356, 0, 1.571, 0.785])
LOWER, UPPER = np.array([0.2, -0.5, 0.05]), np.array([0.75, 0.5, 0.9])  #: of the tool [m]
BOX_CENTER, BOX_SIZE = np.array([0.5, 0.4, 0.2]), np.array([0.2, 0.2, 0.4])
MAY_TOUCH = [("panda_link0", "world"), ("panda_link1", "world"), ("panda_link5", "panda_link7")]
#: (link, ends of the axis or a centre, radius)
CAPSULES = [
    ("panda_link0", [-0.06, 0, 0.06], [0, 0, 0.06], 0.08),
    ("panda_link1", [0, 0, -0.19], [0, 0, -0.14], 0.07),
    ("panda_link2", [0, 0, -0.06], [0, 0, 0.06], 0.07),
    ("panda_link3", [0, 0, -0.1], [0, 0, -0.05], 0.065),
    ("panda_link4", [0, 0, -0.05], [0, 0, 0.05], 0.065),
    ("panda_link5", [0, 0, -0.26], [0, 0, -0.23], 0.065),
    ("panda_link5", [0, 0.08, -0.18], [0, 0.08, -0.05], 0.035),
    ("panda_link6", [0.0, 0, -0.04], [0.04, 0, 0.02], 0.06),
    ("panda_link7", [0, 0, -0.02], [0, 0, 0.05], 0.055),
    ("panda_hand", [0, -0.07, 0.04], [0, 0.07, 0.04], 0.04),
    ("panda_hand", [0, 0, 0.06], 0.03),
]


def model(chain: vr.Kinematics) -> vr.CollisionModel:
    """The capsules, the floor and the box."""
    world = [vr.HalfSpace([0, 0, 1], 0.0), vr.Box(BOX_CENTER, BOX_SIZE)]
    return vr.CollisionModel(chain, CAPSULES, world, MAY_TOUCH)
