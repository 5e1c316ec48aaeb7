"""The task `blocks`: which block was touched, what is seen, what is said."""

from __future__ import annotations

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
from vla_rt.tasks import BlocksConfig, BlocksScene, EvaluationConfig, evaluate


def drive(scene: BlocksScene, trials: int) -> None:
    expert = scene.expert()
    expert.reset(scene.arm.position)
    for _ in range(20_000):
        expert.see(scene.show())
        expert.advance(0.01)
        scene.arm.command(expert.position - 0.005 * expert.velocity, expert.velocity)
        scene.arm.step(10)
        if scene.look() and scene.statistics.attempted == trials:
            return


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    try:
        return BlocksScene(seed=0).observe()["observation.image"]
    except vr.ConfigError as cause:
        pytest.skip(f"nothing here can render: {cause}")


def test_the_expert_touches_the_block_that_is_named():
    scene = BlocksScene(seed=4)
    drive(scene, 8)
    assert scene.statistics.reached == scene.statistics.attempted == 8


def test_a_trial_goes_on_for_the_dwell_after_the_first_touch():
    at_once, later = BlocksScene(seed=4), BlocksScene(BlocksConfig(dwell_s=0.3), seed=4)
    for scene in (at_once, later):
        drive(scene, 1)
    assert later.statistics.times_s == pytest.approx(at_once.statistics.times_s, abs=1e-9)
    assert later.shown[1][0] - at_once.shown[1][0] == pytest.approx(0.3, abs=0.011)
    assert later.statistics.reached == 1


def test_who_listens_to_a_false_instruction_fails():
    """The expert does what is said; what is judged is another block."""
    scene = BlocksScene(BlocksConfig(mislead=True), seed=4)
    target = type(scene).target

    class Said(BlocksScene):
        def show(self):
            said = next(color for color in self.config.colors if color in self.instruction)
            assert said != target.fget(self)
            place = {**super().show()}
            place["observation.environment_state"][:3] = self.block(said)
            return place

    scene = Said(BlocksConfig(mislead=True), seed=4)
    drive(scene, 4)
    assert scene.statistics.reached == 0
    assert scene.statistics.failures == {"another block": 4}


def test_instructions_name_the_target_in_several_ways():
    scene = BlocksScene(seed=0)
    said = set()
    for seed in range(30):
        scene.reset(seed=seed)
        assert scene.target in scene.instruction
        said.add(scene.instruction)
    assert len(said) > 8
    places = np.array([scene.block(color)[:2] for color in scene.config.colors])
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(4)
    assert gaps.min() >= scene.config.min_distance


def test_the_picture_shows_every_colour_where_its_block_is(picture):
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8
    scene = BlocksScene(seed=0)
    pixels = picture.astype(int)
    red, green, blue = (pixels[..., i] for i in range(3))
    shown = {
        "red": (red > 90) & (green < 60) & (blue < 60),
        "green": (green > 70) & (red < 60) & (blue < 70),
        "blue": (blue > 90) & (red < 60) & (green < 80),
        "yellow": (red > 110) & (green > 90) & (blue < 60),
    }
    columns = {}
    for color, mask in shown.items():
        assert mask.sum() >= 8, color
        columns[color] = np.nonzero(mask)[1].mean()
    order = sorted(shown, key=lambda color: scene.block(color)[1])
    assert sorted(columns, key=columns.get) == order  # the camera looks at the robot: y to the right


def test_policies_get_picture_joints_and_words(picture):
    seen = []

    def still(observation, seed):
        seen.append(observation)
        return np.tile(observation["observation.state"], (16, 1))

    words = vr.datasets.InstructionVocabulary.of(["touch go to tap the red green blue yellow block one"], 8)
    config = EvaluationConfig(duration_s=0.3, task=BlocksConfig())
    result = evaluate(still, config, words=words.encode)
    assert result.limit_violations == 0
    assert set(seen[0]) == {"observation.image", "observation.state", "instruction"}
    assert seen[0]["instruction"].shape == (8,)
    assert (seen[0]["instruction"] != 1).all()  # every word is known


def test_the_robot_shows_pictures_of_its_own_thread(picture):
    words = vr.datasets.InstructionVocabulary.of(["touch the red block"], 8)
    robot = vr.robots.MujocoRobot(task="blocks", words=words.encode)
    shapes = []

    def policy(observation):
        shapes.append({name: value.shape for name, value in observation.items()})
        return np.tile(observation["observation.state"], (16, 1))

    config = vr.ControlConfig(mode="async", inference_rate_hz=10.0, chunk_period_s=0.05, lock_memory=False)
    report = vr.ControlLoop(robot, policy, config).run(0.5)
    assert report.limit_violations == 0
    assert report.inference["failures"] == 0, report.inference["last_error"]
    expected = {"observation.state": (7,), "observation.image": (96, 96, 3), "instruction": (8,)}
    assert expected.items() <= shapes[-1].items()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colors": ("red",)}, "colors"),
        ({"colors": ("red", "beige")}, r"colors\[1\]"),
        ({"colors": ("red", "red")}, r"colors\[1\]"),
        ({"min_distance": 0.01}, "min_distance"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"dwell_s": 6.0}, "dwell_s"),
        ({"lower": (0.38, 0.3)}, r"upper\[1\]"),
        ({"image_size": 3}, "image_size"),
    ],
)
def test_a_bad_configuration_is_refused(change, field):
    with pytest.raises(vr.ConfigError, match=field):
        BlocksScene(BlocksConfig(**change))
