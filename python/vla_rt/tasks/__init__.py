from vla_rt.tasks.reach import ReachConfig, ReachTask, TaskStatistics
from vla_rt.tasks.reach_expert import ReachExpert, ReachExpertConfig
from vla_rt.tasks.recording import RecordingConfig, record_demonstrations

__all__ = [
    "ReachConfig",
    "ReachExpert",
    "ReachExpertConfig",
    "ReachTask",
    "RecordingConfig",
    "TaskStatistics",
    "record_demonstrations",
]
