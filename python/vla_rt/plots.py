"""Pictures of runs and trainings (matplotlib, loaded on first use; no display needed)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_rt.errors import ConfigError, error


def plot_training(log: Path, path: Path) -> None:
    """Draws the loss and the learning rate of a training log.

    Args:
        log: The CSV file that ``vla_rt.training.train`` writes.
        path: The picture; its ending chooses the format.
    """
    from vla_rt.training.training_log import read_log

    rows = read_log(log)
    figure = _figure(7.0, 3.6)
    axes = figure.add_subplot()
    axes.plot([r["step"] for r in rows], [r["loss"] for r in rows], color="C0", linewidth=1.5)
    axes.set(yscale="log", xlabel="step", ylabel="loss", title="training")
    axes.grid(True, which="both", alpha=0.3)
    figure.savefig(path, dpi=120)


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise error(
            ConfigError, "matplotlib", "", "is not installed; run: pip install 'vla-rt[viz]'"
        ) from cause
    return Figure(figsize=(width, height), layout="constrained")


__all__ = ["plot_training"]
