from vla_rt.tasks.evaluation import EvaluationConfig, EvaluationResult, EvaluationTrace, evaluate
from vla_rt.tasks.reach import ReachConfig, ReachTask, TaskStatistics, reach_observation
from vla_rt.tasks.reach_environment import ReachEnvironment
from vla_rt.tasks.reach_expert import ReachExpert, ReachExpertConfig
from vla_rt.tasks.recording import RecordingConfig, record_dataset, record_demonstrations

__all__ = [
    "EvaluationConfig",
    "EvaluationResult",
    "EvaluationTrace",
    "ReachConfig",
    "ReachEnvironment",
    "ReachExpert",
    "ReachExpertConfig",
    "ReachTask",
    "RecordingConfig",
    "TaskStatistics",
    "evaluate",
    "reach_observation",
    "record_dataset",
    "record_demonstrations",
]
