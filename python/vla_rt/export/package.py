"""Writes policy packages: network, `policy.json`, and the proof that both say what the eager policy says."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from vla_rt import _backends, _core
from vla_rt._core import Normalizer, Policy
from vla_rt.errors import ConfigError, ModelError, error
from vla_rt.export import narrowing
from vla_rt.export.description import describe, write_description
from vla_rt.export.protocol import AnyPolicy, Feature

if TYPE_CHECKING:  # it imports torch
    from vla_rt.export.stages import Stages

#: Backends that a policy can be exported to; the first ones unasked, where this build has them.
BACKENDS = ("native", "torchscript", "aotinductor")
_UNASKED = ("native", "torchscript")
#: Largest difference from the eager policy, in normalised units relative to the largest normalised action.
TOLERANCE = 1e-4
_CHECKED_SAMPLES = 4


def export_policy(
    policy: AnyPolicy,
    path: str | os.PathLike[str],
    backends: Sequence[str] | str | None = None,
    precision: str = "float32",
    normalizer: Normalizer | Mapping[str, Normalizer] | None = None,
    action_space: Any = None,
    period_s: float | None = None,
    observation_spec: Sequence[Feature] | None = None,
    device: str = "cpu",
    calibration: Sequence[dict[str, Any]] | None = None,
    max_error: float | None = None,
) -> Path:
    """Writes `policy` as a policy package, compares it with the eager policy, and only then puts it in place.

    Args:
        policy: A module that fulfils `ExportablePolicy`; it is not changed.
        path: Folder to write. An existing package there is replaced, anything else is not touched.
        backends: Which networks to write: `native`, `torchscript`, `aotinductor`. None means every one that
            this build has and that has all operators of the policy, apart from `aotinductor`: machine code
            for this processor, which takes a C++ compiler and about a minute, is written only when named.
        precision: Of the native network's matrices: `float32`, or `bfloat16` or `int8` (one scale per output;
            inputs rounded to 8 bits row by row; small matrices stay bfloat16), which need less memory and
            time. A package of narrower numbers has the native network alone.
        normalizer: That of the action, or a mapping of feature names and "action"; None takes
            `policy.normalizers`.
        action_space: What the D numbers of an action mean; None takes `policy.config.action_space`
            where there is one and otherwise leaves it unsaid.
        period_s: Time between two rows [s]; None takes `policy.config.period_s`.
        observation_spec: (name, shape, dtype) of the inputs in order; None takes `policy.config.observation`.
        device: Where the networks are to run: `cpu`, or `cuda` (`cuda:1`, ...), which must then be here.
        calibration: Raw observations, held back from training, on which a network of narrower numbers is
            compared with its float32 form; None draws some from the statistics.
        max_error: How far it may be off: the largest difference over the largest normalised action (at least
            1), of a token policy over the largest logit. None takes 0.02 for `bfloat16`, 0.05 for `int8`.

    Returns:
        `path`.

    Raises:
        ConfigError: The policy lacks a part of the protocol, something does not fit, or `path` holds
            something that is no package.
        ModelError: A backend or the device is not available, a backend lacks an operator of the policy, the
            policy cannot be captured, the package answers differently, or narrower numbers cost more than
            `max_error`.
    """
    target = Path(path)
    _require_replaceable(target)
    _require_parts(policy, "policy", ("config", "normalizers", "sampler_spec", *_network_parts(policy)))
    config_parts = ("horizon", "action_dim", "period_s", "execution_horizon", "observation")
    _require_parts(policy.config, "policy.config", config_parts)
    _require_device(device)
    names = _backend_names(backends, device)
    bound = narrowing.error_bound(precision, max_error)
    if bound is not None:
        if backends is not None and names != ("native",):
            raise error(
                ModelError, "precision", precision, "is one of the native network; the others' is float32"
            )
        names = _backend_names("native", device)
    spec = describe(policy, normalizer, action_space, period_s, observation_spec)
    spec["precision"] = "float32"
    spec["device"] = device
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as cause:
        raise error(ConfigError, "path", target, f"cannot be written ({cause.strerror})") from cause
    try:
        stages = _stages(policy, device)
        names, notes = _save_networks(stages, draft, names, optional=backends is None and bound is None)
        spec["backends"] = list(names)
        if spec["tokenizer"] is not None and spec["tokenizer"].get("type") == "fast":
            _require_parts(policy, "policy", ("tokenizer",))
            cast(Any, policy).tokenizer.save(draft)
        write_description(draft, spec)
        spec["checks"] = notes | _verify(policy, draft, names)
        if bound is not None:
            spec["checks"] |= narrowing.narrow(policy, stages, draft, precision, bound, calibration)
            spec["precision"] = precision
        write_description(draft, spec)
        draft.chmod(0o755)
        _put_in_place(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _backend_names(backends: Sequence[str] | str | None, device: str) -> tuple[str, ...]:
    if backends is None:
        here = [name for name in _backends.available() if device == "cpu" or name != "native"]
        names = tuple(name for name in _UNASKED if name in here)
        if not names:
            raise ModelError(_backends.torch_problem() or "this build has no backend to export to")
        return names
    names = (backends,) if isinstance(backends, str) else tuple(dict.fromkeys(backends))
    if not names:
        raise error(ConfigError, "backends", "()", "needs at least one")
    for name in names:
        if name not in BACKENDS:
            raise error(ModelError, "backend", name, f"this build exports to {', '.join(BACKENDS)}")
        if name == "native" and device != "cpu":
            raise error(ModelError, "backend", name, f"runs on the cpu alone, not on {device}")
        _backends.open_backend(name)
    return names


def _network_parts(policy: object) -> tuple[str, ...]:
    """The methods that hold the network, in the form that the policy chose."""
    if hasattr(policy, "next_logits"):
        return ("next_logits", "cache_shapes", "tokenizer_spec")
    if hasattr(policy, "denoise") or not (hasattr(policy, "encode") or hasattr(policy, "step")):
        return ("denoise",)
    return ("encode", "step")


def _stages(policy: AnyPolicy, device: str) -> Stages:
    from vla_rt.export.network import Network, capture, example_inputs
    from vla_rt.export.stages import split

    inputs = example_inputs(policy, policy.config.observation, device=device)
    return split(capture(Network(policy, device), inputs))


def _save_networks(
    stages: Stages, folder: Path, backends: Sequence[str], optional: bool
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Writes the files of the backends; returns those written and what there is to say about them.

    Where a choice is `optional`, the native engine is left out when it lacks an operator; a note names it.
    """
    from vla_rt.export import convolutions, native, torchscript

    notes: dict[str, Any] = {
        "network_operators": stages.network_operators,
        "step_operators": stages.step_operators,
    }
    if "native" in backends:
        try:
            native.save(stages, folder)
            notes["native_step_error"] = native.check_step(stages, folder)
        except native.Unsupported as cause:
            if not optional or backends == ("native",):
                raise
            backends = tuple(name for name in backends if name != "native")
            notes["native"] = str(cause)[:256]
    if "torchscript" in backends or "aotinductor" in backends:
        stages, forms = convolutions.choose(stages)
        notes |= forms
    if "torchscript" in backends:
        torchscript.save(stages, folder)
    if "aotinductor" in backends:
        from vla_rt.export import aotinductor

        notes |= aotinductor.save(stages, folder)
    return tuple(backends), notes


