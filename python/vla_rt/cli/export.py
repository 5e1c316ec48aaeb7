"""Make a policy package of a checkpoint that another project wrote.

Needs nothing of that project: files and networks are read and built here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vla_rt.cli.result import write_json


@dataclass(frozen=True)
class Arguments:
    """What is exported, and to what."""

    from_lerobot: Path
    """Folder of a LeRobot checkpoint of type act or diffusion: config.json, model.safetensors, processors."""
    out: Path
    """Folder of the package to make."""
    backend: Literal["native", "torchscript"] | None = None
    """The network to write; by default both, where this installation and the policy allow."""
    fps: float = 30.0
    """Rows of a chunk per second, as of the dataset it was trained on: the checkpoint does not say it."""
    json: Path | None = None
    """Write what the package is to this file."""


def run(arguments: Arguments) -> int:
    """Exports and describes the package; returns 0."""
    from vla_rt.cli.inspect import examine, show
    from vla_rt.errors import ConfigError

    try:
        from vla_rt.integrations.lerobot import import_checkpoint
    except ImportError as cause:
        raise ConfigError(str(cause)) from cause

    package = import_checkpoint(arguments.from_lerobot, arguments.out, arguments.backend, arguments.fps)
    result = examine(package)
    show(result)
    write_json(arguments.json, result)
    return 0
