"""TorchScript: one traced, frozen file with the two methods `encode` and `step`."""

from __future__ import annotations

import copy
import math
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vla_rt._core import ModelError
from vla_rt.export.protocol import ExportablePolicy, Feature

#: Name of the file inside a package.
FILE = "model.ts"

_DTYPES = {"float32": torch.float32, "int64": torch.int64, "uint8": torch.uint8}


class _TwoStage(nn.Module):
    """The two methods that are traced, and nothing else of the policy."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy = policy

    def encode(self, *observation: Tensor) -> Any:
        context = self.policy.encode(*observation)
        return tuple(context) if isinstance(context, list) else context

    def step(self, x: Tensor, t: Tensor, context: Any) -> Tensor:
        result: Tensor = self.policy.step(x, t, context)
        return result.contiguous()


def cpu_copy(policy: ExportablePolicy) -> Any:
    """A float32 copy on the CPU in evaluation mode; the policy itself stays as it is."""
    module: Any = copy.deepcopy(policy)
    module = module.cpu().eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        if parameter.is_floating_point():
            parameter.data = parameter.data.float()
    return module


def example_observation(features: tuple[Feature, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
    """Normalised inputs of `encode` with batch 1: standard normal numbers, zeros for whole numbers."""
    tensors = []
    for _, shape, dtype in features:
        if dtype == "float32":
            tensors.append(torch.randn((1, *shape), generator=generator))
        else:
            tensors.append(torch.zeros((1, *shape), dtype=_DTYPES[dtype]))
    return tuple(tensors)


def save(policy: ExportablePolicy, folder: Path) -> None:
    """Traces `policy` and writes `model.ts` into `folder`.

    Raises:
        ModelError: The policy cannot be traced, or answers another shape than (B, T, D).
    """
    config = policy.config
    module = _TwoStage(cpu_copy(policy)).eval()
    generator = torch.Generator().manual_seed(0)
    observation = example_observation(config.observation, generator)
    x = torch.randn((1, config.horizon, config.action_dim), generator=generator)
    t = torch.full((1,), 0.5)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # Tracing is the point here; the comparison with the eager policy shows what it got wrong.
            warnings.simplefilter("ignore")
            context = module.encode(*observation)
            answer = module.step(x, t, context)
            if tuple(answer.shape) != tuple(x.shape):
                raise ModelError(f"step returns {tuple(answer.shape)}: must be (B, T, D) = {tuple(x.shape)}")
            traced = torch.jit.trace_module(  # type: ignore[no-untyped-call]
                module, {"encode": observation, "step": (x, t, context)}, check_trace=False
            )
            frozen = torch.jit.freeze(traced.eval(), preserved_attrs=["encode", "step"])
            frozen.save(str(folder / FILE))
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"the policy cannot be exported to TorchScript: {error}") from error
    if not math.isfinite(float(answer.abs().max())):
        raise ModelError("step returns NaN or infinity for standard normal inputs")
