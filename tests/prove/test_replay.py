"""A whole minute at 1 kHz, replayed; `tests` replays shorter ones in every mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import vla_rt as vr

SECONDS = 60.0


def test_a_run_of_a_minute_replays_bit_by_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def policy(observation: dict[str, np.ndarray]) -> np.ndarray:
        """Towards a goal that changes every second, with noise."""
        goal = 1.5 * np.sin(int(vr.steady_now_ns() / 1e9) * np.arange(1, 8))
        way = np.linspace(0, 0.5, 16)[:, None]
        return observation["observation.state"] * (1 - way) + goal * way + rng.normal(0, 0.003, (16, 7))

    one = np.ones(7)
    limits = vr.JointLimits(-2 * one, 2 * one, 1.5 * one, 8 * one, 500 * one)
    config = vr.ControlConfig(
        mode="async", chunk_period_s=0.05, inference_rate_hz=20, record=tmp_path / "run.flight"
    )
    report = vr.ControlLoop(vr.robots.SimulatedRobot(limits, np.zeros(7)), policy, config).run(SECONDS)
    assert report.limit_violations == 0
    assert report.unrecorded == 0
    assert report.ticks + report.deadline_misses > 1000 * SECONDS
    replayed = vr.FlightRecording(tmp_path / "run.flight").replay()
    assert replayed["difference"] is None
    assert replayed["gaps"] == replayed["missing_chunks"] == 0
    assert replayed["ticks"] == replayed["executor_ticks"] == replayed["enforcer_ticks"] == report.ticks
