"""A native package inside the control tick: the chunks of `sample`, refusals, whole runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr

torch = pytest.importorskip("torch")

from seven_joints import N, check_safe, limits, robot  # noqa: E402
from vla_rt.policies import FlowMatchingConfig, FlowMatchingPolicy  # noqa: E402

GOAL = np.array([0.5, -1.0, 0.25])


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    observation = (("observation.state", (N,), "float32"), ("observation.goal", (3,), "float32"))
    config = FlowMatchingConfig(
        observation=observation,
        obs_dim=32,
        encoder_hidden=(16,),
        hidden=32,
        horizon=8,
        execution_horizon=4,
        period_s=0.05,
    )
    return vr.export_policy(
        FlowMatchingPolicy(config), tmp_path_factory.mktemp("inline") / "flow", ["native"]
    )


def controller(**changes: object) -> vr.Controller:
    settings = {
        "mode": "async",
        "chunk_period_s": 0.05,
        "execution_horizon": 4,
        "limits": limits(),
        **changes,
    }
    made = vr.Controller(vr.ControlConfig(**settings).to_core())  # type: ignore[arg-type]
    made.reset(np.zeros(N))
    return made


def test_chunks_are_those_of_sample(package: Path) -> None:
    target = controller()
    policy = vr.InlinePolicy(vr.load_policy(package), target, budget_s=1.0, seed=5)
    alone = vr.load_policy(package)
    position = np.linspace(-0.1, 0.2, N)
    assert not policy.advance(0.001, position)  # the goal has not been posted
    policy.post({"observation.goal": GOAL})
    assert policy.advance(0.002, position)
    rows = alone.sample(
        {"observation.state": position, "observation.goal": GOAL},
        noise=vr.samplers.noise(5, 0, 0, (8, N)),
    )
    stats = policy.stats()
    assert stats["chunks"] == 1
    assert stats["failures"] == stats["refused"] == 0
    assert stats["in_tick"]["num_steps"] == 10
    # The executor holds the last row when the plan is over.
    config = vr.ControlConfig(limits=limits(), chunk_period_s=0.05, watchdog_s=None, max_following_error=None)
    free = vr.Controller(config.to_core())
    free.reset(np.zeros(N))
    again = vr.InlinePolicy(vr.load_policy(package), free, budget_s=1.0, seed=5, rate_hz=0.1)
    again.post({"observation.goal": GOAL})
    assert again.advance(0.002, position)
    for tick in range(3, 6000):
        command = free.tick(0.001 * tick, position)
    np.testing.assert_allclose(command.position, np.clip(rows[-1], -2.8, 2.8), rtol=0, atol=1e-6)


def test_a_policy_has_one_place(package: Path) -> None:
    policy = vr.load_policy(package)
    inline = vr.InlinePolicy(policy, controller(), budget_s=1.0)
    with pytest.raises(vr.VlaRtError, match="inside a control tick"):
        policy.sample({"observation.state": np.zeros(N), "observation.goal": GOAL})
    with pytest.raises(vr.VlaRtError, match="another control tick"):
        vr.InlinePolicy(policy, controller(), budget_s=1.0)
    with pytest.raises(vr.ConfigError, match=r"observation\.goal"):
        inline.post({})
    with pytest.raises(vr.ConfigError, match=r"observation\.goal"):
        inline.post({"observation.goal": np.zeros(4)})
    del inline
    policy.sample({"observation.state": np.zeros(N), "observation.goal": GOAL})


def test_refusals(package: Path) -> None:
    with pytest.raises(vr.ConfigError, match=r"= 1e-07: must be at least .* s, the longest one"):
        vr.InlinePolicy(vr.load_policy(package), controller(), budget_s=1e-7)
    with pytest.raises(vr.ConfigError, match="mode = rtc"):
        vr.InlinePolicy(vr.load_policy(package), controller(mode="rtc"), budget_s=0.1)
    with pytest.raises(vr.ConfigError, match="chunk_period_s"):
        vr.InlinePolicy(vr.load_policy(package), controller(chunk_period_s=0.1), budget_s=0.1)
    for bad in (0.0, -0.1, 2.0, np.nan):
        with pytest.raises(vr.ConfigError, match="inline_budget_s"):
            vr.InlinePolicy(vr.load_policy(package), controller(), budget_s=bad)
    for bad in (0.0, 0.0009, np.nan, "0.1"):
        with pytest.raises(vr.ConfigError, match="inline_budget_s"):
            vr.ControlConfig(inline_budget_s=bad)  # type: ignore[arg-type]
    config = vr.ControlConfig(inline_budget_s=0.0005, lock_memory=False)
    with pytest.raises(vr.ConfigError, match="policy package"):
        vr.ControlLoop(robot(), lambda observation: np.zeros((8, N)), config)


def test_a_run_with_the_policy_in_the_tick(package: Path) -> None:
    config = vr.ControlConfig(
        inline_budget_s=0.0007, mode="async", lock_memory=False, seed=2, max_following_error=None
    )
    arm = robot()
    arm.post_feature("observation.goal", GOAL)
    report = vr.ControlLoop(arm, vr.load_policy(package), config).run(1.0)
    check_safe(report)
    assert report.fault is None
    inference = report.inference
    assert inference["chunks"] >= 4
    assert inference["failures"] == inference["refused"] == 0
    assert inference["in_tick"]["budget_us"] == pytest.approx(700)
    assert max(inference["in_tick"][f"{piece}_us"] for piece in ("encode", "step", "hand_over")) <= 700
    assert len(report.handovers["time_s"]) == inference["chunks"]
    assert report.executor["accepted"] == inference["chunks"]
    threaded = vr.ControlLoop(robot(), lambda o: np.zeros((8, N)), vr.ControlConfig(lock_memory=False))
    assert threaded.run(0.05).inference["in_tick"] is None


def test_a_robot_without_the_features_is_told_at_the_start(package: Path) -> None:
    config = vr.ControlConfig(inline_budget_s=0.0007, lock_memory=False)
    loop = vr.ControlLoop(robot(), vr.load_policy(package), config)
    with pytest.raises(vr.ConfigError, match=r"observation\.goal"):
        loop.run(0.1)


def test_a_recorded_run_replays_bit_by_bit(package: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.flight"
    config = vr.ControlConfig(
        inline_budget_s=0.0007, mode="async", lock_memory=False, max_following_error=None, record=path
    )
    arm = robot()
    arm.post_feature("observation.goal", GOAL)
    report = vr.ControlLoop(arm, vr.load_policy(package), config).run(0.5)
    recording = vr.FlightRecording(path)
    assert len(recording.chunks()) == report.inference["chunks"] >= 1
    replayed = recording.replay()
    assert replayed["difference"] is None
    assert report.unrecorded == 0
    assert replayed["executor_ticks"] == replayed["enforcer_ticks"] == report.ticks
