"""The violation log: what the enforcer could not grant, line by line in a file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr


def enforcer() -> vr.ConstraintEnforcer:
    one = np.ones(2)
    e = vr.ConstraintEnforcer(vr.JointLimits(-one, one, 2 * one, 10 * one, 5000 * one), 1e-3)
    e.reset([0.0, 0.0])
    return e


def test_the_file_holds_what_the_reports_logged(tmp_path: Path) -> None:
    e = enforcer()
    rng = np.random.default_rng(0)
    logged: list[dict[str, object]] = []
    with vr.ViolationLog(tmp_path / "violations.jsonl") as log:
        target = np.zeros(2)
        for _ in range(600):
            if rng.random() < 0.1:
                target = rng.choice([0.5, -3.0, np.nan, np.inf, 1e300], 2)
            _, report = e.apply(target)
            log.take(e)
            known = {(entry["joint"], entry["cause"], entry["time_s"]) for entry in logged}
            logged += [e for e in report.log if (e["joint"], e["cause"], e["time_s"]) not in known]
    lines = (tmp_path / "violations.jsonl").read_text().splitlines()
    assert log.written == len(lines) > 50
    assert log.dropped == 0
    for line, entry in zip(lines, logged, strict=True):
        read = json.loads(line)
        assert read.pop("wanted") == (entry["wanted"] if math.isfinite(entry["wanted"]) else None)
        assert read == {k: v for k, v in entry.items() if k != "wanted"}
    assert {json.loads(line)["cause"] for line in lines} >= {"position", "velocity", "jerk", "non_finite"}


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(vr.ConfigError, match=r"violation_log = .*: cannot be written"):
        vr.ViolationLog(tmp_path / "none" / "violations.jsonl")


def test_a_full_disk_is_counted() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    e = enforcer()
    with vr.ViolationLog("/dev/full") as log:
        e.apply([5.0, 5.0])
        log.take(e)
    assert log.written + log.dropped == 8


def test_what_came_before_the_log_is_not_dropped_by_it(tmp_path: Path) -> None:
    e = enforcer()
    rng = np.random.default_rng(1)
    for _ in range(2):  # more than the enforcer keeps, and by an earlier start
        e.run(rng.choice([0.5, -3.0, np.nan], (2000, 2)))
        e.reset([0.0, 0.0])
    with vr.ViolationLog(tmp_path / "late.jsonl") as log:
        e.apply([5.0, 5.0])
        log.take(e)
        assert log.dropped == 0
        e.run(rng.choice([0.5, -3.0, np.nan], (2000, 2)))
        log.take(e)
    lines = (tmp_path / "late.jsonl").read_text().splitlines()
    assert {json.loads(line)["time_s"] for line in lines[:8]} == {0.001}
    assert log.dropped > 0  # while it was there
    assert log.written == len(lines) == 8 + 256


SLEDGE = """<robot name="r"><link name="base"/><link name="a"/><link name="tool"/>
<joint name="x" type="prismatic"><parent link="base"/><child link="a"/><axis xyz="1 0 0"/>
  <limit lower="-1" upper="1" velocity="2"/></joint>
<joint name="y" type="prismatic"><parent link="a"/><child link="tool"/><axis xyz="0 1 0"/>
  <limit lower="-1" upper="1" velocity="2"/></joint></robot>"""


@pytest.fixture(scope="module")
def walled_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[vr.RunReport, Path]:
    """A second towards a place behind a wall at x = 0.2."""
    folder = tmp_path_factory.mktemp("run")
    urdf, log = folder / "sledge.urdf", folder / "violations.jsonl"
    urdf.write_text(SLEDGE)
    one = np.ones(2)
    robot = vr.robots.SimulatedRobot(vr.JointLimits(-one, one, 2 * one, 10 * one, 5000 * one), [0.0, 0.0])
    config = vr.ControlConfig(
        kinematics=vr.Kinematics.from_urdf(str(urdf), "tool"),
        workspace=vr.Workspace(upper=[0.2, np.inf, np.inf]),
        violation_log=log,
    )
    return vr.ControlLoop(robot, lambda observation: np.tile([0.5, 3.0], (16, 1)), config).run(1.0), log


def test_a_control_loop_keeps_its_workspace_and_logs_why(walled_run: tuple[vr.RunReport, Path]) -> None:
    report, log = walled_run
    position = report.trace["command_position"]
    assert position[:, 0].max() < 0.2
    assert position[-1] == pytest.approx([0.1997, 1.0], abs=2e-4)
    assert report.limit_violations == report.dropped_violations == 0
    assert report.limited_ticks["workspace"][0] > 100
    assert report.limited_ticks["position"][1] > 100
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert {(e["joint"], e["cause"]) for e in entries} >= {(0, "workspace"), (1, "position")}
    json.dumps(report.to_dict())


def test_a_run_is_drawn_against_its_limits(walled_run: tuple[vr.RunReport, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report, _ = walled_run
    figure = vr.plots.limits(report, tmp_path / "limits.png")
    assert (tmp_path / "limits.png").stat().st_size > 10_000
    drawn = figure.axes[1].lines[0].get_ydata()
    expected = report.trace["command_velocity"][:, 0] / 2
    assert np.max(drawn) == pytest.approx(expected.max())  # thinning keeps extremes
    assert figure.axes[3].get_title("left").endswith("at most 100.0 %")
    e = enforcer()
    run = e.run(np.full((300, 2), 0.5), substeps=2)
    vr.plots.limits(run, tmp_path / "run.pdf", limits=e.limits, period_s=0.0005)
    with pytest.raises(vr.ConfigError, match="limits = None"):
        vr.plots.limits(run)
    with pytest.raises(vr.ConfigError, match="report = list"):
        vr.plots.limits([1])
    with pytest.raises(vr.ConfigError, match="1 joints: must be of the 2 joints"):
        vr.plots.limits(run, limits=vr.JointLimits([-1], [1], [1], [1], [1]))


def test_wrong_surroundings_are_told() -> None:
    with pytest.raises(vr.ConfigError, match="workspace = int"):
        vr.ControlConfig(workspace=3)
    with pytest.raises(vr.ConfigError, match="collision = str"):
        vr.ControlConfig(collision="no")
    with pytest.raises(vr.ConfigError, match="violation_log = 3"):
        vr.ControlConfig(violation_log=3)
    one = np.ones(2)
    robot = vr.robots.SimulatedRobot(vr.JointLimits(-one, one, one, one, one), [0.0, 0.0])
    with pytest.raises(vr.ConfigError, match="kinematics = none"):
        vr.ControlLoop(robot, lambda o: np.zeros((4, 2)), {"workspace": vr.Workspace([0, 0, 0])})
