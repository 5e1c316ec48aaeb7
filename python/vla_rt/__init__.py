"""Real-time runtime for learned robot policies: chunks of actions in, one safe command every millisecond out.

Importing this package loads numpy and the C++ core, nothing else; torch, mujoco and matplotlib are loaded by
the submodules that need them, when they are first used.
"""

from vla_rt import robots, samplers
from vla_rt._core import (
    MAX_ACTION_DIM,
    MAX_HORIZON,
    ChunkExecutor,
    ConfigError,
    ConstraintEnforcer,
    EnforcerReport,
    FormatError,
    JointLimits,
    ModelError,
    Normalizer,
    RealtimeError,
    Status,
    ViolationCounter,
    VlaRtError,
    __version__,
    steady_now_ns,
)

__all__ = [
    "MAX_ACTION_DIM",
    "MAX_HORIZON",
    "ChunkExecutor",
    "ConfigError",
    "ConstraintEnforcer",
    "EnforcerReport",
    "FormatError",
    "JointLimits",
    "ModelError",
    "Normalizer",
    "RealtimeError",
    "Status",
    "ViolationCounter",
    "VlaRtError",
    "__version__",
    "robots",
    "samplers",
    "steady_now_ns",
]
