"""Evaluation in simulated time, with the expert in the policy's place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
from vla_rt.metrics import integrated_squared_jerk, path_length, wilson_interval
from vla_rt.sim import InverseKinematics
from vla_rt.tasks import EvaluationConfig, ReachExpert, evaluate


@pytest.fixture(scope="module")
def expert() -> ReachExpert:
    return ReachExpert(InverseKinematics())


def test_the_expert_succeeds_through_executor_and_filter(expert: ReachExpert):
    """Chunks of 16 rows at 20 Hz, one every 100 ms and 50 ms late: at least 98 % of the goals of 40 s."""
    result = evaluate(
        lambda observation, seed: expert.plan(observation, 16, 0.05), EvaluationConfig(duration_s=40.0)
    )
    assert result.task.attempted >= 25
    assert result.task.success_rate >= 0.98
    assert result.limit_violations == 0
    assert result.tracking_rms < 0.01
    assert result.starved < 0.01
    assert 0.0 < result.seam["position"] < 1.0


def test_it_repeats_bit_for_bit(expert: ReachExpert):
    config = EvaluationConfig(duration_s=3.0, seed=4)
    results = [evaluate(lambda o, _: expert.plan(o, 16, 0.05), config).to_dict() for _ in range(2)]
    latencies = [result.pop("inference_ms") for result in results]
    assert results[0] == results[1]
    assert all(0 < latency["p50"] <= latency["max"] for latency in latencies)


def test_the_motion_is_measured_goal_by_goal(expert: ReachExpert):
    result = evaluate(lambda o, _: expert.plan(o, 16, 0.05), EvaluationConfig(goals=4, seed=2))
    assert (result.task.attempted, result.task.outcomes) == (4, [True] * 4)
    assert result.success_interval == wilson_interval(4, 4)
    assert result.duration_s == pytest.approx(sum(result.task.times_s), abs=0.02)
    assert 1.0 <= result.path_ratio < 1.2
    assert 0.15 < result.path_length_m < 0.8
    assert -4.0 < result.spectral_arc_length < -1.3
    assert result.squared_jerk == pytest.approx(
        integrated_squared_jerk(result.trace.command, 0.001) / result.duration_s
    )
    assert result.trace.tool.shape == (round(result.duration_s / 0.005 + 0.49), 3)
    assert path_length(result.trace.tool) == pytest.approx(4 * result.path_length_m, rel=0.01)


def test_wishes_that_break_limits_are_counted(expert: ReachExpert):
    def jumping(observation: dict[str, np.ndarray], seed: int) -> np.ndarray:
        rows = np.tile(observation["observation.state"], (16, 1))
        return rows + (2.0 if seed % 10 == 0 else 0.0)  # one chunk of ten, which is one second

    result = evaluate(jumping, EvaluationConfig(duration_s=6.0, seed=0, blend_s=0.0))
    assert 30.0 < result.violation_wishes_per_min < 600.0
    assert result.limit_violations == 0
    assert result.limited > 0.0


class _Still:
    """A policy that holds still, by the names of a policy and of a package."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def predict(self, observation: dict[str, np.ndarray], seed: int) -> np.ndarray:
        assert observation["observation.environment_state"].shape == (6,)
        self.seeds.append(seed)
        return np.tile(observation["observation.state"], (16, 1))


def test_standing_still_fails_every_goal():
    policy = _Still()
    result = evaluate(policy, EvaluationConfig(duration_s=9.0, seed=5))
    assert (result.task.attempted, result.task.reached) == (2, 0)
    assert policy.seeds == list(range(5, 95))
    assert result.to_dict()["task"]["success_rate"] == 0.0


def test_no_chunk_means_starved_and_still():
    result = evaluate(_Still(), EvaluationConfig(duration_s=0.5, delay_s=1.0))
    assert result.starved == 1.0
    assert result.tracking_rms < 1e-6


def test_rows_are_for_the_time_of_the_observation():
    """Four rows cover 150 ms from the observation: enough after 40 ms, too late after 200 ms."""

    def still(observation: dict[str, np.ndarray], _: int) -> np.ndarray:
        return np.tile(observation["observation.state"], (4, 1))

    early = evaluate(still, EvaluationConfig(duration_s=1.0, delay_s=0.04))
    late = evaluate(still, EvaluationConfig(duration_s=1.0, delay_s=0.2))
    assert early.starved < 0.06
    assert late.starved == 1.0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"duration_s": 0.0}, "duration_s"),
        ({"goals": 0}, "goals"),
        ({"delay_s": -1.0}, "delay_s"),
        ({"period_s": np.nan}, "period_s"),
    ],
)
def test_a_bad_configuration_is_refused(change: dict[str, float], field: str):
    with pytest.raises(vr.ConfigError, match=field):
        evaluate(_Still(), replace(EvaluationConfig(), **change))


def test_what_is_no_policy_is_refused():
    with pytest.raises(vr.ConfigError, match="policy"):
        evaluate(3)


def test_a_chunk_of_another_size_is_refused():
    with pytest.raises(vr.ConfigError, match="chunk"):
        evaluate(lambda o, _: np.zeros((16, 6)), EvaluationConfig(duration_s=0.2))
