"""Actions as differences to what was measured when they were asked for."""

from __future__ import annotations

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("pyarrow")
from vla_rt.datasets import LeRobotDataset, RelativeDataset


class Config:
    """As much of a policy's as a dataset asks for."""

    observation = ()
    horizon = 3
    period_s = 0.1


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    features = {name: {"dtype": "float32", "shape": (2,)} for name in ("observation.state", "action")}
    features["observation.goal"] = {"dtype": "float32", "shape": (3,)}
    dataset = LeRobotDataset.create(tmp_path_factory.mktemp("relative") / "data", 10.0, features)
    rng = np.random.default_rng(0)
    for _ in range(2):
        for step in range(4):
            state = np.array([step, -2.0 * step])
            frame = {
                "observation.state": state,
                "action": state + 0.5,
                "observation.goal": rng.normal(size=3),
            }
            dataset.add_frame(frame, task="move")
        dataset.save_episode()
    return dataset


def test_the_rows_of_a_window_are_relative_to_its_frame(recorded):
    view = RelativeDataset(recorded, "observation.state").for_policy(Config())
    expected = [[0.5, 0.5], [1.5, -1.5], [2.5, -3.5]]
    np.testing.assert_allclose(view.batch([0, 5])["action"], [expected, expected])
    np.testing.assert_allclose(view[4]["action"], expected)
    np.testing.assert_array_equal(view[2]["action_is_pad"], [False, False, True])
    assert len(view) == 8


def test_statistics_are_those_of_the_differences(recorded):
    view = RelativeDataset(recorded, "observation.state").for_policy(Config())
    rows = [view[i]["action"][~view[i]["action_is_pad"]] for i in range(len(view))]
    rows = np.concatenate(rows).astype(np.float64)
    for name, expected in (("mean", rows.mean(0)), ("min", rows.min(0)), ("max", rows.max(0))):
        np.testing.assert_allclose(view.stats["action"][name], expected)
    assert view.stats["observation.state"] == recorded.stats["observation.state"]


@pytest.mark.parametrize(
    ("feature", "message"), [("observation.joints", "relative_to"), ("observation.goal", "shape")]
)
def test_a_feature_that_does_not_fit_is_named(recorded, feature, message):
    with pytest.raises(vr.ConfigError, match=message):
        RelativeDataset(recorded, feature)


def test_an_evaluation_adds_what_was_taken_away():
    pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
    from vla_rt.sim import InverseKinematics
    from vla_rt.tasks import EvaluationConfig, ReachExpert, evaluate

    expert = ReachExpert(InverseKinematics())

    def absolute(observation, seed):
        return expert.plan(observation, 16, 0.05)

    def relative(observation, seed):
        return absolute(observation, seed) - observation["observation.state"]

    results = [
        evaluate(policy, EvaluationConfig(duration_s=2.0, seed=3, relative_to=name))
        for policy, name in ((absolute, None), (relative, "observation.state"))
    ]
    np.testing.assert_allclose(results[0].trace.command, results[1].trace.command, atol=1e-9)
    with pytest.raises(vr.ConfigError, match="relative_to"):
        evaluate(absolute, EvaluationConfig(duration_s=1.0, relative_to="observation.pose"))
    with pytest.raises(vr.ConfigError, match=r"environment_state\.shape"):
        evaluate(absolute, EvaluationConfig(duration_s=1.0, relative_to="observation.environment_state"))
