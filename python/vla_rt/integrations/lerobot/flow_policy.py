"""Policies that LeRobot has in memory as packages: flow-matching heads over a vision-language model.

SmolVLA and its kind (pi0) answer a chunk by `model.sample_actions`: the vision-language model sees the
observation once, `model.denoise_step` is called with what it came to at every step. Here the arguments of the
first such call are what depends on the observation, so that export splits the policy where LeRobot does,
by running LeRobot's own code.
"""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vla_rt._core import Normalizer
from vla_rt.errors import ConfigError, ModelError, error, require
from vla_rt.export.protocol import Feature
from vla_rt.integrations.lerobot.checkpoint import TYPES, InputFeature
from vla_rt.integrations.lerobot.imported_policy import ImportedConfig, import_checkpoint
from vla_rt.integrations.lerobot.normalization import TASK_STEPS, NormalizerTable, from_processors

__all__ = ["FlowPolicy", "export_policy"]

TOKENS, MASK = "observation.language.tokens", "observation.language.attention_mask"


@dataclass(frozen=True)
class FlowConfig(ImportedConfig):
    """What `vla_rt.export_policy` asks of a policy.

    Attributes:
        generated_dim: Columns that the network works on, of which the first are the action.
    """

    generated_dim: int = 0


class _FirstStep(Exception):
    """Carries the arguments of the first call of `denoise_step` out of `predict_action_chunk`."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.arguments = arguments


class FlowPolicy(nn.Module):
    """A flow-matching policy of LeRobot's as `vla_rt.export_policy` takes it.

    Args:
        policy: With `predict_action_chunk(batch, noise=...)`, `model.denoise_step(x_t=..., timestep=...)` and
            LeRobot's `config`.
        normalizers: By name of the feature, and that of "action".
        tokens: Of the task, (1, L), which become part of the network, and their mask; None makes both inputs.
        fps: Rows of a chunk per second.

    Attributes:
        config: Sizes.
        kind: lerobot_smolvla, ...

    Raises:
        ConfigError: The policy lacks a part, or does something to actions that a package cannot hold.
    """

    def __init__(
        self,
        policy: Any,
        normalizers: Mapping[str, Normalizer],
        tokens: tuple[Tensor, Tensor] | None = None,
        fps: float = 30.0,
    ) -> None:
        super().__init__()
        require(0.0 < fps <= 1000.0, "fps", fps, "must be in (0, 1000]")
        self.policy, self.normalizers = policy, dict(normalizers)
        given, name = policy.config, type(policy).__name__
        for flag in ("adapt_to_pi_aloha", "compile_model"):
            require(not getattr(given, flag, False), f"{name}.config.{flag}", True, "must be false")
        require(
            getattr(given, "n_obs_steps", 1) == 1,
            f"{name}.config.n_obs_steps",
            given.n_obs_steps,
            "must be 1",
        )
        self.kind = f"lerobot_{getattr(policy, 'name', name.removesuffix('Policy').lower())}"
        features = inputs_of(policy)
        observation: list[Feature] = [(f.name, f.shape, "float32") for f in features]
        self._names = tuple(f.name for f in features)
        self.tokens: Tensor
        self.mask: Tensor
        self._has_tokens = tokens is not None
        if tokens is None:
            length = int(given.tokenizer_max_length)
            observation += [(TOKENS, (length,), "int64"), (MASK, (length,), "int64")]
        else:
            self.register_buffer("tokens", tokens[0].long())
            self.register_buffer("mask", tokens[1].bool())
        action_dim = _action_dim(policy)
        self._steps = int(_first(given, ("num_steps", "num_inference_steps"), name))
        self.config = FlowConfig(
            tuple(observation),
            tuple(f.name for f in features if f.kind == "VISUAL"),
            int(given.chunk_size),
            action_dim,
            1.0 / fps,
            int(given.n_action_steps),
            generated_dim=int(getattr(given, "max_action_dim", action_dim)),
        )
        self.eval().requires_grad_(False)

    def sampler_spec(self) -> dict[str, Any]:
        """Time runs from noise at 1 to the action at 0, in Euler's steps."""
        return {"type": "flow_matching", "num_steps": self._steps, "solver": "euler", "noise_at": 1}

    def denoise(self, x: Tensor, t: Tensor, *observation: Tensor) -> Tensor:
        """The velocity (B, T, generated_dim) at the noisy chunk and time (B,)."""
        batch: dict[str, Tensor] = dict(zip(self._names, observation, strict=False))
        if self._has_tokens:
            batch |= {TOKENS: self.tokens, MASK: self.mask}
        else:
            tokens, mask = observation[len(self._names) :]
            batch |= {TOKENS: tokens, MASK: mask.bool()}
        arguments = self._first_step(batch, x) | {"x_t": x, "timestep": t}
        return self.policy.model.denoise_step(**arguments)  # type: ignore[no-any-return]

    def _first_step(self, batch: dict[str, Tensor], x: Tensor) -> dict[str, Any]:
        """What LeRobot's own code comes to before the first step."""
        model = self.policy.model
        signature = inspect.signature(model.denoise_step)

        def reached(*args: Any, **kwargs: Any) -> Tensor:
            raise _FirstStep(dict(signature.bind(*args, **kwargs).arguments))

        model.denoise_step = reached
        try:
            self.policy.predict_action_chunk(batch, noise=x)
        except _FirstStep as step:
            return step.arguments
        finally:
            del model.denoise_step
        raise ModelError(f"{type(self.policy).__name__}.predict_action_chunk never called model.denoise_step")


