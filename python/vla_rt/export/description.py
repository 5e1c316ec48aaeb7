"""`policy.json`: what a package says about itself."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vla_rt import _core
from vla_rt._core import Normalizer
from vla_rt.errors import ConfigError, FormatError, error
from vla_rt.export.protocol import AnyPolicy, Feature

DESCRIPTION_FILE = "policy.json"


def describe(
    policy: AnyPolicy,
    normalizer: Normalizer | Mapping[str, Normalizer] | None = None,
    action_space: Any = None,
    period_s: float | None = None,
    observation_spec: Sequence[Feature] | None = None,
) -> dict[str, Any]:
    """What `policy.json` says of a policy before there is a network; arguments as of `export_policy`."""
    config = policy.config
    normalizers = dict(policy.normalizers)
    if isinstance(normalizer, Normalizer):
        normalizers["action"] = normalizer
    elif normalizer is not None:
        normalizers |= normalizer
    if action_space is None:
        action_space = getattr(config, "action_space", None)
    features = config.observation if observation_spec is None else observation_spec
    identity = Normalizer("identity")
    columns = generated_dim(policy)
    return {
        **({"generated_dim": columns} if columns != config.action_dim else {}),
        "schema_version": 1,
        "kind": _kind(policy),
        "horizon": config.horizon,
        "action_dim": config.action_dim,
        "execution_horizon": config.execution_horizon,
        "n_obs_steps": getattr(config, "n_obs_steps", 1),
        "first_row": getattr(config, "first_row", 0),
        "period_s": config.period_s if period_s is None else period_s,
        "observation": [
            {
                "name": name,
                "kind": _feature_kind(name, tuple(shape), config),
                "dtype": dtype,
                "shape": list(shape),
                "normalizer": _core.normalizer_dict(normalizers.get(name, identity)),
            }
            for name, shape, dtype in features
        ],
        "action_normalizer": _core.normalizer_dict(normalizers.get("action", identity)),
        "action_space": None if action_space is None else _core.action_space_dict(action_space),
        "sampler": policy.sampler_spec(),
        "tokenizer": policy.tokenizer_spec() if hasattr(policy, "tokenizer_spec") else None,
        "files": {},
        "checks": {},
    }


def generated_dim(policy: AnyPolicy) -> int:
    """Columns of what the network takes and answers: D, or more where the policy says so."""
    return int(getattr(policy.config, "generated_dim", policy.config.action_dim))


def _kind(policy: object) -> str:
    """`FlowMatchingPolicy` is "flow_matching", unless it says `kind` itself."""
    kind = getattr(policy, "kind", None)
    if isinstance(kind, str):
        return kind
    name = type(policy).__name__.removesuffix("Policy") or type(policy).__name__
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _feature_kind(name: str, shape: tuple[int, ...], config: object) -> str:
    images = getattr(config, "images", None)
    if images is None:
        return "image" if len(shape) == 3 and "image" in name else "state"
    return "image" if name in images else "state"


def write_description(folder: Path, spec: dict[str, Any]) -> None:
    """Writes the description of the package in `folder`; its `files` become those that are there.

    Raises:
        ConfigError: Something in it cannot be stored, or no package may hold it.
    """
    files = sorted(file for file in folder.iterdir() if file.name != DESCRIPTION_FILE)
    spec["files"] = {file.name: _file_spec(file) for file in files}
    try:
        text = json.dumps(spec, indent=2, allow_nan=False)
        _core.parse_policy_spec(text)
    except (TypeError, ValueError) as cause:
        raise error(ConfigError, "policy.config", "", f"cannot be stored as JSON: {cause}") from cause
    except FormatError as cause:
        raise error(
            ConfigError, cause.name.removeprefix("policy.json#/"), cause.value, cause.bound
        ) from cause
    (folder / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")


def _file_spec(file: Path) -> dict[str, Any]:
    crc32 = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            crc32 = zlib.crc32(block, crc32)
    return {"bytes": file.stat().st_size, "crc32": f"{crc32:08x}"}
