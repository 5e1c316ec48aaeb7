"""`vla-rt bench`: every backend of a package, counted work, advice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import vla_rt as vr
from vla_rt import _core
from vla_rt.cli import main
from vla_rt.cli.plan_work import PlanWork

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

from exportable import TinyPolicy


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "tiny"
    return vr.export_policy(TinyPolicy(), folder, backends=["native", "torchscript"])


def test_every_backend_is_measured(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert main.main(["bench", str(package), "--seconds", "0.05", "--json", str(out)]) == 0
    text = capsys.readouterr().out
    result = json.loads(out.read_text())
    assert result["limits"]["read_gb_s"] > 0
    assert result["limits"]["gflop_s"] > 0
    rows = {row["backend"]: row for row in result["rows"]}
    assert set(rows) == {"native", "torchscript"}
    for name, row in rows.items():
        assert name in text
        assert row["steps"] == 10  # Heun
        for what in ("chunk_us", "encode_us", "step_us"):
            assert 0 < row[what]["p50"] <= row[what]["p99"] <= row[what]["p999"] <= row[what]["max"]
        assert row["chunk_us"]["p50"] > row["step_us"]["p50"]
        assert row["dominant"] in row["parts_us"]
        assert 0 < row["share_of_limit"] <= 1
    if shutil.which("cc") or shutil.which("gcc"):
        assert rows["native"]["heap_calls"] == 0
        assert rows["torchscript"]["heap_calls"] > 10
    assert any("native is" in sentence for sentence in result["advice"])
    assert "task" in result["inline"]["refused"]  # a whole number, which no tick takes
    for sentence in result["advice"]:
        assert sentence in text


def test_work_is_counted_from_the_plan(package: Path) -> None:
    work = PlanWork.read(package)
    # step: x (8 of 8), t and context added, out (8 of 8); time and observation are hoisted
    assert work.step.flop == 2 * 2 * 64
    assert work.step.bytes == 4 * (64 + 64 + 8) or work.step.bytes == 4 * (64 + 8 + 64 + 8)
    assert work.encode.flop == 2 * (3 * 8 + 4 * 8)
    assert work.step.least_us({"read_gb_s": 1.0, "gflop_s": 1.0}) == work.step.bytes * 1e-3


def test_bad_input_is_told_in_one_line(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        [str(tmp_path)],
        [str(package), "--backend", "aotinductor"],
        [str(package), "--seconds", "0"],
        [str(package), "--json", str(tmp_path / "nowhere" / "x.json")],
    ):
        assert main.main(["bench", *words]) == 2
        error = capsys.readouterr().err.strip()
        assert error.startswith("vla-rt bench: ")
        assert "\n" not in error
