"""A whole chunk as one module: the sampler's loop unrolled around a network, for engines without a loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course.policy import CoursePolicy
from course.token_predictor import VOCABULARY, TokenPredictor
from vla_rt.export.network import Network
from vla_rt.export.stages import Stages


class Chunk(nn.Module):
    """``forward(noise, *observation)``: the actions (1, T, D), or the tokens of a policy over tokens (1, n).

    Args:
        policy: One of the course's.
        stages: Its hoisted stages, or None to run the network in one piece at every step.
    """

    def __init__(self, policy: CoursePolicy, stages: Stages | None = None) -> None:
        super().__init__()
        self.spec = policy.sampler_spec()
        self.times = _times(self.spec)
        self.network = Network(policy)
        self.cache_shapes = self.network.cache_shapes
        self.stages = stages is not None
        if stages is not None:
            self.encode, self.step = stages.encode, stages.step
            for k, t in enumerate(self.times):
                for i, row in enumerate(stages.prepare(torch.tensor([t]))):
                    self.register_buffer(f"row_{k}_{i}", row)
            self.rows = len(stages.rows)

    def forward(self, noise: Tensor, *observation: Tensor) -> Tensor:
        """One chunk."""
        if self.stages:
            context = self.encode(*observation)
        else:
            caches = tuple(noise.new_zeros((1, *shape)) for shape in self.cache_shapes)
            context = (*caches, *observation)
        kind = self.spec["type"]
        if kind == "autoregressive":
            return self._tokens(noise, context)
        x = noise
        for k in range(len(self.times)):
            answer = self._answer(x, k, context)
            if kind == "flow_matching":
                x = x + answer / len(self.times)
            elif kind == "direct":
                x = answer
            else:
                kept = _alphas()[int(self.times[k])]
                x = (x - (1 - kept) ** 0.5 * answer) / kept**0.5
        return x

    def _answer(self, x: Tensor, k: int, context: Any) -> Tensor:
        if self.stages:
            rows = [self.get_buffer(f"row_{k}_{i}") for i in range(self.rows)]
            answer: Tensor = self.step(x, *rows, *context)
        else:
            answer = self.network(x, x.new_full((1,), self.times[k]), *context)
        return answer

    def _tokens(self, noise: Tensor, context: Any) -> Tensor:
        token = noise.new_full((1, 1), float(VOCABULARY))
        tokens = []
        for k in range(len(self.times)):
            token = self._answer(token, k, context).argmax(1, keepdim=True).to(noise.dtype)
            tokens.append(token)
        return torch.cat(tokens, dim=1)


def reference(policy: CoursePolicy, noise: Tensor, observation: tuple[Tensor, ...]) -> np.ndarray:
    """The chunk in float64, without hoisting and without caches."""
    exact = Chunk(policy).double()
    inputs = [o.double() for o in observation]
    with torch.inference_mode():
        if not isinstance(policy, TokenPredictor):
            chunk: np.ndarray = exact(noise.double(), *inputs).numpy()
            return chunk
        tokens = torch.zeros((1, 0), dtype=torch.int64)
        for _ in exact.times:
            best = exact.network.policy.all_logits(tokens, *inputs)[:, -1].argmax(1, keepdim=True)
            tokens = torch.cat([tokens, best], dim=1)
    return tokens.numpy().astype(float)


def _times(spec: dict[str, Any]) -> list[float]:
    if spec["type"] == "flow_matching":
        return [k / spec["num_steps"] for k in range(spec["num_steps"])]
    if spec["type"] == "autoregressive":
        return [float(k) for k in range(spec["num_tokens"])]
    if spec["type"] == "direct":
        return [0.0]
    if spec["num_steps"] != 1:
        raise ValueError("a chunk of a diffusion is one step here")
    return [spec["num_train_steps"] - 1.0]


def _alphas() -> np.ndarray:
    products: np.ndarray = np.cumprod(1 - np.linspace(1e-4, 0.02, 100))
    return products
