"""Choosing between ways to compute the same by measuring them."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping

import torch

_ROUNDS = 7
_SECONDS_PER_ROUND = 0.01


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """One intra-op thread, as a package runs; the program's own number afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def times_us(candidates: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median time of each call [us] on one thread, in rounds that take turns, after a warm-up."""
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    with single_threaded(), torch.inference_mode():
        calls = {}
        for name, call in candidates.items():
            for _ in range(4):  # the interpreter optimises at its third call
                call()
            calls[name] = max(1, int(_SECONDS_PER_ROUND / _seconds(call, 1)))
        for _ in range(_ROUNDS):
            for name, call in candidates.items():
                samples[name].append(_seconds(call, calls[name]) / calls[name])
    return {name: statistics.median(values) * 1e6 for name, values in samples.items()}


def fastest(candidates: Mapping[str, Callable[[], object]]) -> str:
    """Name of the quickest candidate; the only one is not measured."""
    if len(candidates) == 1:
        return next(iter(candidates))
    times = times_us(candidates)
    return min(times, key=times.__getitem__)


def _seconds(call: Callable[[], object], repetitions: int) -> float:
    start = time.perf_counter()
    for _ in range(repetitions):
        call()
    return time.perf_counter() - start
