"""The files of a LeRobot checkpoint: configuration, weights, and what is done to values before and after.

LeRobot 0.4 keeps statistics beside the weights, in the state files of `policy_preprocessor.json` and
`policy_postprocessor.json`; before that they were buffers among the weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vla_rt.errors import FormatError, error
from vla_rt.integrations.lerobot.fields import Fields
from vla_rt.integrations.lerobot.normalization import NormalizerTable, from_buffers, from_processors

if TYPE_CHECKING:
    from torch import Tensor

TYPES = ("act", "diffusion")
_NORMALIZER_BUFFERS = re.compile(r"(normalize_inputs|normalize_targets|unnormalize_outputs)\.")


@dataclass(frozen=True)
class InputFeature:
    """One input of a policy.

    Attributes:
        name: As an observation has it.
        kind: STATE, VISUAL or ENV.
        shape: Without batch and time.
    """

    name: str
    kind: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says.

    Attributes:
        type: Of the policy, one of `TYPES`.
        config: Fields of config.json.
        inputs: What the network sees: the state, the environment's state and the images, as listed.
        action_dim: D.
        weights: Of the network, float32, without the prefix of the whole.
        normalizers: By name of the input, and that of "action".
    """

    type: str
    config: Fields
    inputs: tuple[InputFeature, ...]
    action_dim: int
    weights: Mapping[str, Tensor]
    normalizers: NormalizerTable


def read_checkpoint(folder: Path) -> Checkpoint:
    """Reads and checks the files of a checkpoint; nothing in them is run.

    Raises:
        FormatError: A file is missing or damaged, a field is absent or out of its bounds, the policy is of
            another type, or values are processed in a way that a package cannot hold.
    """
    if not folder.is_dir():
        raise error(FormatError, str(folder), "", "is no folder of a LeRobot checkpoint")
    config = Fields.read(folder / "config.json")
    kind = config.word("type")
    if kind not in TYPES:
        bound = f"cannot be imported: must be {' or '.join(TYPES)} (others by lerobot.export_policy)"
        raise config.wrong("type", bound)
    inputs = _inputs(config)
    action_dim = _action_dim(config)
    if not (folder / "model.safetensors").is_file():
        raise error(FormatError, str(folder / "model.safetensors"), "", "is missing")
    tensors = read_tensors(folder / "model.safetensors")
    if (folder / "policy_preprocessor.json").is_file():
        table = from_processors(folder, inputs, action_dim)
    else:
        table = from_buffers(config, tensors, inputs, action_dim)
    renamed = {new: old for old, new in table.renamed.items()}
    names = tuple(InputFeature(renamed.get(i.name, i.name), i.kind, i.shape) for i in inputs)
    return Checkpoint(kind, config, names, action_dim, _network_weights(kind, tensors), table)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, floating ones as float32.

    Raises:
        FormatError: The file cannot be read, or holds a number that is not finite where one has to be.
    """
    from safetensors.torch import load_file

    try:
        tensors = load_file(file)
    except Exception as cause:  # the library's own class, OSError, and more
        reason = str(cause).split("\n", maxsplit=1)[0]
        raise error(FormatError, str(file), "", f"cannot be read: {reason}") from cause
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def _inputs(config: Fields) -> tuple[InputFeature, ...]:
    features = config.object("input_features")
    found: list[InputFeature] = []
    for name in features.values:
        feature = features.object(name)
        kind = feature.word("type")
        if kind not in ("STATE", "VISUAL", "ENV") or (kind == "STATE" and name != "observation.state"):
            continue  # the networks do not look at it
        shape = feature.sizes("shape")
        if shape is None or len(shape) != (3 if kind == "VISUAL" else 1):
            raise feature.wrong("shape", "must be (3, H, W)" if kind == "VISUAL" else "must be (n,)")
        if kind == "VISUAL" and shape[0] != 3:
            raise feature.wrong("shape", "must be (3, H, W)")
        if kind == "ENV" and any(f.kind == "ENV" for f in found):
            raise features.wrong(name, "is a second feature of type ENV")
        found.append(InputFeature(name, kind, shape))
    if not any(f.kind in ("VISUAL", "ENV") for f in found):
        raise config.wrong("input_features", "needs an image or an environment state")
    return tuple(found)


def _action_dim(config: Fields) -> int:
    action = config.object("output_features").object("action")
    shape = action.sizes("shape", 1)
    if shape is None:
        raise action.wrong("shape", "is missing")
    return shape[0]


def _network_weights(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = {"act": "model.", "diffusion": "diffusion."}[kind]
    weights: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            weights[name.removeprefix(prefix).replace("_orig_mod.", "")] = tensor
        elif not _NORMALIZER_BUFFERS.match(name):
            raise error(
                FormatError, f"model.safetensors: {name}", "", f"is no tensor of a policy of type {kind}"
            )
    return weights
