"""A slice of the soak, and three planted mistakes that it must find; `make soak` is the whole of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "soak"))
from ledger import Ledger

SOAK = Path(__file__).resolve().parents[1] / "soak"
#: What each planted mistake takes, and what must be said of it.
PLANTS = {"leak": (22, "memory grew"), "breach": (1, "beyond their limit"), "silence": (1, "seen 0 times")}


def command(seconds: float, json_file: Path, plant: str = "") -> list[str]:
    words = [SOAK, "--seconds", seconds, "--json", json_file, "--plant", plant]
    return [sys.executable, *map(str, words)]


def test_a_minute_of_everything_going_wrong_breaks_nothing(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    run = subprocess.run(command(60, file), capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    summary = json.loads(file.read_text())
    assert summary["clean"]
    assert summary["breaches"] == 0
    assert summary["ticks"] > 30_000
    assert min(count["survived"] for count in summary["faults"].values()) >= 1
    assert len(summary["faults"]) == 24
    # The limits were in play, all of them.
    assert all(share > 0.99 for share in summary["worst_share_of_limit"].values()), summary


def test_what_is_planted_is_found(tmp_path: Path) -> None:
    runs = {
        plant: subprocess.Popen(
            command(seconds, tmp_path / plant, plant),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for plant, (seconds, _) in PLANTS.items()
    }
    said = {plant: run.communicate(timeout=600)[0] for plant, run in runs.items()}
    for plant, (_, problem) in PLANTS.items():
        assert runs[plant].returncode == 1, said[plant]
        problems = json.loads((tmp_path / plant).read_text())["problems"]
        assert any(problem in sentence for sentence in problems), (plant, problems)


@pytest.mark.parametrize(
    ("memory_mb", "growth_mb"),
    [
        ([140, 147.7, 148.7, 149.0, 149.0, 149.0], 0.4),  # first times
        ([140, 149.0, 147.7, 147.7, 149.0], 0.0),
        ([140, 141, 142, 143], 2.0),
        ([140, *(141 + flight // 4 for flight in range(300))], 54.4),
    ],
)
def test_memory_that_rises_again_and_again_is_told_from_first_times(
    memory_mb: list[float], growth_mb: float
) -> None:
    ledger = Ledger(lives=[[{"rss_mb": value} for value in memory_mb]])
    for kind in range(24):
        ledger.faults[f"fault {kind}"].injected += 1
    assert ledger.memory_growth() == pytest.approx(growth_mb, abs=0.05)


@pytest.mark.parametrize("words", [["--plant", "nothing"], ["--seconds", "x"]])
def test_bad_words_are_refused(words: list[str]) -> None:
    done = subprocess.run([sys.executable, SOAK, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
