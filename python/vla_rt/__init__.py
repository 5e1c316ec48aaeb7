"""Real-time runtime for learned robot policies: chunks of actions in, one safe command every millisecond out.

Importing this package loads numpy and the C++ core, nothing else; torch, mujoco and matplotlib are loaded by
the submodules that need them, when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from vla_rt import robots, rotations, rtc, samplers, tokenizers
from vla_rt._core import (
    MAX_ACTION_DIM,
    MAX_HORIZON,
    ActionSpace,
    Box,
    ButterworthFilter,
    Capsule,
    ChunkExecutor,
    CollisionModel,
    ConfigError,
    ConstraintEnforcer,
    ContinuousActionSpace,
    Controller,
    DelayEstimator,
    DifferentialIk,
    DiscreteActionSpace,
    EndEffectorDeltaSpace,
    EndEffectorPoseSpace,
    EnforcerReport,
    FlightFollower,
    FlightRecording,
    FormatError,
    GripperJoint,
    HalfSpace,
    HybridActionSpace,
    InlinePolicy,
    JointLimits,
    JointPositionSpace,
    JointVelocitySpace,
    Kinematics,
    LatencyHistogram,
    LowPassFilter,
    ModelError,
    Normalizer,
    OrientationCone,
    Policy,
    PolicySpec,
    RealtimeError,
    RealtimeMode,
    RowInterpolator,
    Sphere,
    Status,
    TemporalEnsembler,
    ViolationCounter,
    ViolationLog,
    VlaRtError,
    Workspace,
    __version__,
    measure_wakeup,
    steady_now_ns,
)
from vla_rt.control_config import ControlConfig
from vla_rt.control_loop import ControlLoop, RunReport
from vla_rt.export import export_policy
from vla_rt.package import load_policy
from vla_rt.stats import load_stats

if TYPE_CHECKING:
    from vla_rt import datasets, plots, policies, tasks, training

__all__ = [
    "MAX_ACTION_DIM",
    "MAX_HORIZON",
    "ActionSpace",
    "Box",
    "ButterworthFilter",
    "Capsule",
    "ChunkExecutor",
    "CollisionModel",
    "ConfigError",
    "ConstraintEnforcer",
    "ContinuousActionSpace",
    "ControlConfig",
    "ControlLoop",
    "Controller",
    "DelayEstimator",
    "DifferentialIk",
    "DiscreteActionSpace",
    "EndEffectorDeltaSpace",
    "EndEffectorPoseSpace",
    "EnforcerReport",
    "FlightFollower",
    "FlightRecording",
    "FormatError",
    "GripperJoint",
    "HalfSpace",
    "HybridActionSpace",
    "InlinePolicy",
    "JointLimits",
    "JointPositionSpace",
    "JointVelocitySpace",
    "Kinematics",
    "LatencyHistogram",
    "LowPassFilter",
    "ModelError",
    "Normalizer",
    "OrientationCone",
    "Policy",
    "PolicySpec",
    "RealtimeError",
    "RealtimeMode",
    "RowInterpolator",
    "RunReport",
    "Sphere",
    "Status",
    "TemporalEnsembler",
    "ViolationCounter",
    "ViolationLog",
    "VlaRtError",
    "Workspace",
    "__version__",
    "datasets",
    "export_policy",
    "load_policy",
    "load_stats",
    "measure_wakeup",
    "plots",
    "policies",
    "robots",
    "rotations",
    "rtc",
    "samplers",
    "steady_now_ns",
    "tasks",
    "tokenizers",
    "training",
]

# Submodules that load something heavy: attributes of the package all the same, imported when first used.
_LAZY = frozenset({"datasets", "plots", "policies", "tasks", "training"})


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"vla_rt.{name}")
    raise AttributeError(f"module 'vla_rt' has no attribute {name!r}")
