"""A policy object of LeRobot, as it is in memory, for a `ControlLoop`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vla_rt.errors import ConfigError, ModelError, error, require

__all__ = ["LivePolicy"]

_IMAGES = "observation.images"


class LivePolicy:
    """Asks a policy of LeRobot for whole chunks: observation in, raw actions out.

    It calls `predict_action_chunk`, or `select_action` for as many rows as the policy executes where that is
    all there is. What the policy keeps between calls is reset before each: the loop holds the past that it
    looks back on, one observation per row.

    Args:
        policy: Of LeRobot, or anything with `predict_action_chunk(batch)` or `select_action(batch)`.
        preprocessor: The policy's own, which normalises and adds the batch dimension; None adds that alone.
        postprocessor: The policy's own, which un-normalises; None leaves actions as they are.
        task: What language policies are told.
        fps: Rows of a chunk per second.

    Attributes:
        n_obs_steps: Observations that it looks at.
        period_s: Time between two rows [s].
        execution_horizon: Rows to execute before the next chunk is due, where the policy says it.

    Raises:
        ConfigError: The policy has neither method, or `fps` is not in (0, 1000].
    """

    def __init__(
        self,
        policy: Any,
        preprocessor: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
        postprocessor: Callable[[Tensor], Tensor] | None = None,
        task: str = "",
        fps: float = 30.0,
    ) -> None:
        if not hasattr(policy, "predict_action_chunk") and not hasattr(policy, "select_action"):
            bound = "must have predict_action_chunk or select_action"
            raise error(ConfigError, "policy", type(policy).__name__, bound)
        require(0.0 < fps <= 1000.0, "fps", fps, "must be in (0, 1000]")
        self._policy, self._before, self._after, self._task = policy, preprocessor, postprocessor, task
        config = getattr(policy, "config", None)
        self._image_names = tuple(getattr(config, "image_features", None) or ())
        self.n_obs_steps = int(getattr(config, "n_obs_steps", 1) or 1)
        self.execution_horizon: int | None = getattr(config, "n_action_steps", None)
        self.period_s = 1.0 / fps

    def __call__(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """The chunk of raw features by name, with time as first axis where `n_obs_steps` > 1: raw (T, D).

        Raises:
            ModelError: The policy answers something else than a chunk for a batch of one.
        """
        steps = self.n_obs_steps
        frames = [
            self._batch({name: value[k] if steps > 1 else value for name, value in observation.items()})
            for k in range(steps)
        ]
        with torch.no_grad():
            if hasattr(self._policy, "reset"):
                self._policy.reset()
            if hasattr(self._policy, "predict_action_chunk"):
                self._fill_queues(frames)
                chunk = self._policy.predict_action_chunk(frames[-1])
            else:
                rows = range(self.execution_horizon or 1)
                chunk = torch.stack([self._policy.select_action(dict(frames[-1])) for _ in rows], dim=1)
            shape = tuple(chunk.shape)
            if len(shape) != 3 or shape[0] != 1:
                raise error(ModelError, "chunk", f"shape {shape}", "must be (1, T, D)")
            actions = chunk if self._after is None else self._unprocessed(chunk)
        result: NDArray[np.float64] = actions[0].double().cpu().numpy()
        return result

    def _batch(self, values: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = {name: _tensor(value) for name, value in values.items()}
        if self._task:
            batch["task"] = self._task
        if self._before is not None:  # it answers "action": None, which policies take for one to look at
            return {name: value for name, value in self._before(batch).items() if name != "action"}
        device = next((p.device for p in getattr(self._policy, "parameters", list)()), torch.device("cpu"))
        return {k: v[None].to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}

    def _fill_queues(self, frames: list[dict[str, Any]]) -> None:
        """Policies that look back keep their observations in queues that `select_action` alone fills."""
        queues = getattr(self._policy, "_queues", None)
        if not isinstance(queues, dict):
            return
        for frame in frames:
            if _IMAGES in queues and self._image_names:
                frame[_IMAGES] = torch.stack([frame[name] for name in self._image_names], dim=-4)
            for name, queue in queues.items():
                if name != "action" and name in frame:
                    queue.append(frame[name])

    def _unprocessed(self, chunk: Tensor) -> Tensor:
        assert self._after is not None
        return torch.stack([self._after(chunk[:, t]) for t in range(chunk.shape[1])], dim=1)


def _tensor(value: NDArray[Any]) -> Tensor:
    """Images of bytes (H, W, 3) become floats (3, H, W) in [0, 1], as LeRobot's environments give them."""
    if value.dtype == np.uint8 and value.ndim == 3:
        return torch.from_numpy(np.ascontiguousarray(value)).movedim(-1, 0).float() / 255.0
    return torch.from_numpy(np.ascontiguousarray(value))
