"""Flow-matching policies that LeRobot has in memory as packages; a small stand-in with SmolVLA's interface.

`tests/prove/test_lerobot.py` does the same with LeRobot's own SmolVLA.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lerobot_checkpoints as own
import vla_rt as vr
from seven_joints import check_safe
from vla_rt.integrations import lerobot

TOKENS, MASK = "observation.language.tokens", "observation.language.attention_mask"
STATE, IMAGE = {"type": "STATE", "shape": [3]}, {"type": "VISUAL", "shape": [3, 6, 8]}
INPUTS = {"observation.state": STATE, "observation.images.top": IMAGE}
MODES = {"VISUAL": "IDENTITY", "STATE": "MEAN_STD", "ACTION": "MIN_MAX"}
ROWS, ACTIONS, WIDTH, STEPS, LENGTH = 5, 2, 6, 4, 6


class Head(nn.Module):
    """Prefix once, head at every step, columns beyond the actions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.words, self.state, self.image = nn.Embedding(16, 8), nn.Linear(4, 8), nn.Conv2d(3, 8, 2, 2)
        self.inwards, self.time, self.out = nn.Linear(WIDTH, 8), nn.Linear(1, 8), nn.Linear(8, WIDTH)
        self.prefixes = self.steps = 0

    def sample_actions(
        self, images: list[Tensor], tokens: Tensor, masks: Tensor, state: Tensor, noise: Tensor
    ) -> Tensor:
        self.prefixes += 1
        shown = (self.words(tokens) * masks[..., None]).sum(1) / masks.sum(1, keepdim=True).clamp(min=1)
        seen = torch.stack([self.image(i).mean((2, 3)) for i in images]).sum(0)
        cache = {0: {"key_states": torch.tanh(shown + seen), "value_states": self.state(state)}}
        x = noise
        for step in range(STEPS):
            time = torch.tensor(1.0 - step / STEPS).expand(len(x))
            x = x - self.denoise_step(masks, cache, x_t=x, timestep=time) / STEPS
        return x

    def denoise_step(self, prefix_pad_masks: Tensor, past: Any, x_t: Tensor, timestep: Tensor) -> Tensor:
        self.steps += 1
        h = torch.tanh(
            self.inwards(x_t) + self.time(timestep[:, None])[:, None] + past[0]["value_states"][:, None]
        )
        return self.out(h * past[0]["key_states"][:, None])


class Vla(nn.Module):
    """As LeRobot's SmolVLAPolicy."""

    name = "smolvla"

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        features = {
            name: SimpleNamespace(type=SimpleNamespace(value=f["type"]), shape=tuple(f["shape"]))
            for name, f in {**INPUTS, "observation.images.empty_camera_0": IMAGE}.items()
        }
        self.config = SimpleNamespace(**{
            "input_features": features,
            "output_features": {"action": SimpleNamespace(type="ACTION", shape=(ACTIONS,))},
            "n_obs_steps": 1, "chunk_size": ROWS, "n_action_steps": 3, "max_action_dim": WIDTH,
            "num_steps": STEPS, "tokenizer_max_length": LENGTH, "adapt_to_pi_aloha": False, **changes,
        })  # fmt: skip
        self.model = Head()
        self._queues: dict[str, deque[Tensor]] = {"action": deque(maxlen=3)}

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], noise: Tensor | None = None) -> Tensor:
        images = [batch[key] * 2 - 1 for key in self.config.input_features if key in batch and "image" in key]
        images.append(torch.ones_like(images[0]) * -1)
        state = torch.nn.functional.pad(batch["observation.state"], (0, 1))
        noise = torch.randn(1, ROWS, WIDTH) if noise is None else noise
        return self.model.sample_actions(images, batch[TOKENS], batch[MASK], state, noise)[:, :, :ACTIONS]


class Processor:
    """As LeRobot's pipelines; `words` makes tokens of a task."""

    def __init__(self, kind: str, words: bool = True) -> None:
        self.kind, self.words = kind, words
        output = {"action": {"type": "ACTION", "shape": [ACTIONS]}}
        self.features = {**INPUTS, **output}
        self.table = {name: own.statistics(name, f) for name, f in self.features.items()}

    def save_pretrained(self, folder: Any) -> None:
        own.write_processors(Path(folder), self.features, MODES)

    def __call__(self, value: Any) -> Any:
        if self.kind == "post":
            low, high = (torch.from_numpy(self.table["action"][k]) for k in ("min", "max"))
            return (value + 1) / 2 * (high - low) + low
        state = self.table["observation.state"]
        mean, std = (torch.from_numpy(state[k]) for k in ("mean", "std"))
        made = {k: v[None] for k, v in value.items() if isinstance(v, Tensor)}
        made["observation.state"] = (made["observation.state"] - mean) / (std + 1e-8)
        if self.words:
            ids = [3 + len(word) for word in value["task"].split()]
            made |= {TOKENS: torch.tensor([ids]), MASK: torch.ones(1, len(ids), dtype=torch.bool)}
        return made


def observation() -> dict[str, np.ndarray]:
    return {
        "observation.state": own.normal("state", (3,)),
        "observation.images.top": np.abs(own.normal("image", (3, 6, 8))) % 1,
    }


def lerobots(policy: Vla, task: str, noise: np.ndarray) -> np.ndarray:
    batch = Processor("pre")({**{k: torch.from_numpy(v) for k, v in observation().items()}, "task": task})
    chunk = policy.predict_action_chunk(batch, noise=torch.from_numpy(noise)[None])
    return Processor("post")(chunk)[0].numpy()


