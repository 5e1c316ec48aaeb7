"""Scenes by the name or the configuration of their task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_rt.errors import require
from vla_rt.tasks.blocks import BlocksConfig, BlocksScene
from vla_rt.tasks.pick import PickConfig, PickScene
from vla_rt.tasks.reach import ReachConfig
from vla_rt.tasks.reach_scene import ReachScene
from vla_rt.tasks.scene import Scene

__all__ = ["TASKS", "TaskConfig", "make_scene"]

TaskConfig = ReachConfig | PickConfig | BlocksConfig
#: Configuration of each task.
TASKS: dict[str, type[Any]] = {"reach": ReachConfig, "pick": PickConfig, "blocks": BlocksConfig}


def make_scene(task: str | TaskConfig, seed: int = 0, model_path: str | Path | None = None) -> Scene:
    """The scene of a task.

    Args:
        task: Its name, ``reach``, ``pick`` or ``blocks``, or its configuration.
        seed: Of what appears.
        model_path: As of `ArmSimulation`; only `reach` takes another arm.

    Raises:
        ConfigError: No such task, a field of the configuration is out of its bounds, or another arm for
            `pick` or `blocks`.
    """
    if isinstance(task, str):
        require(task in TASKS, "task", repr(task), f"must be one of {', '.join(TASKS)}")
        return make_scene(TASKS[task](), seed, model_path)
    if isinstance(task, ReachConfig):
        return ReachScene(task, seed, model_path)
    require(model_path is None, "model_path", model_path, "must be None: the task has an arm of its own")
    if isinstance(task, PickConfig):
        return PickScene(task, seed)
    return BlocksScene(task, seed)
