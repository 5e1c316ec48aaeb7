"""Microbenchmarks of the control tick, for regressions: `make bench`."""

import numpy as np
import pytest

import vla_rt as vr
from vla_rt import _core

pytest.importorskip("pytest_benchmark")

JOINTS = 7


def config() -> vr.ControlConfig:
    one = np.ones(JOINTS)
    limits = vr.JointLimits(-2.8 * one, 2.8 * one, 2.2 * one, 10 * one, 5000 * one)
    return vr.ControlConfig(mode="async", limits=limits, chunk_period_s=0.05, watchdog_s=None)


def rows() -> np.ndarray:
    t = 0.05 * np.arange(37)
    return np.repeat((0.3 * np.sin(0.8 * np.pi * t) ** 2)[:, None], JOINTS, axis=1)


def test_a_second_of_ticks(benchmark) -> None:
    core = config().to_core()
    result = benchmark(_core.benchmark_control_tick, core, rows())
    assert len(result["duration_ns"]) == 1050


def test_one_tick_from_python(benchmark) -> None:
    controller = vr.Controller(config().to_core())
    position = np.zeros(JOINTS)
    controller.reset(position)
    controller.push(rows()[:16], 0.0)
    command = benchmark(controller.tick, 0.1, position)
    assert np.isfinite(command.position).all()


def test_a_push(benchmark) -> None:
    controller = vr.Controller(config().to_core())
    controller.reset(np.zeros(JOINTS))
    chunk = rows()[:16]
    assert benchmark(controller.push, chunk, 0.0) == "accepted"