def _require_device(device: str) -> None:
    import torch

    if not isinstance(device, str) or re.fullmatch(r"cpu|cuda(:\d+)?", device) is None:
        raise error(ConfigError, "device", device, "must be cpu, cuda, or cuda with a number (cuda:1)")
    if device == "cpu":
        return
    number = int(device.partition(":")[2] or 0)
    if not torch.cuda.is_available() or number >= torch.cuda.device_count():
        raise error(
            ModelError,
            "device",
            device,
            f"is not there: this machine has no such GPU, or its torch {torch.__version__} has no CUDA",
        )


def _verify(policy: AnyPolicy, folder: Path, backends: Sequence[str]) -> dict[str, Any]:
    """Largest error of the package against the eager policy over random observations and noise."""
    checks: dict[str, Any] = {
        "vla_rt": _core.__version__,
        "samples": _CHECKED_SAMPLES,
        "tolerance": TOLERANCE,
    }
    if _core.TORCH_VERSION is not None:
        checks["torch"] = _core.TORCH_VERSION
    from vla_rt.export.eager import EagerPolicy

    eager = EagerPolicy(policy, _core.read_policy_spec(folder), folder)
    for backend in backends:
        _backends.open_backend(backend)
        package = Policy.load(folder, backend)
        worst = 0.0
        for seed in range(_CHECKED_SAMPLES):
            observation, noise = eager.random_inputs(seed)
            expected = eager.sample(observation, noise)
            actual = eager.normalized(package.sample(observation, noise=noise))
            scale = max(1.0, float(np.abs(expected).max()))
            worst = max(worst, float(np.abs(actual - expected).max()) / scale)
        if not worst <= TOLERANCE:
            raise error(
                ModelError,
                "backend",
                backend,
                f"the exported network differs from the policy by {worst:.2g} of the largest action, must be "
                f"at most {TOLERANCE:g}; do encode or step branch on values, or draw random numbers?",
            )
        checks[f"{backend}_max_error"] = worst
    return checks


def _require_replaceable(target: Path) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if target.is_dir() and ((target / "policy.json").is_file() or not any(target.iterdir())):
        return
    raise error(ConfigError, "path", target, "exists and is not a policy package")


def _require_parts(value: object, name: str, parts: Sequence[str]) -> None:
    missing = [part for part in parts if not hasattr(value, part)]
    if missing:
        raise error(ConfigError, name, type(value).__name__, f"has no {', '.join(missing)}")


def _put_in_place(draft: Path, target: Path) -> None:
    """Renames `draft` to `target`; a package that was there is moved away first and deleted last."""
    for file in draft.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    if not target.exists():
        draft.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        target.rename(old / "package")
        draft.rename(target)
    finally:
        shutil.rmtree(old, ignore_errors=True)
