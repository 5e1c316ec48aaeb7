"""Real-time runtime for learned robot policies: chunks of actions in, one safe command every millisecond out.

Importing this package loads numpy and the C++ core, nothing else; torch, mujoco and matplotlib are loaded by
the submodules that need them, when they are first used.
"""

from vla_rt import robots, rotations, samplers
from vla_rt._core import (
    MAX_ACTION_DIM,
    MAX_HORIZON,
    ActionSpace,
    ChunkExecutor,
    ConfigError,
    ConstraintEnforcer,
    ContinuousActionSpace,
    DiscreteActionSpace,
    EndEffectorDeltaSpace,
    EndEffectorPoseSpace,
    EnforcerReport,
    FormatError,
    HybridActionSpace,
    JointLimits,
    JointPositionSpace,
    JointVelocitySpace,
    Kinematics,
    ModelError,
    Normalizer,
    RealtimeError,
    Status,
    ViolationCounter,
    VlaRtError,
    __version__,
    steady_now_ns,
)
from vla_rt.stats import load_stats

__all__ = [
    "MAX_ACTION_DIM",
    "MAX_HORIZON",
    "ActionSpace",
    "ChunkExecutor",
    "ConfigError",
    "ConstraintEnforcer",
    "ContinuousActionSpace",
    "DiscreteActionSpace",
    "EndEffectorDeltaSpace",
    "EndEffectorPoseSpace",
    "EnforcerReport",
    "FormatError",
    "HybridActionSpace",
    "JointLimits",
    "JointPositionSpace",
    "JointVelocitySpace",
    "Kinematics",
    "ModelError",
    "Normalizer",
    "RealtimeError",
    "Status",
    "ViolationCounter",
    "VlaRtError",
    "__version__",
    "load_stats",
    "robots",
    "rotations",
    "samplers",
    "steady_now_ns",
]
