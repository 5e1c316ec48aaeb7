"""A control loop follows its policy and tells everything about it."""

import ctypes
import json
import threading
import time
from typing import Any

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
    seam = values["seam"]
    assert seam["count"] > 5
    for name in ("position", "velocity", "acceleration"):
        assert 0 <= seam["p50"][name] <= seam["p99"][name] <= seam[name]
        assert report.seams[name].shape == (seam["count"], N)
        assert report.seams[name].max() == seam[name]
    inference, executor = values["inference"], values["executor"]
    assert executor["accepted"] == inference["chunks"]
    assert executor["splices"] == seam["count"]
    assert executor["starved_s"] < 0.2
    assert len(report.handovers["time_s"]) == inference["chunks"]
    assert report.handovers["delay_s"].max() == pytest.approx(1e-3 * inference["delay_ms"]["max"])
    assert report.handovers["dropped_rows"].sum() == executor["dropped_rows"]
    assert inference["delay_ms"]["p50"] >= inference["latency_ms"]["p50"]
    assert inference["remaining_plan_ms"]["min"] <= inference["remaining_plan_ms"]["p50"]
    assert 0 < inference["expected_delay_ms"]["p50"] < 100
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
    assert set(np.diff(trace["chunk_sequence"].astype(int))) == {0, 1}
    assert report.seams["time_s"][0] >= trace["time_s"][0]
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


def test_a_policy_that_never_lets_go_of_the_gil_does_not_hold_up_the_tick() -> None:
    libc = ctypes.PyDLL(None)  # calls without releasing the GIL
    held: list[tuple[float, float]] = []

    def hold(call: int) -> None:
        if call > 2:
            begin = time.monotonic()
            libc.usleep(150_000)
            held.append((begin, time.monotonic()))

    report = run(Sine(hold), 2.0, inference_rate_hz=None, execution_horizon=8, watchdog_s=1.0)
    check_safe(report)
    assert report.fault is None
    assert report.inference["latency_ms"]["max"] > 149
    assert report.inference["chunks"] >= 4
    assert report.executor["starved_s"] < 0.2
    # The tick would stand still if it ever waited for Python: it goes on while the lock is held.
    ticks = report.trace["time_s"]
    during = [((begin <= ticks) & (ticks < end)).sum() / (1e3 * (end - begin)) for begin, end in held]
    assert len(during) >= 3
    assert np.median(during) > 0.5
    assert min(during) > 0.1


def test_a_python_policy_is_shown_what_its_chunk_continues() -> None:
    class Continuing:
        period_s = 0.05

        def __init__(self) -> None:
            self.begin, self.shown = time.monotonic(), list[Any]()

        def __call__(self, observation: dict[str, Any], guidance: Any = None) -> np.ndarray:
            self.shown.append(guidance)
            return sine(time.monotonic() - self.begin)

    policy = Continuing()
    options = {"inference_rate_hz": None, "execution_horizon": 4, "rtc_schedule": "linear"}
    report = run(policy, 1.0, mode="rtc", rtc_max_weight=3.0, **options)
    check_safe(report)
    assert policy.shown[0] is None
    assert len(policy.shown) >= 4
    for guidance in policy.shown[1:]:
        assert isinstance(guidance, vr.rtc.Guidance)
        assert guidance.previous.shape[1] == N
        assert 4 <= len(guidance.previous) <= 16
        assert guidance.execution_horizon == 12
        assert (guidance.max_weight, guidance.schedule) == (3.0, "linear")
    policy.shown.clear()
    run(policy, 0.5, **options)
    assert set(policy.shown) == {None}


def test_relative_actions_are_anchored_to_the_state_that_was_seen() -> None:
    arm = vr.robots.SimulatedRobot(limits(), np.full(N, 0.4))

    def stay(observation: dict[str, Any]) -> np.ndarray:
        return np.zeros((16, N))

    config = vr.ControlConfig(mode="async", lock_memory=False, relative_to="observation.state")
    report = vr.ControlLoop(arm, stay, config).run(0.5)
    check_safe(report)
    assert np.abs(report.trace["command_position"] - 0.4).max() < 1e-3
    with pytest.raises(vr.ConfigError, match="relative_dims"):
        vr.ControlLoop(arm, stay, vr.ControlConfig(relative_to="observation.state", relative_dims=(1, 1)))


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
