"""The training loop."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vla_rt.errors import ConfigError, ModelError, error
from vla_rt.training.batches import BatchSource, Dataset, dataset_statistics
from vla_rt.training.checkpoint import load_checkpoint, save_checkpoint
from vla_rt.training.data_parallel import ProcessGroup, process_group
from vla_rt.training.interrupt import DeferredInterrupt
from vla_rt.training.train_config import TrainConfig
from vla_rt.training.training_log import TrainingLog
from vla_rt.training.weight_average import WeightAverage

_SEEDS_AT_ONCE = 256


class TrainablePolicy(Protocol):
    """What ``train`` needs of an ``nn.Module``: its features' names in ``config.observation`` and a loss."""

    config: Any

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Scalar loss of a raw, batched dict."""


@dataclass(frozen=True)
class TrainResult:
    """What came out of a run.

    Attributes:
        steps: Steps done, those before a resumption included.
        loss: Mean loss of the last interval.
        losses: (step, mean loss) of every interval of this call.
        duration_s: Wall time of this call [s].
        cpu_s: Processor time of this call, of all its threads [s]: what it takes where nothing else runs.
        resumed_at: Step at which this call went on; 0 for a fresh run.
        checkpoint: The last checkpoint; None without ``output_dir``.
        log: The CSV file; None without ``output_dir``.
        curve: The picture of the loss; None without ``output_dir`` or matplotlib.
    """

    steps: int
    loss: float
    losses: tuple[tuple[int, float], ...]
    duration_s: float
    cpu_s: float
    resumed_at: int
    checkpoint: Path | None
    log: Path | None
    curve: Path | None


def train(policy: nn.Module, dataset: Dataset, config: TrainConfig | None = None) -> TrainResult:
    """Trains ``policy`` in place: AdamW, warm-up and cosine, gradient clipping, averaged weights.

    A policy without statistics gets those of the dataset first (``dataset.stats``, else they are computed).
    At the end it holds the averaged weights. On the CPU a run that was cut short and resumed ends with the
    same bits as one that was not. The first Ctrl-C finishes the step, writes a checkpoint and raises
    KeyboardInterrupt.

    Started by ``torchrun``, every process takes its part of each batch; together they make the same steps as
    one process with the same ``batch_size``, up to rounding. The first one writes the files.

    Args:
        policy: A module with ``config.observation`` and ``loss(batch)``: the mean over the rows of actions
            that are no padding.
        dataset: See ``Dataset``; a ``LeRobotDataset`` gets the policy's window of actions if it has none.
        config: Settings; validated here.

    Raises:
        ConfigError: A setting is out of bounds; a sample is malformed or not finite (episode and frame are
            named); the checkpoint to resume from was made with other settings.
        ModelError: The loss is no longer finite.
        FormatError: The checkpoint to resume from cannot be read.
    """
    config = config if config is not None else TrainConfig()
    config.validate()
    if config.output_dir is not None:
        config.output_dir.mkdir(parents=True, exist_ok=True)
    with _torch_settings(config), process_group(config.device) as group:
        return _Run(policy, dataset, config, group).complete()


class _Run:
    def __init__(self, policy: nn.Module, dataset: Dataset, config: TrainConfig, group: ProcessGroup) -> None:
        self.started, self.cpu_started = time.perf_counter(), time.process_time()
        self.policy, self.config, self.group = policy, config, group
        self.part = group.part(config.batch_size)
        if hasattr(dataset, "for_policy"):
            dataset = dataset.for_policy(policy.config)
        names = [*_observation_names(policy), "action"]
        if not getattr(policy, "has_statistics", True):
            policy.set_statistics(_statistics(dataset, names))  # type: ignore[operator]
        policy.to(config.device)
        group.share_weights(policy)
        names += [name for name in getattr(policy, "targets", ()) if name != "action"]
        optional = getattr(policy, "optional_targets", ("action_is_pad",))
        self.source = BatchSource(dataset, names, config.batch_size, config.seed, optional)
        self.optimizer = _optimizer(policy, config)
        self.average = WeightAverage(policy, config.ema_decay)
        self.step = 0
        self.pending: list[float] = []
        self.losses: list[tuple[int, float]] = []
        if config.resume:
            state = group.share(self._read_checkpoint() if group.leads else None)
            if state is not None:
                self._restore(state)
        self.resumed_at = self.step
        self.log = TrainingLog(self._file("log.csv") if group.leads else None, self.step)

    @property
    def _checkpoint(self) -> Path | None:
        return self._file("checkpoint.pt")

    def complete(self) -> TrainResult:
        config, policy = self.config, self.policy
        policy.train()
        loss_of: Any = policy.loss
        parameters = [p for p in policy.parameters() if p.requires_grad]
        interval_start = time.perf_counter()
        progress = _progress(config, self.step, config.progress and self.group.leads)
        with DeferredInterrupt() as interrupt, progress as bar:
            while self.step < config.steps:
                rows = self.source.take(self.source.indices(self.step)[self.part])
                batch = {name: t.to(config.device) for name, t in rows.items()}
                _seed_torch(_step_seed(config.seed, self.step), config.device)
                rate = config.learning_rate_at(self.step)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                self.optimizer.zero_grad(set_to_none=True)
                with self.group.draws(config.batch_size):
                    loss = loss_of(batch)
                loss.backward()
                value, stop = self.group.combine(parameters, loss.detach(), batch, interrupt.requested)
                limit = config.grad_clip or float("inf")
                norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
                self.pending.append(value)
                if not (math.isfinite(value) and math.isfinite(float(norm))):
                    raise error(
                        ModelError, "loss", self.pending[-1], f"is no longer finite at step {self.step}"
                    )
                self.optimizer.step()
                if config.ema_decay:
                    self.average.update(self.step)
                self.step += 1
                bar.update(1)
                if len(self.pending) == config.log_every or self.step == config.steps:
                    mean = float(np.mean(self.pending))
                    now = time.perf_counter()
                    rate_hz = len(self.pending) * config.batch_size / (now - interval_start)
                    self.log.append(self.step, mean, rate, float(norm), rate_hz)
                    self.losses.append((self.step, mean))
                    bar.set_postfix_str(f"loss {mean:.4f}", refresh=False)
                    self.pending.clear()
                    interval_start = now
                at_interval = config.checkpoint_every and self.step % config.checkpoint_every == 0
                if at_interval or stop or self.step == config.steps:
                    self._save()
                if stop:
                    raise KeyboardInterrupt
        if config.ema_decay:
            self.average.copy_to_module()
        policy.eval()
        return TrainResult(
            steps=self.step,
            loss=self.losses[-1][1] if self.losses else float("nan"),
            losses=tuple(self.losses),
            duration_s=time.perf_counter() - self.started,
            cpu_s=time.process_time() - self.cpu_started,
            resumed_at=self.resumed_at,
            checkpoint=self._checkpoint,
            log=self._file("log.csv"),
            curve=self._curve(),
        )

    def _file(self, name: str) -> Path | None:
        return None if self.config.output_dir is None else self.config.output_dir / name

    def _save(self) -> None:
        if self._checkpoint is None or not self.group.leads:
            return
        state = {
            "step": self.step,
            "policy": self.policy.state_dict(),
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "pending": self.pending,
            "loss": self.losses[-1] if self.losses else None,
        }
        save_checkpoint(self._checkpoint, state, self.config)

    def _read_checkpoint(self) -> dict[str, Any] | None:
        if self._checkpoint is None or not self._checkpoint.exists():
            return None
        return load_checkpoint(self._checkpoint, self.config)

    def _restore(self, state: dict[str, Any]) -> None:
        try:
            self.policy.load_state_dict(state["policy"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as cause:
            message = " ".join(str(cause).split())
            raise error(
                ConfigError, "policy", "", f"does not fit the checkpoint {self._checkpoint}: {message}"
            ) from cause
        self.average.restore(state["average"])
        self.step = int(state["step"])
        self.pending = list(state["pending"])
        if state["loss"] is not None:
            self.losses.append((int(state["loss"][0]), float(state["loss"][1])))

    def _curve(self) -> Path | None:
        path, log = self._file("loss.png"), self._file("log.csv")
        if path is None or log is None or find_spec("matplotlib") is None or not self.group.leads:
            return None
        from vla_rt.plots import plot_training

        plot_training(log, path)
        return path


def _observation_names(policy: nn.Module) -> list[str]:
    config: Any = policy.config
    return [spec.name for spec in config.observation]


def _statistics(dataset: Dataset, names: list[str]) -> Mapping[str, Mapping[str, Any]]:
    stats: Mapping[str, Mapping[str, Any]] | None = getattr(dataset, "stats", None)
    return stats if stats is not None else dataset_statistics(dataset, names)


def _optimizer(policy: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    parameters = [p for p in policy.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def _step_seed(seed: int, step: int) -> int:
    block, at = divmod(step, _SEEDS_AT_ONCE)
    return _seeds_of_steps(seed, block)[at]


@lru_cache(maxsize=2)
def _seeds_of_steps(seed: int, block: int) -> tuple[int, ...]:
    """Of many steps at once: one by one, between steps that fill the caches, they take ten times as long."""
    steps = range(block * _SEEDS_AT_ONCE, (block + 1) * _SEEDS_AT_ONCE)
    return tuple(
        int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1) for step in steps
    )


def _seed_torch(seed: int, device: str) -> None:
    """As ``torch.manual_seed``, which formats stack traces where no GPU is in use, 0.5 ms every time."""
    torch.default_generator.manual_seed(seed)
    if device != "cpu":
        torch.cuda.manual_seed_all(seed)


@contextlib.contextmanager
def _torch_settings(config: TrainConfig) -> Iterator[None]:
    """Lets the run seed torch and set its threads, and puts both back."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng():
        if config.num_threads is not None:
            torch.set_num_threads(config.num_threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _progress(config: TrainConfig, done: int, show: bool) -> Any:
    from tqdm import tqdm

    return tqdm(
        total=config.steps,
        initial=done,
        desc="train",
        unit="step",
        disable=not show,
        smoothing=0.05,
    )
