from vla_rt.tasks.blocks import BlocksConfig, BlocksScene
from vla_rt.tasks.blocks_expert import BlocksExpert
from vla_rt.tasks.evaluation import EvaluationConfig, EvaluationResult, EvaluationTrace, evaluate
from vla_rt.tasks.pick import PickConfig, PickScene, gripper_limits
from vla_rt.tasks.pick_expert import PickExpert
from vla_rt.tasks.reach import ReachConfig, ReachTask, TaskStatistics, reach_observation
from vla_rt.tasks.reach_environment import ReachEnvironment
from vla_rt.tasks.reach_expert import ReachExpert, ReachExpertConfig
from vla_rt.tasks.reach_scene import ReachScene
from vla_rt.tasks.recording import RecordingConfig, record_dataset, record_demonstrations
from vla_rt.tasks.scene import Scene
from vla_rt.tasks.scenes import TASKS, TaskConfig, make_scene
from vla_rt.tasks.scripted_expert import ScriptedExpert

__all__ = [
    "TASKS",
    "BlocksConfig",
    "BlocksExpert",
    "BlocksScene",
    "EvaluationConfig",
    "EvaluationResult",
    "EvaluationTrace",
    "PickConfig",
    "PickExpert",
    "PickScene",
    "ReachConfig",
    "ReachEnvironment",
    "ReachExpert",
    "ReachExpertConfig",
    "ReachScene",
    "ReachTask",
    "RecordingConfig",
    "Scene",
    "ScriptedExpert",
    "TaskConfig",
    "TaskStatistics",
    "evaluate",
    "gripper_limits",
    "make_scene",
    "reach_observation",
    "record_dataset",
    "record_demonstrations",
]
