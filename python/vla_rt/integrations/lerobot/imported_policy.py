"""LeRobot checkpoints as policies of this package, ready to be exported."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vla_rt import MAX_ACTION_DIM, MAX_HORIZON
from vla_rt._core import Normalizer
from vla_rt.errors import FormatError, error, require
from vla_rt.integrations.lerobot.act import ACTNetwork
from vla_rt.integrations.lerobot.checkpoint import Checkpoint, read_checkpoint
from vla_rt.integrations.lerobot.diffusion import DiffusionNetwork

_SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")


@dataclass(frozen=True)
class ImportedConfig:
    """What `export_policy` asks of a policy.

    Attributes:
        observation: (name, shape, dtype) of the inputs; over time where `n_obs_steps` > 1.
        images: Names of the images among them.
        horizon: T, rows that the network answers.
        action_dim: D.
        period_s: Time between two rows [s].
        execution_horizon: Rows to execute before the next chunk is due.
        n_obs_steps: Observations that it sees.
        first_row: Rows of the past at the front of the T.
    """

    observation: tuple[tuple[str, tuple[int, ...], str], ...]
    images: tuple[str, ...]
    horizon: int
    action_dim: int
    period_s: float
    execution_horizon: int
    n_obs_steps: int = 1
    first_row: int = 0


class ImportedPolicy(nn.Module):
    """A network of LeRobot's with the weights and statistics of a checkpoint.

    Args:
        checkpoint: From `read_checkpoint`.
        fps: Rows of a chunk per second; LeRobot's configuration does not say it.

    Attributes:
        config: Sizes.
        normalizers: By name of the input, and that of "action".
        kind: lerobot_act or lerobot_diffusion.

    Raises:
        FormatError: A field of the configuration is out of its bounds, or a weight is missing, unknown, of
            another shape or not finite.
        ConfigError: `fps` is not in (0, 1000].
    """

    def __init__(self, checkpoint: Checkpoint, fps: float = 30.0) -> None:
        super().__init__()
        require(0.0 < fps <= 1000.0, "fps", fps, "must be in (0, 1000]")
        config = checkpoint.config
        is_act = checkpoint.type == "act"
        self.kind = f"lerobot_{checkpoint.type}"
        self.network: ACTNetwork | DiffusionNetwork = (
            ACTNetwork(checkpoint) if is_act else DiffusionNetwork(checkpoint)
        )
        horizon = self.network.horizon
        if horizon > MAX_HORIZON:
            raise config.wrong("chunk_size" if is_act else "horizon", f"must be at most {MAX_HORIZON}")
        if checkpoint.action_dim > MAX_ACTION_DIM:
            raise config.wrong("output_features", f"must have at most {MAX_ACTION_DIM} actions")
        steps = 1 if isinstance(self.network, ACTNetwork) else self.network.n_obs_steps
        over_time = (steps,) if steps > 1 else ()
        self.config = ImportedConfig(
            tuple((f.name, (*over_time, *f.shape), "float32") for f in checkpoint.inputs),
            tuple(f.name for f in checkpoint.inputs if f.kind == "VISUAL"),
            horizon,
            checkpoint.action_dim,
            1.0 / fps,
            config.integer("n_action_steps", 100 if is_act else 8, most=horizon - steps + 1),
            steps,
            steps - 1,
        )
        given = checkpoint.normalizers
        self.normalizers: dict[str, Normalizer] = {"action": given.action}
        for feature in checkpoint.inputs:
            normalizer = given.inputs.get(given.renamed.get(feature.name, feature.name))
            if normalizer is not None:
                self.normalizers[feature.name] = normalizer
        self._sampler = {"type": "direct"} if is_act else _scheduler(checkpoint)
        self._load(checkpoint)

    def sampler_spec(self) -> dict[str, Any]:
        """Sampler that turns the network into actions, as a package stores it."""
        if self._sampler["type"] != "direct":
            return self._sampler
        clip = {"clip_sample": False, "clip_range": 1.0}
        return {"type": "direct", "head": "value", "mode": "mean", "num_components": 1, **clip}

    def denoise(self, x: Tensor, t: Tensor, *observation: Tensor) -> Tensor:
        """The network's answer (B, T, D) at the noisy chunk (B, T, D) and time (B,)."""
        if isinstance(self.network, ACTNetwork):
            return self.network(*observation)  # type: ignore[no-any-return]
        return self.network(x, t, *observation)  # type: ignore[no-any-return]

    def _load(self, checkpoint: Checkpoint) -> None:
        network = self.network
        weights = dict(checkpoint.weights)
        if isinstance(network, DiffusionNetwork):
            weights = network.named(weights)
        wanted = network.state_dict()
        for name, tensor in wanted.items():
            place = f"model.safetensors: {name}"
            if name not in weights:
                raise error(FormatError, place, "", f"is missing; config.json asks for {tuple(tensor.shape)}")
            given = weights[name]
            if given.shape != tensor.shape:
                bound = f"must have shape {tuple(tensor.shape)} as config.json says"
                raise error(FormatError, place, f"shape {tuple(given.shape)}", bound)
            if not torch.isfinite(given).all():
                raise error(FormatError, place, "", "holds a number that is not finite")
        for name in weights:
            is_known = name in wanted or name.startswith(network.training_only)
            if not is_known and not name.endswith("num_batches_tracked"):
                place = f"model.safetensors: {name}"
                raise error(FormatError, place, "", "belongs to no layer that config.json describes")
        network.load_state_dict({name: weights[name] for name in wanted})
        network.fold()
        self.eval().requires_grad_(False)


