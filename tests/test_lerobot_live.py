"""Policies that look back in a control loop: imported packages, and LeRobot's objects (stand-ins here)."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lerobot_checkpoints as own
import vla_rt as vr
from seven_joints import check_safe
from vla_rt.integrations import lerobot

JOINTS = 4


def robot() -> vr.robots.SimulatedRobot:
    one = np.ones(JOINTS)
    arm = vr.robots.SimulatedRobot(vr.JointLimits(-9 * one, 9 * one, 5 * one, 50 * one, 5e3 * one), 0 * one)
    arm.post_feature("observation.images.top", np.full((4, 6, 3), 255, np.uint8))
    return arm


def config(**changes: Any) -> vr.ControlConfig:
    known = {"lock_memory": False, "max_following_error": None, "chunk_period_s": 0.02}
    return vr.ControlConfig(**{**known, **changes})


class Act:
    """As LeRobot's ACT: normalised (1, T, D) for a batch of one, no memory."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(
            n_obs_steps=1, n_action_steps=3, image_features={"observation.images.top": 0}
        )
        self.seen: list[dict[str, Any]] = []

    def predict_action_chunk(self, batch: dict[str, Any]) -> Tensor:
        self.seen.append(batch)
        return torch.linspace(0, 1, 5)[None, :, None].expand(1, 5, JOINTS)


class Diffusion:
    """As LeRobot's diffusion policy: observations in queues that only `select_action` fills."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(
            n_obs_steps=2, n_action_steps=4, image_features={"observation.images.top": 0}
        )
        self.stacks: list[dict[str, Tensor]] = []
        self.reset()

    def reset(self) -> None:
        names = ("observation.state", "observation.images")
        self._queues = {name: deque(maxlen=2) for name in names} | {"action": deque(maxlen=4)}

    def predict_action_chunk(self, batch: dict[str, Any]) -> Tensor:
        assert not any(
            name in self._queues and not self._queues[name] for name in batch
        )  # LeRobot stacks them
        stack = {k: torch.stack(list(q), dim=1) for k, q in self._queues.items() if k != "action"}
        self.stacks.append(stack)
        now = stack["observation.state"][:, -1]
        return now[:, None, :] + torch.linspace(0, 0.3, 4)[None, :, None]


class Stepping:
    """Only `select_action`, a row at a time."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(n_action_steps=6)
        self.rows = 0

    def reset(self) -> None:
        self.rows = 0

    def select_action(self, batch: dict[str, Any]) -> Tensor:
        self.rows += 1
        return batch["observation.state"] * 0 + self.rows


def test_a_chunk_policy_acts_through_its_processors() -> None:
    def before(frame: dict[str, Any]) -> dict[str, Any]:
        assert frame["task"] == "fold"
        assert frame["observation.images.top"].shape == (3, 4, 6)
        assert float(frame["observation.images.top"].max()) == 1.0
        return {k: v[None] + 1 if isinstance(v, Tensor) else v for k, v in frame.items()}

    policy = Act()
    live = lerobot.LivePolicy(policy, before, lambda row: 2 * row + 1, task="fold", fps=50)
    report = vr.ControlLoop(robot(), live, config(chunk_period_s=None)).run(0.3)
    check_safe(report)
    assert report.inference["chunks"] > 0, report.inference["last_error"]
    assert live.period_s == 0.02
    assert live.execution_horizon == 3
    assert np.all(abs(report.trace["target"][-1] - 3.0) < 0.2)  # the last row of every chunk
    assert policy.seen[0]["observation.state"].shape == (1, JOINTS)
    assert float(policy.seen[0]["observation.state"].min()) == 1.0


@pytest.mark.parametrize("is_processed", [False, True])
def test_queues_are_filled_with_the_past(is_processed: bool) -> None:
    def before(frame: dict[str, Any]) -> dict[str, Any]:
        return {"action": None, **{k: v[None] for k, v in frame.items()}}  # as LeRobot's pipelines do

    policy = Diffusion()
    live = lerobot.LivePolicy(policy, before) if is_processed else policy
    report = vr.ControlLoop(robot(), live, config()).run(0.6)
    check_safe(report)
    assert report.inference["failures"] == 0, report.inference["last_error"]
    assert len(policy.stacks) >= 3
    states = [stack["observation.state"][0, :, 0].numpy() for stack in policy.stacks]
    assert policy.stacks[0]["observation.images"].shape == (1, 2, 1, 3, 4, 6)
    assert states[0][0] == states[0][1]
    assert any(now > before for before, now in states[1:])  # the arm moves: the past is behind the present


def test_rows_are_asked_one_by_one() -> None:
    live = lerobot.LivePolicy(Stepping())
    chunk = live({"observation.state": np.zeros(JOINTS, np.float32)})
    np.testing.assert_array_equal(chunk, np.arange(1, 7)[:, None] * np.ones(JOINTS))
    np.testing.assert_array_equal(live({"observation.state": np.zeros(JOINTS, np.float32)}), chunk)


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(vr.ConfigError, match="predict_action_chunk"):
        lerobot.LivePolicy(object())
    with pytest.raises(vr.ConfigError, match="fps"):
        lerobot.LivePolicy(Act(), fps=0)
    bad = SimpleNamespace(predict_action_chunk=lambda batch: torch.zeros(2, 3))
    with pytest.raises(vr.ModelError, match=r"must be \(1, T, D\)"):
        lerobot.LivePolicy(bad)({"observation.state": np.zeros(2, np.float32)})


def test_an_imported_diffusion_policy_runs_with_its_past(tmp_path: Path) -> None:
    state = {"type": "STATE", "shape": [JOINTS]}
    inputs = {"observation.state": state, "observation.environment_state": own.ENV}
    fields = {**own.DIFFUSION, "n_obs_steps": 3, "num_inference_steps": 3}
    checkpoint = own.write(tmp_path / "checkpoint", fields, inputs)
    package = lerobot.import_checkpoint(checkpoint, tmp_path / "package", "native", fps=50)
    arm = robot()
    arm.post_feature("observation.environment_state", np.zeros(3))
    report = vr.ControlLoop(arm, vr.load_policy(package), config(chunk_period_s=None)).run(0.4)
    check_safe(report)
    assert report.inference["chunks"] >= 2, report.inference["last_error"]
    assert report.inference["failures"] == report.inference["refused"] == 0
