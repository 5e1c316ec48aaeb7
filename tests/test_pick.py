"""The task `pick`: the cube is held by friction alone, the expert puts it on the goal."""

from __future__ import annotations

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
from vla_rt.sim.scenes import CUBE_HALF_SIZE
from vla_rt.tasks import (
    EvaluationConfig,
    PickConfig,
    PickScene,
    RecordingConfig,
    evaluate,
    gripper_limits,
    record_demonstrations,
)


def drive(scene: PickScene, seconds: float, until=lambda: False) -> None:
    """The expert moves the arm, one reference every 10 ms."""
    expert = scene.expert()
    expert.reset(scene.arm.position)
    for _ in range(round(seconds / 0.01)):
        expert.see(scene.show())
        expert.advance(0.01)
        scene.arm.command(expert.position - 0.005 * expert.velocity, expert.velocity)
        scene.arm.step(10)
        scene.look()
        if until():
            return


def test_the_expert_places_every_cube():
    scene = PickScene(seed=11)
    drive(scene, 60.0, lambda: scene.statistics.attempted == 8)
    assert scene.statistics.reached == scene.statistics.attempted == 8
    assert max(scene.statistics.times_s) < 8.0


def test_nothing_but_friction_holds_the_cube():
    """No weld, no equality with the cube; lifted by the fingers, fallen when they open or become smooth."""
    scene = PickScene(seed=1)
    model = scene.arm.model
    cube = model.body("cube").id
    assert cube not in model.body_weldid[np.arange(model.nbody) != cube]
    for i in range(model.neq):
        assert cube not in (model.eq_obj1id[i], model.eq_obj2id[i]) or model.eq_type[i] != 1
    drive(scene, 10.0, lambda: scene.cube[2] > 0.08)
    assert scene.cube[2] > 0.08
    assert scene.held
    hold = scene.arm.position.copy()
    scene.arm.command(np.append(hold[:7], 0.012))
    scene.arm.step(500)
    creep = abs(scene.cube[2] - scene.arm.tool[2])
    scene.arm.step(2000)
    assert abs(scene.cube[2] - scene.arm.tool[2]) - creep < 1e-3  # it does not creep
    for pad in ("gripper_left_pad", "gripper_right_pad", "cube"):
        model.geom(pad).friction[:] = 1e-4
    scene.arm.step(600)
    assert scene.cube[2] == pytest.approx(CUBE_HALF_SIZE, abs=0.02)


def test_scenes_depend_on_seed_and_number_alone():
    scenes = [PickScene(seed=s) for s in (5, 5, 6)]
    first = [scene.show()["observation.environment_state"][3:] for scene in scenes]
    np.testing.assert_array_equal(first[0], first[1])
    assert not np.allclose(first[0], first[2])
    scenes[0].arm.step(12_100)  # nobody moves: the trial times out
    assert scenes[0].look()
    assert (scenes[0].statistics.attempted, scenes[0].statistics.failures) == (1, {"timeout": 1})
    config = PickConfig()
    for scene in scenes:
        cube, goal = scene.cube, scene.arm.goal
        assert np.all((cube[:2] >= config.lower) & (cube[:2] <= config.upper))
        assert np.linalg.norm(cube[:2] - goal[:2]) >= config.min_distance


def test_a_cube_pushed_onto_the_goal_while_held_does_not_count():
    scene = PickScene(seed=2)
    drive(scene, 10.0, lambda: scene.held)
    data = scene.arm.data
    scene.arm.goal = [*scene.cube[:2], 0.0005]
    for _ in range(100):
        scene.arm.step(5)
        assert not scene.look() or scene.statistics.reached == 0
        if not scene.held:
            break
    assert data.ncon > 0


def test_the_experts_plans_succeed_through_executor_and_filter():
    scene = PickScene()
    expert = scene.expert()
    config = EvaluationConfig(goals=2, duration_s=30.0, seed=3, task=PickConfig(), replan_s=0.2)
    result = evaluate(lambda observation, seed: expert.plan(observation, 16, 0.05), config)
    assert result.task.outcomes == [True, True]
    assert result.limit_violations == 0


def test_demonstrations_hold_the_gripper():
    config = RecordingConfig.of("pick")
    demonstrations, statistics = record_demonstrations(
        RecordingConfig(episodes=1, goals_per_episode=2, noise=config.noise, task=config.task), progress=False
    )
    assert statistics.reached == 2
    columns = demonstrations.columns
    assert columns["action"].shape[1] == columns["observation.state"].shape[1] == 8
    fingers = columns["action"][:, 7]
    assert fingers.max() > 0.035
    assert fingers.min() < CUBE_HALF_SIZE - 0.005
    held = columns["observation.state"][fingers < CUBE_HALF_SIZE - 0.005, 7]
    assert np.median(held) == pytest.approx(CUBE_HALF_SIZE, abs=1e-3)  # the cube stops them


def test_the_gripper_is_a_joint_with_limits():
    limits = gripper_limits()
    assert limits.num_joints == 8
    assert (limits.min_position[7], limits.max_position[7]) == (0.0, 0.04)
    assert vr.robots.MujocoRobot(task="pick").limits.num_joints == 8


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lower": (0.6, -0.3)}, r"upper\[0\]"),
        ({"lower": (0.3, float("nan"))}, r"lower\[1\]"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"max_yaw": 1.0}, "max_yaw"),
        ({"min_distance": 3.0}, "min_distance"),
    ],
)
def test_a_bad_configuration_is_refused(change, field):
    with pytest.raises(vr.ConfigError, match=field):
        PickScene(PickConfig(**change))
