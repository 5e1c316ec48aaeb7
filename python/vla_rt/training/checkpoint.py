"""Checkpoints that are either whole or not there."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vla_rt._files import write_whole
from vla_rt.errors import ConfigError, FormatError, error
from vla_rt.training.train_config import TrainConfig

FORMAT = 1
# Settings that may differ between a run and its continuation: they do not change a single number.
_FREE = {"output_dir", "checkpoint_every", "resume", "num_threads", "progress"}


def save_checkpoint(path: Path, state: dict[str, Any], config: TrainConfig) -> None:
    """Writes beside ``path``, syncs and moves it there: a crash leaves the old checkpoint or the new one."""
    content = {"format": FORMAT, "config": _settings(config), **state}
    write_whole(path, lambda file: torch.save(content, file), durable=True)


def load_checkpoint(path: Path, config: TrainConfig) -> dict[str, Any]:
    """Reads a checkpoint of a run with the same settings; nothing in it is executed.

    Raises:
        FormatError: The file is no checkpoint of this version.
        ConfigError: A setting differs; the field and both values are named.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as cause:
        reason = " ".join(str(cause).split())[:200] or type(cause).__name__
        raise error(FormatError, str(path), "", f"is no checkpoint: {reason}") from cause
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise error(FormatError, str(path), "", f"is no checkpoint of format {FORMAT}")
    saved = state["config"]
    for name, value in _settings(config).items():
        if saved.get(name) != value:
            raise error(ConfigError, name, value, f"the checkpoint {path} was made with {saved.get(name)}")
    return state


def _settings(config: TrainConfig) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(config).items() if name not in _FREE}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
