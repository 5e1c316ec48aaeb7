"""The Panda's published figures."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.robots.panda import PANDA_MAX_VELOCITY


def test_limits_are_the_published_ones():
    limits = vr.robots.panda_limits()
    assert limits.num_joints == 7
    np.testing.assert_array_equal(
        limits.min_position, [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]
    )
    np.testing.assert_array_equal(
        limits.max_position, [2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]
    )
    np.testing.assert_array_equal(limits.max_velocity, [2.175] * 4 + [2.61] * 3)
    np.testing.assert_array_equal(limits.max_acceleration, [15, 7.5, 10, 12.5, 15, 20, 20])
    np.testing.assert_array_equal(limits.max_jerk, 500 * limits.max_acceleration)


def test_the_figures_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        PANDA_MAX_VELOCITY[0] = 9.0


def test_the_robots_load_no_simulator_until_asked():
    code = (
        "import sys, vla_rt as vr; vr.robots.panda_limits(); "
        "print([m for m in ('mujoco', 'torch', 'vla_rt.sim', 'vla_rt.tasks') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")
