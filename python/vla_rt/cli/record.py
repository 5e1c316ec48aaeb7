"""Record the scripted expert of a task in the simulator into a LeRobot dataset v3.0.

Interrupted or killed and called again, it goes on where it was and ends with the same frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vla_rt.cli.result import write_json
from vla_rt.errors import require


@dataclass(frozen=True)
class Arguments:
    """What is recorded, and where to."""

    out: Path
    """Folder of the dataset; one that this command began is continued."""
    task: Literal["reach", "pick", "blocks"] = "reach"
    """What the expert does: bring the tool to a goal, put a cube on a goal, touch the block that is named."""
    episodes: int = 200
    """Runs of the expert, of three goals each; every goal becomes an episode of the dataset."""
    fps: float | None = None
    """Frames per second; by default 20, with pictures 10."""
    seed: int = 0
    """Of starts, goals and disturbances."""
    json: Path | None = None
    """Write the result to this file."""


def run(arguments: Arguments) -> int:
    """Records; returns 0."""
    from rich.console import Console

    from vla_rt.tasks import RecordingConfig, record_dataset

    config = RecordingConfig.of(arguments.task)
    config = replace(
        config, episodes=arguments.episodes, seed=arguments.seed, fps=arguments.fps or config.fps
    )
    config.validate()
    require(not arguments.out.is_file(), "out", arguments.out, "is a file")
    dataset, statistics = record_dataset(arguments.out, config)
    result = {
        "dataset": arguments.out,
        "episodes": dataset.num_episodes,
        "frames": len(dataset),
        "fps": dataset.fps,
        "features": {name: list(feature.shape) for name, feature in dataset.features.items()},
        "expert": statistics.to_dict(),
    }
    write_json(arguments.json, result)
    text = f"{arguments.out}: {len(dataset)} frames in {dataset.num_episodes} episodes at {dataset.fps:g} Hz"
    if statistics.attempted:
        text += f"; the expert reached {statistics.reached} of {statistics.attempted} goals now"
    Console(highlight=False, soft_wrap=True).print(text)
    return 0
