"""How many threads a training step is fastest with, here and now."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_ROUNDS = 3
_STEPS = 3


def fastest_num_threads(policy: nn.Module, batch: Mapping[str, Tensor]) -> int:
    """Measures the gradient of ``policy.loss(batch)`` with one thread and one per processor.

    Small networks on a busy machine are many times slower on two threads than on one: each operator then
    waits for a thread that is not running. The policy's gradients are cleared, nothing else changes.

    Args:
        policy: A module with ``loss``.
        batch: As ``loss`` takes it.

    Returns:
        The number of threads with the smaller median time; 1 when in doubt.
    """
    processors = len(os.sched_getaffinity(0))
    if processors == 1:
        return 1
    loss_of: Any = policy.loss
    before = torch.get_num_threads()
    seconds: dict[int, list[float]] = {1: [], processors: []}
    with torch.random.fork_rng():
        try:
            for _ in range(_ROUNDS):
                for threads, measured in seconds.items():
                    torch.set_num_threads(threads)
                    for step in range(_STEPS):
                        begin = time.perf_counter()
                        policy.zero_grad()
                        loss_of(batch).backward()
                        if step:  # the first one wakes the threads up
                            measured.append(time.perf_counter() - begin)
        finally:
            torch.set_num_threads(before)
            policy.zero_grad()
    return processors if np.median(seconds[processors]) < 0.9 * np.median(seconds[1]) else 1
