"""A policy package in the control loop: sampled in C++, chunk i with the noise of (seed, i)."""

from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

from exportable import OBSERVATION, TinyPolicy
from seven_joints import check_safe


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vr.export_policy(TinyPolicy(), tmp_path_factory.mktemp("run") / "tiny")


def robot(joints: int = 2) -> vr.robots.SimulatedRobot:
    one = np.ones(joints)
    limits = vr.JointLimits(-20 * one, 20 * one, 200 * one, 1e4 * one, 1e7 * one)
    arm = vr.robots.SimulatedRobot(limits, 10 * one)
    for name, value in OBSERVATION.items():
        arm.post_feature(name, np.asarray(value))
    return arm


def test_the_loop_follows_what_the_package_samples(package: Path) -> None:
    config = vr.ControlConfig(lock_memory=False, seed=5, inference_rate_hz=2.0, max_following_error=None)
    report = vr.ControlLoop(robot(), vr.load_policy(package), config).run(1.2)
    check_safe(report)
    assert report.fault is None
    assert report.inference["failures"] == report.inference["refused"] == 0
    assert report.inference["chunks"] >= 2
    # Chunk i is that of (seed, i); it ends before the next one comes, and its last row is held.
    alone = vr.load_policy(package)
    for i in range(2):
        last = alone.sample(OBSERVATION, noise=vr.samplers.noise(5, i, 0, (4, 2)))[-1]
        held = report.trace["target"][report.trace["chunk_sequence"] == i + 1][-1]
        np.testing.assert_allclose(held, last, rtol=0, atol=1e-5)


def test_a_package_for_other_joints_is_refused_chunk_by_chunk(package: Path) -> None:
    report = vr.ControlLoop(robot(3), vr.load_policy(package), vr.ControlConfig(lock_memory=False)).run(0.3)
    check_safe(report)
    assert report.inference["chunks"] == 0
    assert "action_dim" in report.inference["last_error"]
