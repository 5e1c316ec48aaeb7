"""Behind `vla-rt demo`: from the expert's recordings to a safe 1 kHz run of a learned policy."""

from vla_rt.demo.preparation import Preparation, PreparationConfig, prepare
from vla_rt.demo.safe_run import DemoResult, SafeRunConfig, run_policy

__all__ = [
    "DemoResult",
    "Preparation",
    "PreparationConfig",
    "SafeRunConfig",
    "prepare",
    "run_policy",
]