@pytest.mark.parametrize("backend", ["native", "torchscript"])
def test_actions_are_those_of_the_policy(tmp_path: Path, backend: str) -> None:
    policy = Vla()
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    out = lerobot.export_policy(
        policy, tmp_path / "p", Processor("pre"), Processor("post"), task="fold it", fps=20, backends=backend
    )
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())
    assert "denoise_step" not in vars(policy.model)
    package = vr.load_policy(out)
    spec = package.spec
    assert (spec.kind, spec.horizon, spec.action_dim, spec.generated_dim) == ("lerobot_smolvla", 5, 2, 6)
    assert (spec.execution_horizon, spec.period_s) == (3, 0.05)
    assert [name for name, _, _ in spec.observation] == list(INPUTS)
    noise = own.normal("noise", (ROWS, WIDTH))
    expected = lerobots(policy, "fold it", noise)
    np.testing.assert_allclose(package.sample(observation(), noise=noise), expected, atol=1e-5)
    assert np.abs(lerobots(policy, "stop", noise) - expected).max() > 1e-3
    with pytest.raises(vr.ConfigError, match="noise"):
        package.sample(observation(), noise=noise[:, :ACTIONS])


def test_the_instruction_may_be_an_input(tmp_path: Path) -> None:
    policy = Vla()
    out = lerobot.export_policy(policy, tmp_path / "p", Processor("pre"), Processor("post"))
    package, noise = vr.load_policy(out), own.normal("noise", (ROWS, WIDTH))
    for ids in ([7, 5], [7, 5, 9, 4]):
        shown = np.zeros((2, LENGTH), np.int64)
        shown[0, : len(ids)], shown[1, : len(ids)] = ids, 1
        given = {**observation(), TOKENS: shown[0], MASK: shown[1]}
        task = " ".join("x" * (i - 3) for i in ids)
        expected = lerobots(policy, task, noise)
        np.testing.assert_allclose(package.sample(given, noise=noise), expected, atol=1e-5)


def test_the_prefix_runs_once_per_observation(tmp_path: Path) -> None:
    policy = Vla()
    out = lerobot.export_policy(
        policy, tmp_path / "p", Processor("pre"), Processor("post"), task="go", backends="native"
    )
    checks = vr.load_policy(out).spec.checks
    assert checks["step_operators"] < checks["network_operators"] / 2


def test_it_runs_in_the_loop_and_continues_chunks(tmp_path: Path) -> None:
    out = lerobot.export_policy(
        Vla(), tmp_path / "p", Processor("pre"), Processor("post"), task="go", fps=20, backends="native"
    )
    one = np.ones(ACTIONS)
    arm = vr.robots.SimulatedRobot(vr.JointLimits(-9 * one, 9 * one, 5 * one, 50 * one, 5e3 * one), 0 * one)
    arm.post_feature("observation.images.top", observation()["observation.images.top"])
    arm.post_feature("observation.state", observation()["observation.state"])
    config = vr.ControlConfig(mode="rtc", lock_memory=False, max_following_error=None)
    report = vr.ControlLoop(arm, vr.load_policy(out), config).run(0.5)
    check_safe(report)
    assert report.inference["chunks"] >= 2, report.inference["last_error"]
    assert report.inference["failures"] == report.inference["refused"] == 0


def test_an_act_policy_goes_through_its_checkpoint(tmp_path: Path) -> None:
    class Saved:
        """LeRobot's ACTPolicy, or one of its processors: saves what `own.write` writes."""

        name = "act"

        def save_pretrained(self, folder: Any) -> None:
            own.write(Path(folder), own.ACT)

    out = lerobot.export_policy(Saved(), tmp_path / "p", Saved(), Saved(), fps=50, backends="native")
    spec = vr.load_policy(out).spec
    assert (spec.kind, spec.period_s) == ("lerobot_act", 0.02)


@pytest.mark.parametrize(
    ("changes", "arguments", "text"),
    [
        ({"adapt_to_pi_aloha": True}, {}, "adapt_to_pi_aloha"),
        ({"compile_model": True}, {}, "compile_model"),
        ({"n_obs_steps": 2}, {}, "n_obs_steps"),
        ({}, {"postprocessor": None}, "postprocessor"),
        ({}, {"preprocessor": None, "postprocessor": None, "task": "go"}, "preprocessor"),
        ({}, {"preprocessor": Processor("pre", words=False), "task": "go"}, "makes no observation.language"),
        ({}, {"preprocessor": len}, "save_pretrained"),
        ({}, {"fps": 0.0}, "fps"),
        ({"input_features": {"e": SimpleNamespace(type="ENV", shape=(2,))}}, {}, "ENV"),
    ],
)
def test_what_cannot_be_exported_is_named(
    tmp_path: Path, changes: dict[str, Any], arguments: dict[str, Any], text: str
) -> None:
    given = {"preprocessor": Processor("pre"), "postprocessor": Processor("post"), **arguments}
    with pytest.raises(vr.ConfigError, match=text):
        lerobot.export_policy(Vla(**changes), tmp_path / "p", **given)
    assert not (tmp_path / "p").exists()


def test_what_is_no_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(vr.ConfigError, match=r"denoise_step, as SmolVLA"):
        lerobot.export_policy(nn.Linear(1, 1), tmp_path / "p")
    policy = Vla()
    policy.predict_action_chunk = lambda batch, noise: noise  # type: ignore[method-assign]
    with pytest.raises(vr.ModelError, match=r"never called model\.denoise_step"):
        lerobot.export_policy(policy, tmp_path / "p")
