"""MuJoCo simulation: the arm and its inverse kinematics.

Needs the extra `sim`; mujoco is loaded on first use.
"""

from vla_rt.sim.arm import DEFAULT_MODEL, ArmSimulation
from vla_rt.sim.inverse_kinematics import InverseKinematics

__all__ = ["DEFAULT_MODEL", "ArmSimulation", "InverseKinematics"]