def _scheduler(checkpoint: Checkpoint) -> dict[str, Any]:
    config = checkpoint.config
    kind = config.word("noise_scheduler_type", ("DDPM", "DDIM"), "DDPM")
    steps = config.integer("num_train_timesteps", 100, least=2, most=10_000)
    last = config.number("beta_end", 0.02, 1e-12, 1.0 - 1e-12)
    spec = {
        "type": kind.lower(),
        "num_train_steps": steps,
        "beta_schedule": config.word("beta_schedule", _SCHEDULES, "squaredcos_cap_v2"),
        "beta_start": config.number("beta_start", 1e-4, 1e-12, last),
        "beta_end": last,
        "prediction": config.word("prediction_type", ("epsilon", "sample"), "epsilon"),
        "clip_sample": config.flag("clip_sample", True),
        "clip_range": config.number("clip_sample_range", 1.0, 1e-6, 1e6),
        "num_steps": config.integer("num_inference_steps", steps, most=steps),
        "timestep_spacing": "leading",
        "steps_offset": 0,
    }
    return spec if kind == "DDPM" else {**spec, "eta": 0.0, "set_alpha_to_one": True}


def load_checkpoint(folder: str | os.PathLike[str], fps: float = 30.0) -> ImportedPolicy:
    """Reads a checkpoint of type act or diffusion, as LeRobot's `save_pretrained` writes it.

    Args:
        folder: With config.json, model.safetensors, and the processors or, before LeRobot 0.4, statistics
            among the weights.
        fps: Rows of a chunk per second, as of the dataset it was trained on.

    Raises:
        FormatError: The checkpoint is damaged, incomplete, or of a kind that cannot be imported.
        ConfigError: `fps` is not in (0, 1000].
    """
    return ImportedPolicy(read_checkpoint(Path(folder)), fps)


def import_checkpoint(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    backends: Sequence[str] | str | None = None,
    fps: float = 30.0,
) -> Path:
    """Writes a checkpoint as a policy package; LeRobot need not be installed.

    Args:
        folder: As `load_checkpoint`.
        out: Folder of the package; an existing package there is replaced.
        backends: As `export_policy`.
        fps: As `load_checkpoint`.

    Returns:
        `out`.

    Raises:
        FormatError, ConfigError: As `load_checkpoint`.
        ModelError: A backend is not available or lacks an operator of the network.
    """
    from vla_rt.export import export_policy

    return export_policy(load_checkpoint(folder, fps), out, backends)
