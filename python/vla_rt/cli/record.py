"""Record the scripted expert of a task in the simulator into a LeRobot dataset v3.0.

Interrupted or killed and called again, it goes on where it was and ends with the same frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vla_rt.cli.result import write_json
from vla_rt.errors import require


@dataclass(frozen=True)
class Arguments:
    """What is recorded, and where to."""

    out: Path
    """Folder of the dataset; one that this command began is continued."""
    task: Literal["reach"] = "reach"
    """What the expert does."""
    episodes: int = 200
    """Runs of the expert, of three goals each; every goal becomes an episode of the dataset."""
    fps: float = 20.0
    """Frames per second."""
    seed: int = 0
    """Of starts, goals and disturbances."""
    json: Path | None = None
    """Write the result to this file."""


def run(arguments: Arguments) -> int:
    """Records; returns 0."""
    from rich.console import Console

    from vla_rt.tasks import RecordingConfig, record_dataset

    config = RecordingConfig(episodes=arguments.episodes, fps=arguments.fps, seed=arguments.seed)
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
