"""A tick of seven joints keeps to its budget of instructions, whatever comes in (callgrind)."""

from __future__ import annotations

import shutil
from pathlib import Path

import callgrind
import pytest

TICKS = 400
# Instructions of the most expensive tick: half again as much as with gcc 12.
BUDGET = {"still": 6_000, "sine": 32_000, "noise": 19_000, "bad": 25_000, "crowded": 60_000}

pytestmark = pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return callgrind.program(Path(__file__).with_name("tick_counter.cpp"), tmp_path_factory.mktemp("ticks"))


@pytest.mark.parametrize("kind", BUDGET)
def test_the_most_expensive_tick_is_within_its_budget(counter: Path, kind: str, tmp_path: Path) -> None:
    counts = callgrind.instructions_per_call("COUNTED_TICK", counter, kind, folder=tmp_path)
    assert len(counts) == TICKS
    assert min(counts) > 1_000
    assert max(counts) <= BUDGET[kind], f"tick {counts.index(max(counts))} took {max(counts)} instructions"


def test_a_loop_in_the_tick_breaks_the_budget(counter: Path, tmp_path: Path) -> None:
    counts = callgrind.instructions_per_call("COUNTED_TICK", counter, "sine", "1000", folder=tmp_path)
    assert max(counts) > BUDGET["sine"]
