"""Statistics of a LeRobot checkpoint as normalisers.

A feature is normalised as the map of the processor step says for its TYPE; a type without an entry is left
alone, whatever statistics there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vla_rt._core import Normalizer
from vla_rt.errors import ConfigError, FormatError, error
from vla_rt.integrations.lerobot.fields import Fields

if TYPE_CHECKING:
    from torch import Tensor

    from vla_rt.integrations.lerobot.checkpoint import InputFeature

#: LeRobot's mode: ours, and the statistics it takes.
MODES: dict[str, tuple[str, tuple[str, ...]]] = {
    "IDENTITY": ("identity", ()),
    "MEAN_STD": ("mean_std", ("mean", "std")),
    "MIN_MAX": ("min_max", ("min", "max")),
    "QUANTILES": ("quantiles", ("q01", "q99")),
    "QUANTILE10": ("quantile10", ("q10", "q90")),
}
_EPSILON = 1e-8
_WITHOUT_EFFECT = ("to_batch_processor", "device_processor")
#: Steps that make tokens of the task and leave numbers alone.
TASK_STEPS = ("smolvla_new_line_processor", "pi0_new_line_processor", "tokenizer_processor")
_RENAME = "rename_observations_processor"


@dataclass(frozen=True)
class NormalizerTable:
    """How values are normalised.

    Attributes:
        inputs: By name of the feature in config.json.
        action: Of the actions.
        renamed: Names of an observation and what config.json calls them, where they differ.
    """

    inputs: Mapping[str, Normalizer]
    action: Normalizer
    renamed: Mapping[str, str] = field(default_factory=dict)


def from_processors(
    folder: Path, inputs: Sequence[InputFeature], action_dim: int, others: Sequence[str] = ()
) -> NormalizerTable:
    """From the pre- and postprocessor of LeRobot 0.4 and later.

    Args:
        folder: With `policy_preprocessor.json` and `policy_postprocessor.json`.
        inputs: What the network sees.
        action_dim: D.
        others: Steps of the preprocessor that somebody else takes care of.

    Raises:
        FormatError: A file is missing or damaged, statistics are missing or do not fit, or a step does
            something that a package cannot hold.
    """
    before = Fields.read(folder / "policy_preprocessor.json")
    after = Fields.read(folder / "policy_postprocessor.json")
    renamed: dict[str, str] = {}
    normalized: dict[str, Normalizer] = {}
    for step in before.objects("steps"):
        name = step.word("registry_name")
        if name == _RENAME:
            known = {feature.name for feature in inputs}
            names = step.object("config").get("rename_map", {})
            renamed |= {str(old): str(new) for old, new in names.items() if new in known}
        elif name == "normalizer_processor":
            table = _Statistics.of_step(folder, step)
            config = step.object("config")
            features, only = config.object("features"), config.get("normalize_observation_keys")
            for feature in inputs:
                if feature.name in features.values and (only is None or feature.name in only):
                    kind = features.object(feature.name).word("type")
                    normalized[feature.name] = table.normalizer(feature.name, kind, feature.shape[0])
        elif name not in (*_WITHOUT_EFFECT, *others):
            raise step.wrong("registry_name", "does what a policy package cannot hold")
    action = Normalizer("identity")
    for step in after.objects("steps"):
        name = step.word("registry_name")
        if name == "unnormalizer_processor":
            action = _Statistics.of_step(folder, step).normalizer("action", "ACTION", action_dim)
        elif name not in _WITHOUT_EFFECT:
            raise step.wrong("registry_name", "does what a policy package cannot hold")
    return NormalizerTable(normalized, action, renamed)


def from_buffers(
    config: Fields, tensors: Mapping[str, Tensor], inputs: Sequence[InputFeature], action_dim: int
) -> NormalizerTable:
    """From the buffers of checkpoints that are older than the processors.

    Raises:
        FormatError: Statistics are missing or do not fit.
    """
    modes = config.object("normalization_mapping")
    statistics: dict[str, Tensor] = {}
    for feature in inputs:
        for name in ("mean", "std", "min", "max"):
            buffer = f"normalize_inputs.buffer_{feature.name.replace('.', '_')}.{name}"
            if buffer in tensors:
                statistics[f"{feature.name}.{name}"] = tensors[buffer]
    for name in ("mean", "std", "min", "max"):
        buffer = f"unnormalize_outputs.buffer_action.{name}"
        if buffer in tensors:
            statistics[f"action.{name}"] = tensors[buffer]
    table = _Statistics(modes, statistics, "model.safetensors")
    return NormalizerTable(
        {f.name: table.normalizer(f.name, f.kind, f.shape[0]) for f in inputs},
        table.normalizer("action", "ACTION", action_dim),
    )


@dataclass(frozen=True)
class _Statistics:
    """Modes by type of feature, statistics by "<feature>.<name>", and the file of these."""

    modes: Fields
    tensors: Mapping[str, Tensor]
    file: str

    @classmethod
    def of_step(cls, folder: Path, step: Fields) -> _Statistics:
        from vla_rt.integrations.lerobot.checkpoint import read_tensors

        config = step.object("config")
        if config.get("eps", _EPSILON) != _EPSILON:
            raise config.wrong("eps", f"must be {_EPSILON:g}")
        if step.get("state_file") is None:
            return cls(config.object("norm_map"), {}, f"{step.where}/state_file")
        name = step.word("state_file")
        if Path(name).name != name or not (folder / name).is_file():
            raise step.wrong("state_file", "must be a file beside it")
        return cls(config.object("norm_map"), read_tensors(folder / name), name)

    def normalizer(self, feature: str, kind: str, size: int) -> Normalizer:
        """That of a feature of `size` values, or channels of an image."""
        mode = self.modes.word(kind, tuple(MODES), "IDENTITY")
        ours, names = MODES[mode]
        values: dict[str, Any] = {}
        for name in names:
            key = f"{feature}.{name}"
            if key not in self.tensors:
                raise error(FormatError, f"{self.file}: {key}", "", f"is missing; {mode} needs it")
            array = self.tensors[key].double().numpy().reshape(-1)
            if array.size not in (1, size):
                bound = f"must be {size}, as {feature} has"
                raise error(FormatError, f"{self.file}: {key}", f"{array.size} values", bound)
            values[name] = np.broadcast_to(array, (size,))
        try:
            return Normalizer(ours, **values)
        except ConfigError as cause:
            raise error(
                FormatError, f"{self.file}: {feature}.{cause.name}", cause.value, cause.bound
            ) from cause
