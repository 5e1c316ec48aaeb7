"""Recorded demonstrations: as arrays in memory, and in LeRobot's format on disk."""

from typing import TYPE_CHECKING, Any

from vla_rt.datasets.demonstrations import Demonstrations
from vla_rt.datasets.instructions import InstructedDataset, InstructionVocabulary

if TYPE_CHECKING:
    from vla_rt.datasets.lerobot_dataset import LeRobotDataset
    from vla_rt.datasets.relative import RelativeDataset

__all__ = [
    "Demonstrations",
    "InstructedDataset",
    "InstructionVocabulary",
    "LeRobotDataset",
    "RelativeDataset",
]


def __getattr__(name: str) -> Any:
    if name == "LeRobotDataset":  # needs pyarrow
        from vla_rt.datasets.lerobot_dataset import LeRobotDataset

        return LeRobotDataset
    if name == "RelativeDataset":
        from vla_rt.datasets.relative import RelativeDataset

        return RelativeDataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
