"""A package's native network in narrower numbers, behind a bound on what they cost."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vla_rt import _core
from vla_rt._core import Policy
from vla_rt.errors import ConfigError, ModelError, error
from vla_rt.export.description import write_description
from vla_rt.export.protocol import AnyPolicy

if TYPE_CHECKING:  # it imports torch
    from vla_rt.export.eager import EagerPolicy
    from vla_rt.export.stages import Stages

#: Largest error where the caller names none.
DEFAULT_BOUNDS = {"bfloat16": 0.02, "int8": 0.05}
_DRAWN_OBSERVATIONS = 16
_NOISES = 2  # per observation


def error_bound(precision: str, max_error: float | None) -> float | None:
    """How far a network of this precision may be off; None for float32.

    Raises:
        ConfigError: An unknown precision, or a bound that is not above 0.
    """
    if precision not in ("float32", *DEFAULT_BOUNDS):
        raise error(ConfigError, "precision", precision, "must be float32, bfloat16 or int8")
    if max_error is not None and not (math.isfinite(max_error) and max_error > 0):
        raise error(ConfigError, "max_error", max_error, "must be a finite number above 0")
    if precision == "float32":
        return None
    return DEFAULT_BOUNDS[precision] if max_error is None else float(max_error)


def narrow(
    policy: AnyPolicy,
    stages: Stages,
    folder: Path,
    precision: str,
    bound: float,
    calibration: Sequence[dict[str, Any]] | None,
) -> dict[str, Any]:
    """Replaces the float32 native network of the package in `folder`; returns the checks to note.

    Raises:
        ModelError: The network is off by more than `bound`.
        ConfigError: `calibration` is empty or holds something that is no observation of the policy.
    """
    from vla_rt.export import native
    from vla_rt.export.eager import EagerPolicy

    exact = Policy.load(folder, "native")
    eager = EagerPolicy(policy, exact.spec, folder)
    observations: list[dict[str, Any]] = (
        [eager.random_inputs(seed)[0] for seed in range(_DRAWN_OBSERVATIONS)]
        if calibration is None
        else list(calibration)
    )
    if not observations:
        raise error(ConfigError, "calibration", "()", "needs at least one observation")
    for observation in observations:
        exact.sample(observation)  # raises ConfigError naming the feature
    with tempfile.TemporaryDirectory() as scratch:
        narrowed = Path(scratch)
        shutil.copytree(folder, narrowed, dirs_exist_ok=True)
        native.save(stages, narrowed, precision)
        write_description(narrowed, exact.spec.to_dict())
        if exact.spec.tokenizer is None:
            off = _chunk_error(exact, Policy.load(narrowed, "native"), eager, observations)
        else:
            opened = [native.open_network(stages, f) for f in (folder, narrowed)]
            off = _logits_error(opened[0], opened[1], exact.spec, [eager.inputs(o) for o in observations])
        if not off <= bound:
            raise error(
                ModelError,
                "precision",
                precision,
                f"costs an error of {off:.3g} on {len(observations)} observations, must be at most "
                f"{bound:g} (max_error)",
            )
        for name in (native.PLAN_FILE, native.WEIGHTS_FILE):
            shutil.copy(narrowed / name, folder)
    return {"max_error": off, "max_error_bound": bound, "max_error_observations": len(observations)}


def _chunk_error(
    exact: Policy, rounded: Policy, eager: EagerPolicy, observations: Sequence[dict[str, Any]]
) -> float:
    """Largest difference of a chunk over the largest normalised action, at least 1."""
    largest, worst = 1.0, 0.0
    for i, observation in enumerate(observations):
        for seed in range(_NOISES * i, _NOISES * (i + 1)):
            expected = eager.normalized(exact.sample(observation, seed=seed))
            actual = eager.normalized(rounded.sample(observation, seed=seed))
            largest = max(largest, float(np.abs(expected).max()))
            worst = max(worst, float(np.abs(actual - expected).max()))
    return worst / largest


def _logits_error(
    exact: _core.Network, rounded: _core.Network, spec: _core.PolicySpec, inputs: Sequence[Sequence[Any]]
) -> float:
    """Largest difference of a logit over the largest one, along the tokens that `exact` prefers."""
    steps = 1 if spec.sampler["parallel"] else spec.sampler["num_tokens"]
    for network in (exact, rounded):
        network.prepare([float(k) for k in range(steps)])
    largest, worst = 1e-30, 0.0
    for observation in inputs:
        arrays = [o[0].numpy() for o in observation]
        for network in (exact, rounded):
            network.encode(arrays)
        token = float(spec.sampler["start_token"])
        for k in range(steps):
            expected, actual = (network.step(np.array([token]), k) for network in (exact, rounded))
            largest = max(largest, float(np.abs(expected).max()))
            worst = max(worst, float(np.abs(actual - expected).max()))
            token = float(expected.argmax())
    return worst / largest