def export_policy(
    policy: Any,
    out: str | os.PathLike[str],
    preprocessor: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    postprocessor: Any = None,
    task: str | None = None,
    fps: float = 30.0,
    backends: Sequence[str] | str | None = None,
) -> Path:
    """Writes a policy that LeRobot has in memory as a policy package, from an environment that has LeRobot.

    Flow-matching heads over a vision-language model (SmolVLA, pi0) are traced in two stages: the model once
    per observation, the head at every step. Policies of type act and diffusion go through their checkpoint.

    Args:
        policy: Of LeRobot; it is not changed.
        out: Folder of the package; an existing package there is replaced.
        preprocessor: The policy's own, with `save_pretrained`; None takes values as they are.
        postprocessor: The policy's own; None leaves actions as they are.
        task: What a language policy is told; it becomes part of the package. None makes the tokens and their
            mask inputs, "observation.language.tokens" and "observation.language.attention_mask".
        fps: Rows of a chunk per second; LeRobot's configuration does not say it.
        backends: As `vla_rt.export_policy`.

    Returns:
        `out`.

    Raises:
        ConfigError: The policy is of no kind that can be exported, or an argument is out of its bounds.
        FormatError: A processor does what a package cannot hold, or lacks statistics.
        ModelError: The policy cannot be traced, or the package answers differently.
    """
    from vla_rt.export import export_policy as write_package

    both = (preprocessor is None) == (postprocessor is None)
    require(both, "postprocessor", postprocessor, "must be given with the preprocessor, or both be None")
    model = getattr(policy, "model", None)
    if getattr(policy, "name", None) in TYPES:
        require(preprocessor is not None, "preprocessor", None, "is needed: it holds the policy's statistics")
        with tempfile.TemporaryDirectory() as folder:
            _save(folder, policy, preprocessor, postprocessor)
            return import_checkpoint(folder, out, backends, fps)
    if not isinstance(policy, nn.Module) or not hasattr(model, "denoise_step"):
        bound = f"must be of type {', '.join(TYPES)}, or have model.denoise_step, as SmolVLA has"
        raise error(ConfigError, "policy", type(policy).__name__, bound)
    table = NormalizerTable({}, Normalizer("identity"))
    if preprocessor is not None:
        with tempfile.TemporaryDirectory() as folder:
            _save(folder, preprocessor, postprocessor)
            table = from_processors(Path(folder), inputs_of(policy), _action_dim(policy), TASK_STEPS)
    if table.renamed:
        raise error(ConfigError, "preprocessor", dict(table.renamed), "must not rename what the policy sees")
    tokens = None if task is None else _tokens(policy, preprocessor, task)
    flow = FlowPolicy(policy, {**table.inputs, "action": table.action}, tokens, fps)
    return write_package(flow, out, backends)


def inputs_of(policy: Any) -> tuple[InputFeature, ...]:
    """State and images that a policy looks at, as its configuration lists them.

    Raises:
        ConfigError: There is a feature of another type.
    """
    found = []
    for name, feature in policy.config.input_features.items():
        kind = str(getattr(feature.type, "value", feature.type))
        if ".empty_camera_" in name:
            continue  # the policy makes it of nothing
        known = kind in ("STATE", "VISUAL")
        require(known, f"config.input_features[{name}].type", kind, "must be STATE or VISUAL")
        found.append(InputFeature(name, kind, tuple(int(n) for n in feature.shape)))
    return tuple(found)


def _action_dim(policy: Any) -> int:
    return int(policy.config.output_features["action"].shape[0])


def _first(config: Any, names: Sequence[str], policy: str) -> Any:
    for name in names:
        if hasattr(config, name):
            return getattr(config, name)
    raise error(ConfigError, f"{policy}.config", "", f"has no {' or '.join(names)}")


def _save(folder: str, *parts: Any) -> None:
    for part in parts:
        require(
            hasattr(part, "save_pretrained"), "processor", type(part).__name__, "must have save_pretrained"
        )
        part.save_pretrained(folder)


def _tokens(policy: Any, preprocessor: Any, task: str) -> tuple[Tensor, Tensor]:
    """What the preprocessor makes of the task: tokens (1, L) and their mask."""
    require(preprocessor is not None, "preprocessor", None, "is needed: it holds the tokenizer of the task")
    frame: dict[str, Any] = {f.name: torch.zeros(f.shape) for f in inputs_of(policy)}
    made = preprocessor({**frame, "task": task})
    missing = [name for name in (TOKENS, MASK) if not isinstance(made.get(name), Tensor)]
    require(
        not missing, "preprocessor", type(preprocessor).__name__, f"makes no {', '.join(missing)} of a task"
    )
    return made[TOKENS].cpu(), made[MASK].cpu()
