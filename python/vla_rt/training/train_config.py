"""What a training run is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from vla_rt.errors import require


@dataclass(frozen=True)
class TrainConfig:
    """Settings of ``train``.

    Attributes:
        steps: Optimiser steps in all.
        batch_size: Samples per step.
        learning_rate: Peak of the schedule: linear warm-up, then a cosine to 0 at ``steps``.
        warmup_steps: Steps until the peak.
        seed: Of the order of the samples and of every random draw.
        output_dir: Where checkpoint, log and curve go; None writes nothing.
        weight_decay: AdamW's, on weight matrices only (not on biases and scales).
        betas: AdamW's two decay rates.
        ema_decay: Upper bound of the decay of the averaged weights, which are what is kept at the end; the
            decay grows as 1-(1+step)^-0.75 (Chi et al. 2023). 0 keeps the last weights instead.
        grad_clip: Largest norm of the gradient; 0 does not clip.
        checkpoint_every: Steps between checkpoints; 0 writes one at the end only.
        log_every: Steps that one line of the log averages.
        resume: Go on from the checkpoint in ``output_dir`` if there is one; the settings must be the same.
        num_threads: Threads torch may use meanwhile; None leaves its setting.
        device: Where the policy trains, ``cpu`` or ``cuda``.
        progress: Show a progress bar.
    """

    steps: int = 10_000
    batch_size: int = 256
    learning_rate: float = 1e-4
    warmup_steps: int = 500
    seed: int = 0
    output_dir: Path | None = None
    weight_decay: float = 1e-6
    betas: tuple[float, float] = (0.95, 0.999)
    ema_decay: float = 0.9999
    grad_clip: float = 1.0
    checkpoint_every: int = 1000
    log_every: int = 50
    resume: bool = False
    num_threads: int | None = None
    device: str = "cpu"
    progress: bool = True

    def __post_init__(self) -> None:
        if self.output_dir is not None:
            object.__setattr__(self, "output_dir", Path(self.output_dir))

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        for name in ("steps", "batch_size", "log_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be >= 1")
        for name in ("warmup_steps", "checkpoint_every", "seed"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "must be >= 0")
        rate = self.learning_rate
        require(math.isfinite(rate) and rate > 0.0, "learning_rate", rate, "must be finite and > 0")
        for name in ("weight_decay", "grad_clip"):
            value = getattr(self, name)
            require(math.isfinite(value) and value >= 0.0, name, value, "must be finite and >= 0")
        for i, beta in enumerate(self.betas):
            require(0.0 <= beta < 1.0, f"betas[{i}]", beta, "must be in [0, 1)")
        require(0.0 <= self.ema_decay < 1.0, "ema_decay", self.ema_decay, "must be in [0, 1)")
        require(
            self.num_threads is None or self.num_threads >= 1, "num_threads", self.num_threads, "must be >= 1"
        )
        require(not self.resume or self.output_dir is not None, "resume", True, "needs an output_dir")

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of step ``step`` (from 0)."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        span = max(1, self.steps - self.warmup_steps)
        return (
            self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - self.warmup_steps) / span)))
        )
