"""Recorded runs come back, and are drawn."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.cli.main import main
from vla_rt.run_recording import load_run, save_run


@pytest.fixture(scope="module")
def report() -> vr.RunReport:
    one = np.ones(3)
    limits = vr.JointLimits(-one, one, 2 * one, 10 * one, 500 * one)
    rows = np.linspace(0, 0.6, 16)[:, None] * one
    config = vr.ControlConfig(lock_memory=False, mode="async", inference_rate_hz=10.0)
    return vr.ControlLoop(vr.robots.SimulatedRobot(limits, 0 * one), lambda _: rows, config).run(0.4)


@pytest.fixture
def recording(report: vr.RunReport, tmp_path: Path) -> Path:
    save_run(report, tmp_path / "run.npz", ("a", "b", "<c>"), "a <run> & more")
    return tmp_path / "run.npz"


def test_a_run_comes_back(report: vr.RunReport, recording: Path) -> None:
    back = load_run(recording)
    assert back.report["ticks"] == report.ticks
    assert back.joint_names == ("a", "b", "<c>")
    for name, value in report.trace.items():
        np.testing.assert_array_equal(back.trace[name], value)
    np.testing.assert_array_equal(back.limits["max_jerk"], report.limits["max_jerk"])


def test_pictures_and_pages_are_drawn(recording: Path) -> None:
    pytest.importorskip("matplotlib")
    assert main(["plot", str(recording), "--json", str(recording.parent / "out.json")]) == 0
    assert recording.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((recording.parent / "out.json").read_text())["limit_violations"] == 0
    page = recording.with_suffix(".html")
    assert main(["plot", str(recording), "--out", str(page)]) == 0
    text = page.read_text()
    assert "a &lt;run&gt; &amp; more" in text
    assert "<run>" not in text
    assert not re.search(r'(src|href)="http', text)
    picture = re.search(r"data:image/png;base64,([^\"]+)", text)
    assert picture is not None
    assert base64.b64decode(picture.group(1)).startswith(b"\x89PNG")


def test_what_is_no_recording_is_refused(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = recording.with_name("other.npz")
    for content in (b"", b"PK\x03\x04", recording.read_bytes()[:500]):
        other.write_bytes(content)
        with pytest.raises(vr.FormatError, match="no recording of a run"):
            load_run(other)
    np.savez(other, about=np.zeros(3))
    with pytest.raises(vr.FormatError, match="no recording of a run"):
        load_run(other)
    with np.load(recording) as archive:
        arrays = dict(archive)
    arrays["trace/target"] = arrays["trace/target"][:, :1]
    np.savez(other, **arrays)
    with pytest.raises(vr.FormatError, match="trace/target"):
        load_run(other)
    assert main(["plot", str(recording.with_name("none.npz"))]) == 2
    assert main(["plot", str(recording), "--out", "picture.txt"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
