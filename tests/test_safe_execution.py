"""Unsafe actions through executor and filter: each is answered, none breaks a limit or touches anything."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.safe_execution import SafeExecution

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "safe_execution.py"


@pytest.fixture(scope="module")
def exercise():
    pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
    spec = importlib.util.spec_from_file_location("safe_execution_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    answers = module.run(report=False)
    monkeypatch.undo()
    return answers


def test_every_action_is_answered(exercise):
    answers, _ = exercise
    by_name = {name: answer for name, answer in answers if name != "back home"}
    verdicts = {name: answer.verdict for name, answer in by_name.items()}
    assert verdicts == {
        "a small motion": "executed",
        "far outside the limits": "modified",
        "too fast": "modified",
        "into the table": "modified",
        "into itself": "modified",
        "not a number": "refused",
        "joints missing": "refused",
    }
    assert "position" in by_name["far outside the limits"].causes
    assert by_name["far outside the limits"].deviation > 7.0
    assert "velocity" in by_name["too fast"].causes
    for name in ("into the table", "into itself"):
        assert "collision" in by_name[name].causes
        assert by_name[name].deviation > 0.01
        assert 0.0 < by_name[name].clearance_m < 0.01
    assert "chunk[" in by_name["not a number"].message
    assert "shape" in by_name["joints missing"].message
    np.testing.assert_array_equal(by_name["not a number"].reached, by_name["joints missing"].reached)


def test_no_command_broke_a_limit_or_touched_anything(exercise):
    _, measured = exercise
    assert measured["emitted_violations"] == 0
    assert measured["ticks_in_contact"] == 0  # of the arm in the simulator, behind its command
    assert measured["least_distance_m"] > 0


def limits() -> vr.JointLimits:
    one = np.ones(2)
    return vr.JointLimits(-one, one, 2 * one, 10 * one, 5000 * one)


def test_a_safe_action_is_executed_as_it_is():
    sent = []
    execution = SafeExecution(
        vr.ConstraintEnforcer(limits(), 0.001), 0.001, [0.0, 0.1], lambda q, v: sent.append((q, v))
    )
    answer = execution.execute([0.5, -0.3])
    assert (answer.verdict, answer.causes) == ("executed", ())
    assert answer.deviation < 1e-6
    np.testing.assert_array_equal(answer.reached, execution.position)
    np.testing.assert_array_equal(sent[-1][0], execution.position)
    assert np.isinf(answer.clearance_m)
    assert execution.execute([0.5, -0.3]).verdict == "executed"


def test_how_far_it_is_modified_is_the_distance_to_the_limit():
    execution = SafeExecution(vr.ConstraintEnforcer(limits(), 0.001), 0.001, [0.0, 0.0])
    answer = execution.execute([3.0, 0.0])
    assert (answer.verdict, "position" in answer.causes) == ("modified", True)
    assert answer.deviation == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize("action", [[np.nan, 0.0], [np.inf, 0.0], [0.0], "up", [[0.0, 0.0]], None])
def test_what_is_no_action_is_refused_and_moves_nothing(action):
    sent = []
    execution = SafeExecution(
        vr.ConstraintEnforcer(limits(), 0.001), 0.001, [0.0, 0.1], lambda q, v: sent.append(q)
    )
    answer = execution.execute(action)
    assert (answer.verdict, answer.wanted, sent) == ("refused", None, [])
    np.testing.assert_array_equal(execution.position, [0.0, 0.1])


def test_bad_arguments_are_named():
    with pytest.raises(vr.ConfigError, match="tolerance"):
        SafeExecution(vr.ConstraintEnforcer(limits(), 0.001), 0.001, [0.0, 0.0], tolerance=0.0)
    execution = SafeExecution(vr.ConstraintEnforcer(limits(), 0.001), 0.001, [0.0, 0.0])
    with pytest.raises(vr.ConfigError, match="duration_s"):
        execution.execute([0.0, 0.0], duration_s=0.0)
