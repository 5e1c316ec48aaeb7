"""Bad configuration is one clear error that names field, value and bound."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vla_rt as vr


def limits(joints: int = 2) -> vr.JointLimits:
    one = np.ones(joints)
    return vr.JointLimits(-2 * one, 2 * one, 2 * one, 10 * one, 5000 * one)


def test_the_defaults_are_valid_and_frozen() -> None:
    config = vr.ControlConfig()
    config.validate()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.period_s = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("period_s", 0, "period_s = 0"),
        ("period_s", math.nan, "period_s = nan"),
        ("period_s", -0.001, "period_s = -0.001"),
        ("period_s", 1e-6, "period_s = 1e-06"),
        ("period_s", 2, "period_s = 2"),
        ("period_s", "fast", "period_s = fast: must be a number"),
        ("period_s", None, "period_s = None: must be a number"),
        ("mode", "eager", 'mode = "eager": must be receding | ensemble | async | rtc'),
        ("mode", 3, "mode = 3"),
        ("execution_horizon", 0, "execution_horizon = 0"),
        ("execution_horizon", 2.5, "execution_horizon = 2.5: must be an integer"),
        ("execution_horizon", 2**40, "execution_horizon = 1099511627776"),
        ("interpolation", "spline", "interpolation"),
        ("merge", "max", "merge"),
        ("merge_weights", (0.3,), "merge_weights"),
        ("merge_weights", (0.3, math.nan), "merge_weights"),
        ("discrete_dims", (-1,), "discrete_dims"),
        ("on_starvation", "panic", "on_starvation"),
        ("temporal_ensemble_coeff", math.inf, "temporal_ensemble_coeff = inf"),
        ("blend_s", -0.1, "blend_s = -0.1"),
        ("chunk_period_s", 0, "chunk_period_s = 0"),
        ("chunk_period_s", math.nan, "chunk_period_s = nan"),
        ("limits", [1, 2], "limits = list: must be a JointLimits or None"),
        ("smoothing_s", -1, "smoothing_s = -1"),
        ("path_preserving", 1, "path_preserving = 1: must be True or False"),
        ("state_timeout_s", 0, "state_timeout_s = 0"),
        ("plan_timeout_s", -1, "plan_timeout_s = -1"),
        ("max_following_error", 0, "max_following_error = 0: must be > 0"),
        ("max_following_error", math.nan, "max_following_error = nan"),
        ("watchdog_s", 0, "watchdog_s = 0: must be > 0 and at most 1000000, or None"),
        ("watchdog_s", math.inf, "watchdog_s = inf"),
        ("inference_rate_hz", -10, "inference_rate_hz = -10"),
        ("inference_stop_timeout_s", math.nan, "inference_stop_timeout_s = nan"),
        ("realtime", "hard", 'realtime = "hard": must be best_effort | enforce'),
        ("priority", 0, "priority = 0"),
        ("priority", 100, "priority = 100"),
        ("cpu", -1, "cpu = -1"),
        ("spin_s", -1e-3, "spin_s = -0.001"),
        ("spin_s", math.nan, "spin_s = nan"),
        ("first_state_timeout_s", 0, "first_state_timeout_s = 0"),
        ("trace_s", -1, "trace_s = -1"),
    ],
)
def test_a_bad_value_is_named(field: str, value: Any, named: str) -> None:
    with pytest.raises(vr.ConfigError) as raised:
        vr.ControlConfig(**{field: value})
    assert named in str(raised.value)
    assert raised.value.bound
    assert isinstance(raised.value, ValueError)


def test_an_unknown_field_names_its_nearest_neighbour() -> None:
    with pytest.raises(vr.ConfigError, match="watchdog: no such field; did you mean watchdog_s"):
        vr.ControlConfig.from_dict({"watchdog": 3})
    with pytest.raises(vr.ConfigError, match=r"limits\.max_velocities: no such field.* limits\.max_velocity"):
        vr.ControlConfig.from_dict({"limits": {"max_velocities": [1]}})
    with pytest.raises(vr.ConfigError, match=r"limits\.min_position: is missing"):
        vr.ControlConfig.from_dict({"limits": {"max_velocity": [1.0]}})


def test_a_file_of_every_kind_is_read(tmp_path: Path) -> None:
    values = {
        "period_s": 0.002,
        "mode": "async",
        "merge_weights": [0.5, 0.5],
        "limits": {
            "min_position": [-1, -1],
            "max_position": [1, 1],
            "max_velocity": [1, 1],
            "max_acceleration": [1, 1],
            "max_jerk": [1, 1],
        },
    }
    file = tmp_path / "control.json"
    file.write_text(json.dumps(values))
    config = vr.ControlConfig.from_file(file)
    assert (config.period_s, config.mode, config.merge_weights) == (0.002, "async", (0.5, 0.5))
    assert config.limits is not None
    assert config.limits.num_joints == 2

    pytest.importorskip("yaml")
    file = tmp_path / "control.yaml"
    file.write_text("period_s: 0.002\nmode: async\n")
    assert vr.ControlConfig.from_file(file) == vr.ControlConfig(period_s=0.002, mode="async")


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("missing.json", None, "no such file"),
        ("broken.json", '{"period_s": ', "cannot be read"),
        ("list.json", "[1]", "must hold a mapping"),
        ("config.ini", "period_s = 1", "must end in"),
        ("typo.json", '{"periods_s": 1}', "did you mean period_s"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, name: str, text: str | None, named: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(vr.ConfigError, match=named):
        vr.ControlConfig.from_file(tmp_path / name)


def test_robot_limits_and_policy_must_fit_together() -> None:
    def policy(observation: dict[str, np.ndarray]) -> np.ndarray:
        return np.zeros((4, 2))

    with pytest.raises(vr.ConfigError, match="limits = None: must be given"):
        vr.ControlLoop(vr.robots.MailboxRobot(2), policy)
    with pytest.raises(vr.ConfigError, match="limits = 3 joints: must be the joints of the robot, 2"):
        vr.ControlLoop(vr.robots.MailboxRobot(2), policy, vr.ControlConfig(limits=limits(3)))
    with pytest.raises(vr.ConfigError, match="robot = str"):
        vr.ControlLoop("arm", policy)  # type: ignore[arg-type]
    with pytest.raises(vr.ConfigError, match="policy = int"):
        vr.ControlLoop(vr.robots.SimulatedRobot(limits(), np.zeros(2)), 3)
    with pytest.raises(vr.ConfigError, match="config = int"):
        vr.ControlLoop(vr.robots.SimulatedRobot(limits(), np.zeros(2)), policy, 3)  # type: ignore[arg-type]
    loop = vr.ControlLoop(vr.robots.SimulatedRobot(limits(), np.zeros(2)), policy)
    for duration in (0, -1, math.nan, math.inf):
        with pytest.raises(vr.ConfigError, match="duration_s"):
            loop.run(duration)


def test_a_position_outside_the_limits_is_named() -> None:
    robot = vr.robots.MailboxRobot(2)
    robot.post_state([0.0, 2.5])
    with pytest.raises(vr.ConfigError, match=r"position\[1\] = 2.5"):
        vr.ControlLoop(robot, lambda observation: np.zeros((4, 2)), vr.ControlConfig(limits=limits())).run(1)


def test_numbers_that_are_no_numbers_are_told_by_their_own_name(tmp_path: Path) -> None:
    with pytest.raises(vr.ConfigError, match=r"chunk_period_s = 1e-12"):
        vr.ControlConfig(chunk_period_s=1e-12)
    with pytest.raises(vr.ConfigError, match=r"discrete_dims = 1099511627776"):
        vr.ControlConfig(discrete_dims=(2**40,))
    with pytest.raises(vr.ConfigError, match=r"watchdog_s = inf: must be > 0 and at most 1000000, or None"):
        vr.ControlConfig(watchdog_s=float("inf"))
    with pytest.raises(vr.ConfigError, match="mapping"):
        vr.ControlConfig.from_dict(None)  # type: ignore[arg-type]
    assert vr.ControlConfig(execution_horizon=np.int64(4)).execution_horizon == 4  # type: ignore[arg-type]
    file = tmp_path / "config.json"
    file.write_text('{"seed": 1, "seed": 2}')
    with pytest.raises(vr.ConfigError, match="seed: occurs twice"):
        vr.ControlConfig.from_file(file)
    file.write_bytes(b'{"mode": "\xff"}')
    with pytest.raises(vr.ConfigError, match="cannot be read"):
        vr.ControlConfig.from_file(file)
    robot = vr.robots.SimulatedRobot(vr.robots.panda_limits(), [0, -0.3, 0, -2.2, 0, 2.0, 0.8])
    with pytest.raises(vr.ConfigError, match=r"period_s = 0\.01"):
        vr.ControlLoop(robot, lambda o: o, vr.ControlConfig(period_s=0.01))
    loop = vr.ControlLoop(robot, lambda o: o)
    with pytest.raises(vr.ConfigError, match="duration_s"):
        loop.run(None)  # type: ignore[arg-type]
    with pytest.raises(vr.ConfigError, match="path"):
        vr.load_policy(3)  # type: ignore[arg-type]
