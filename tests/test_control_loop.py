"""A control loop follows its policy and tells everything about it."""

import json
import threading

import numpy as np
import pytest

import vla_rt as vr
from seven_joints import N, Sine, check_safe, limits, robot, run, sine


def test_a_run_follows_its_policy_and_tells_everything() -> None:
    policy = Sine()
    report = run(policy, 1.5)
    check_safe(report)
    values = json.loads(json.dumps(report.to_dict()))
    assert values["ticks"] >= 300
    assert values["fault"] is None
    assert values["fault_text"] is None
    assert not values["interrupted"]
    assert sum(values["status_counts"].values()) == values["ticks"]
    assert values["inference"]["chunks"] >= 10
    assert values["inference"]["failures"] == values["inference"]["refused"] == 0
    assert values["inference"]["last_error"] is None
    assert set(values["inference"]["latency_ms"]) == {"p50", "p99", "p999", "max"}
    assert set(values["wakeup_us"]) == set(values["compute_us"]) == {"p50", "p99", "p999", "max"}
    assert values["seam"]["count"] > 5
    assert 0 < values["tracking_rms"] < 0.05
    assert 0 <= values["limiting_rms"] < 0.05
    assert set(values["worst_limit_ratio"]) == {"velocity", "acceleration", "jerk"}
    assert isinstance(values["realtime"]["fifo"], bool)
    assert policy.threads.isdisjoint({threading.get_ident()})

    trace = report.trace
    rows = len(trace["time_s"])
    assert rows + report.dropped_records == report.ticks
    for name in ("measured_position", "measured_velocity", "command_position", "command_velocity"):
        assert trace[name].shape == (rows, N)
    assert np.all(np.diff(trace["time_s"]) > 0)
    assert trace["chunk_sequence"][-1] == values["inference"]["chunks"]
    # The commands are one motion: each is its predecessor plus nominal time at its velocity.
    step = np.abs(np.diff(trace["command_position"], axis=0)).max()
    assert step <= 2.2e-3 * (1 + 1e-6)


def test_the_plan_decides_how_often_the_policy_is_asked() -> None:
    policy = Sine()
    report = run(policy, 2.0, mode="receding", execution_horizon=8, inference_rate_hz=None)
    check_safe(report)
    # Eight rows at 20 Hz: a chunk each 0.4 s, less the lead for its latency.
    assert 4 <= report.inference["chunks"] <= 9
    assert report.status_counts["starved"] < 200


def test_lists_and_float32_are_chunks_too() -> None:
    kinds = {1: sine(0).tolist(), 2: sine(0).astype(np.float32), 3: np.asfortranarray(sine(0))}
    report = run(Sine(lambda call: kinds.get(call)), 0.6)
    assert report.inference["failures"] == report.inference["refused"] == 0


def test_request_stop_ends_the_run_early() -> None:
    loop = vr.ControlLoop(robot(), Sine(), vr.ControlConfig(mode="async", lock_memory=False))
    timer = threading.Timer(0.3, loop.request_stop)
    timer.start()
    report = loop.run(60.0)
    check_safe(report)
    assert report.interrupted
    assert report.duration_s < 10


def test_a_driver_that_never_posts_is_a_plain_error() -> None:
    loop = vr.ControlLoop(
        vr.robots.MailboxRobot(N), Sine(), vr.ControlConfig(limits=limits(), first_state_timeout_s=0.05)
    )
    with pytest.raises(vr.VlaRtError, match=r"robot = no state: must post a first state within 0.05 s"):
        loop.run(1.0)


def test_a_subclassed_robot_is_started_and_stopped() -> None:
    class Arm(vr.robots.MailboxRobot):
        def __init__(self) -> None:
            super().__init__(N)
            self.log: list[str] = []

        def start(self) -> None:
            self.log.append("start")
            self.post_state(np.zeros(N))

        def stop(self) -> None:
            self.log.append("stop")

    arm = Arm()
    config = vr.ControlConfig(limits=limits(), lock_memory=False, max_following_error=None)
    vr.ControlLoop(arm, Sine(), config).run(0.05)
    assert arm.log == ["start", "stop"]
