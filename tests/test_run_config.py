"""One file says what runs; what it says wrongly is named, and what ships is what the makers publish."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import fields
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.cli.main import main
from vla_rt.robots.panda import PANDA_MAX_ACCELERATION, PANDA_MAX_JERK, PANDA_MAX_VELOCITY
from vla_rt.run_config import RunConfig, changed, shipped_configurations
from vla_rt.run_sections import CONTROL_SECTIONS, ELSEWHERE, OWN_SECTIONS, schema, section_fields

SHIPPED = shipped_configurations()
BOUNDS = "min_position: [-1, -1]\n  max_position: [1, 1]\n  max_velocity: [2, 2]"
TWO = f"""
limits:
  {BOUNDS}
  max_acceleration: [10, 10]
  max_jerk: [5e2, 5e2]
executor: {{mode: async, blend_s: 1e-1, merge_weights: [0.5, 0.5]}}
safety:
  watchdog_s: null
realtime: {{lock_memory: false}}
duration_s: 0.3
"""


def write(folder: Path, text: str, name: str = "run.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_every_field_of_a_control_config_has_one_place() -> None:
    placed = [name for names in CONTROL_SECTIONS.values() for name in names]
    assert sorted([*placed, *ELSEWHERE]) == sorted(field.name for field in fields(vr.ControlConfig))
    for section in (*CONTROL_SECTIONS, *OWN_SECTIONS):
        for field in section_fields(section).values():
            assert field.doc, f"{section}.{field.name} is not described"


def test_values_arrive(tmp_path: Path) -> None:
    kept = "{violation_log: wishes.jsonl, record: flight.rec, record_max_mb: 9, trace_s: 5}"
    text = f"{TWO}logging: {kept}\npolicy: {{package: ../package}}\n"
    config = RunConfig.from_file(write(tmp_path, text), ["executor.blend_s=0.05", "robot.position=[0.5, 0]"])
    assert config.control.mode == "async"
    assert config.control.blend_s == 0.05
    assert config.control.merge_weights == (0.5, 0.5)
    assert config.control.watchdog_s is None
    assert config.control.trace_s == 5
    assert config.control.violation_log == str(tmp_path / "wishes.jsonl")
    assert config.control.record == str(tmp_path / "flight.rec")
    assert config.control.record_max_mb == 9
    assert config.policy.package == str(tmp_path / "../package")
    assert config.robot.position == (0.5, 0)
    assert config.duration_s == 0.3
    assert isinstance(config.control.limits, vr.JointLimits)
    np.testing.assert_array_equal(config.control.limits.max_jerk, [500, 500])


def test_a_file_changes_its_base(tmp_path: Path) -> None:
    write(tmp_path, "base: panda\nexecutor: {blend_s: 0.2}\n", "lab.yaml")
    config = RunConfig.from_file(write(tmp_path, "base: lab.yaml\nexecutor: {mode: rtc}\n"))
    assert config.control.mode == "rtc"
    assert config.control.blend_s == 0.2
    assert config.control.on_starvation == "decelerate"  # of panda.yaml
    assert config.robot.joint_names is not None
    assert len(config.robot.joint_names) == 7
    write(tmp_path, "base: run.yaml\n", "lab.yaml")
    with pytest.raises(vr.ConfigError, match="must not be deeper"):
        RunConfig.from_file(tmp_path / "run.yaml")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("executor:", "exekutor:", "exekutor: no such field; did you mean executor?"),
        ("blend_s: 1e-1", "blends: 0.1", "executor.blends: no such field; did you mean executor.blend_s?"),
        ("blend_s: 1e-1", "blend_s: fast", "executor.blend_s = 'fast': must be a number"),
        ("blend_s: 1e-1", "blend_s: true", "executor.blend_s = True: must be a number"),
        ("blend_s: 1e-1", "blend_s: -1", "executor.blend_s = -1"),
        ("mode: async", "mode: asinc", "executor.mode = "),
        ("mode: async", "mode: 3", "executor.mode = 3: must be a text"),
        ("mode: async", "mode: async, mode: rtc", "mode: occurs twice"),
        ("[0.5, 0.5]", "[0.5]", "executor.merge_weights = [0.5]: must be a list of 2"),
        ("[0.5, 0.5]", "[a, b]", "executor.merge_weights = ['a', 'b']: must be a number, every one"),
        ("watchdog_s: null", "watchdog_s: 0", "safety.watchdog_s = 0"),
        ("watchdog_s: null", "watchdog_s: soon", "safety.watchdog_s = 'soon': must be a number"),
        ("watchdog_s: null", "workspace: [{lower: [0, 0, 0]}]", "safety.workspace[0].upper: is missing"),
        ("watchdog_s: null", "kinematics: {path: a.urdf, tipp: b}", "safety.kinematics.tipp: no such field"),
        ("lock_memory: false", "lock_memory: 1", "realtime.lock_memory = 1: must be true or false"),
        ("lock_memory: false", "priority: 200", "realtime.priority = 200"),
        ("duration_s: 0.3", "duration_s: 0", "duration_s = 0: must be in (0, 1e6] s"),
        ("  max_jerk: [5e2, 5e2]\n", "", "limits.max_jerk: is missing"),
        ("max_jerk: [5e2, 5e2]", "max_jerk: [5e2]", "limits.max_jerk"),
        ("max_jerk: [5e2, 5e2]", "max_jerk: [5e2, -1]", "limits.max_jerk[1] = -1"),
        ("duration_s: 0.3", "robot: {type: arm}", "robot.type = 'arm': must be simulated or mujoco or"),
        ("duration_s: 0.3", "robot: {type: shared_memory}", "robot.name: is missing"),
        ("duration_s: 0.3", "robot: {position: [0]}", "robot.position = 1 values: must be 2"),
        ("duration_s: 0.3", "policy: {port: many}", "policy.port = 'many': must be a whole number"),
        ("duration_s: 0.3", "policy: nothing", "policy = str: must be a mapping of fields"),
        ("duration_s: 0.3", "base: nowhere", "config = nowhere: is no file, and none of aloha, panda"),
        ("executor:", "? [a]\n: 1\nexecutor:", "cannot be read"),
        ("executor:", "x: !!python/object:os.system {}\nexecutor:", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, text: str) -> None:
    assert old in TWO
    with pytest.raises(vr.ConfigError) as refusal:
        RunConfig.from_file(write(tmp_path, TWO.replace(old, new, 1)))
    assert text in str(refusal.value)


FIELDS = [(s, name) for s in (*OWN_SECTIONS, *CONTROL_SECTIONS) for name in section_fields(s)]


@pytest.mark.parametrize(("section", "name"), FIELDS, ids=[".".join(field) for field in FIELDS])
def test_every_field_is_checked_and_named(section: str, name: str) -> None:
    """A slip of the pen is answered with the name that was meant; a value of another kind with the field."""
    slip = name[:-1] + ("x" if name[-1] != "x" else "y")
    with pytest.raises(vr.ConfigError, match=f"did you mean {section}.{name}"):
        RunConfig.from_file("panda", [f"{section}.{slip}=1"])
    refusals = []
    for value in ("{a: 1}", "[x, {}]", "nonsense~", "true", "-7.5", "null"):
        try:
            RunConfig.from_file("panda", [f"{section}.{name}={value}"])
        except vr.ConfigError as refusal:
            refusals.append(str(refusal))
    assert len(refusals) >= 2
    assert all(text.startswith(section) for text in refusals), refusals


@pytest.mark.parametrize("change", ["executor.blend_s", "=3", "duration_s.a=3", "a.b=[", "executor.b=1"])
def test_changes_are_checked(tmp_path: Path, change: str) -> None:
    with pytest.raises(vr.ConfigError):
        RunConfig.from_file(write(tmp_path, TWO), [change])
    assert changed({"a": {"b": 1}}, ["a.b=2", "a.c=[x, 1]", "d=null"]) == {
        "a": {"b": 2, "c": ["x", 1]},
        "d": None,
    }


def test_the_schema_knows_every_field(tmp_path: Path) -> None:
    assert main(["run", "--schema", str(tmp_path / "schema.json")]) == 0
    stored = json.loads((tmp_path / "schema.json").read_text())
    assert stored == json.loads(json.dumps(schema()))
    properties = stored["properties"]
    assert stored["additionalProperties"] is False
    assert properties["executor"]["properties"]["mode"]["enum"] == ["receding", "ensemble", "async", "rtc"]
    assert properties["executor"]["properties"]["blend_s"]["type"] == "number"
    assert properties["safety"]["properties"]["watchdog_s"]["default"] == 5.0
    for section, owner in properties.items():
        if owner.get("type") == "object":
            assert owner["additionalProperties"] is False
            for name, field in owner["properties"].items():
                assert {"type", "anyOf"} & set(field), f"{section}.{name}"
                assert field["description"]


@pytest.mark.parametrize(
    "word", ["mode", "interpolation", "merge", "on_starvation", "rtc_schedule", "delta_frame"]
)
def test_the_schema_names_the_words_that_a_config_takes(word: str) -> None:
    choices = section_fields("executor")[word].schema()["enum"]
    for choice in choices:
        vr.ControlConfig(**{word: choice})
    with pytest.raises(vr.ConfigError):
        vr.ControlConfig(**{word: "other"})


def urdf_limits(file_name: str) -> dict[str, dict[str, float]]:
    files = distribution("example-robot-data").files or []
    path = next(file.locate() for file in files if file.name == file_name)
    found = {}
    for joint in ElementTree.parse(str(path)).getroot().iter("joint"):
        limit = joint.find("limit")
        if limit is not None:
            found[str(joint.get("name"))] = {k: float(v) for k, v in limit.attrib.items()}
    return found


@pytest.mark.parametrize(
    ("name", "urdf"), [("panda", "panda.urdf"), ("ur5", "ur5_robot.urdf"), ("so101", "so101.urdf")]
)
def test_ready_configurations_keep_within_the_urdf(name: str, urdf: str) -> None:
    pytest.importorskip("pinocchio", reason="comes with example-robot-data")
    config, known = RunConfig.from_file(name), urdf_limits(urdf)
    limits = config.control.limits
    assert isinstance(limits, vr.JointLimits)
    assert config.robot.joint_names is not None
    for i, joint in enumerate(config.robot.joint_names):
        assert known[joint]["lower"] <= limits.min_position[i] <= known[joint]["lower"] + 1e-3
        assert known[joint]["upper"] - 1e-3 <= limits.max_position[i] <= known[joint]["upper"]
        assert 0.3 * known[joint]["velocity"] <= limits.max_velocity[i] <= known[joint]["velocity"]


def test_the_pandas_rates_are_the_published_ones() -> None:
    limits = RunConfig.from_file("panda").control.limits
    assert isinstance(limits, vr.JointLimits)
    np.testing.assert_array_equal(limits.max_velocity, PANDA_MAX_VELOCITY)
    np.testing.assert_array_equal(limits.max_acceleration, PANDA_MAX_ACCELERATION)
    np.testing.assert_array_equal(limits.max_jerk, PANDA_MAX_JERK)


@pytest.mark.parametrize("name", SHIPPED)
def test_ready_configurations_run(name: str, tmp_path: Path) -> None:
    """On a simulated arm, with a policy that asks for more than the arm can."""
    changes = ["realtime.lock_memory=false", "duration_s=0.2", f"policy.package={tmp_path}"]
    config = RunConfig.from_file(name, changes)
    limits = config.control.limits
    assert isinstance(limits, vr.JointLimits)
    rows = np.linspace(limits.min_position, limits.max_position, 20)
    report = vr.ControlLoop(config.make_robot(), lambda _: rows, config.control).run(config.duration_s)
    assert report.limit_violations == 0
    assert report.fault is None
    assert report.inference["chunks"] > 0


def test_the_command_runs_a_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    from exportable import OBSERVATION, TinyPolicy

    vr.export_policy(TinyPolicy(), tmp_path / "tiny", backends="native")
    shown = {name: np.asarray(value).tolist() for name, value in OBSERVATION.items()}
    text = TWO + "policy: {package: tiny}\nlogging: {report: out.json}\n"
    file = write(tmp_path, text + f"robot: {{features: {json.dumps(shown)}}}\n")
    code = main(["run", str(file), "--set", "safety.max_following_error=null", "--set", "executor.seed=3"])
    said = capsys.readouterr()
    report = json.loads((tmp_path / "out.json").read_text())
    assert code == 0, said.err
    assert report["limit_violations"] == 0
    assert report["config"]["executor"]["seed"] == 3
    assert report["inference"]["chunks"] > 0, report["inference"]["last_error"]
    assert "emitted violations" in said.out
    assert (
        main(["run", str(file), "--set", "robot.features=null"]) == 1
    )  # the policy never sees what it needs
    assert "failures" in capsys.readouterr().out


def test_the_command_checks_alone_and_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "ur5", "--check", "--set", "executor.blend_s=0.2"]) == 0
    shown: Any = json.loads(capsys.readouterr().out)
    assert shown["executor"]["blend_s"] == 0.2
    assert main(["run", "ur5"]) == 2
    assert capsys.readouterr().err == (
        "vla-rt run: policy.package: is missing: a folder, or policy.host for a server\n"
    )
    assert main(["run"]) == 2
    assert main(["run", "nowhere"]) == 2
    assert "is no file, and none of aloha, panda, so101, ur5" in capsys.readouterr().err
