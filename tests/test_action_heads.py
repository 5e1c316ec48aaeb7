"""Every tokenizer and every head of direct policies: policy, package, backend, raw actions."""

from __future__ import annotations

import pytest

from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import vla_rt as vr
from vla_rt import tokenizers

TASKS, HORIZON = 3, 4
BACKENDS = ("native", "torchscript")


@dataclass(frozen=True)
class Config:
    action_dim: int
    observation: tuple[tuple[str, tuple[int, ...], str], ...] = (("task", (1,), "int64"),)
    horizon: int = HORIZON
    period_s: float = 0.05
    execution_horizon: int = 2


class Reciter(nn.Module):
    """Says the tokens of one chunk per task; tokens before and caches move the logits, not the answer."""

    def __init__(self, words: list[list[int]], vocabulary: int, kind: dict[str, Any], dim: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.config, self.kind, self.vocabulary = Config(dim), kind, vocabulary
        self.stop = vocabulary - 1 if kind["type"] == "fast" else None
        self.length = max(map(len, words)) + (self.stop is not None)
        script = torch.zeros(self.length, TASKS, vocabulary)
        for task, ids in enumerate(words):
            for position in range(self.length):
                script[position, task, ids[position] if position < len(ids) else self.stop or 0] = 1
        self.script = nn.Embedding.from_pretrained(script.flatten(1))
        self.choice = nn.Embedding.from_pretrained(torch.eye(TASKS))
        self.before = nn.Embedding.from_pretrained(torch.rand(vocabulary + 1, 8))
        self.mix = nn.Linear(8, vocabulary)

    @property
    def normalizers(self) -> dict[str, vr.Normalizer]:
        dim = self.config.action_dim
        return {"action": vr.Normalizer("min_max", min=-np.arange(1.0, dim + 1), max=np.full(dim, 5.0))}

    def sampler_spec(self) -> dict[str, Any]:
        return {
            "type": "autoregressive",
            "num_tokens": self.length,
            "mode": "greedy",
            "temperature": 1.0,
            "top_k": 0,
            "top_p": 1.0,
            "stop_token": self.stop,
            "parallel": False,
            "vocab_size": self.vocabulary,
            "start_token": self.vocabulary,
        }

    def tokenizer_spec(self) -> dict[str, Any]:
        return self.kind

    def cache_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.length, 8),)

    def next_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], task: Tensor
    ) -> Tensor:
        (seen,) = caches
        seen.index_copy_(1, position, self.before(token)[:, None])
        script = self.script(position).unflatten(1, (TASKS, self.vocabulary))
        answer = torch.matmul(self.choice(task), script)[:, 0]
        return 4 * answer + torch.tanh(self.mix(seen.mean(1)))


def smooth(dim: int) -> np.ndarray:
    """Chunks (tasks, T, D) in [-1, 1]."""
    rng = np.random.default_rng(dim)
    t = np.linspace(0, 1, HORIZON)[None, :, None]
    level, slope = rng.uniform(-0.5, 0.5, (2, TASKS, 1, dim))
    return np.clip(level + slope * t, -1, 1)


def fast_tokenizer() -> tokenizers.FastTokenizer:
    pytest.importorskip("tokenizers")
    data = np.random.default_rng(0).uniform(-1, 1, (60, HORIZON, 2))
    return tokenizers.FastTokenizer.fit(data, vocab_size=200)


LOW, HIGH = [-1.0, -0.8], [0.9, 1.0]


def kinds() -> dict[str, tuple[Any, dict[str, Any], int, int]]:
    """Tokenizer, what the policy says about it, D and the size of the vocabulary."""
    uniform = tokenizers.UniformTokenizer(LOW, HIGH, 64)
    rt1 = tokenizers.RT1Tokenizer(LOW, HIGH, 128)
    one_hot = tokenizers.RT1Tokenizer(LOW, HIGH, 128, one_hot=3)
    openvla = tokenizers.OpenVLATokenizer(400, 256)
    quantile = tokenizers.QuantileTokenizer.fit(smooth(2).reshape(-1, 2), 6)
    bounds = {"low": LOW, "high": HIGH}
    return {
        "uniform": (uniform, {"type": "uniform", **bounds, "num_bins": 64}, 2, 64),
        "rt1": (rt1, {"type": "rt1", **bounds, "vocab_size": 128, "one_hot": 0}, 2, 128),
        "rt1 one-hot": (one_hot, {"type": "rt1", **bounds, "vocab_size": 128, "one_hot": 3}, 5, 130),
        "openvla": (openvla, {"type": "openvla", "vocab_size": 400, "num_bins": 256}, 2, 400),
        "quantile": (quantile, {"type": "quantile", "edges": quantile.edges.tolist()}, 2, 9),
        "motion": (tokenizers.MotionTokenizer(), {"type": "motion"}, 7, 256),
    }


@pytest.mark.parametrize("name", [*kinds(), "fast"])
def test_a_tokenizer_travels_from_the_policy_to_raw_actions(name: str, tmp_path: Path) -> None:
    if name == "fast":
        tokenizer = fast_tokenizer()
        kind, dim, vocabulary = {"type": "fast", "strict": True}, 2, tokenizer.vocab_size + 1
    else:
        tokenizer, kind, dim, vocabulary = kinds()[name]
    chunks = smooth(dim)
    if name == "rt1 one-hot":
        chunks[:, :, 2:] = np.eye(3)[np.arange(TASKS * HORIZON) % 3].reshape(TASKS, HORIZON, 3)
    words = [np.ravel(tokenizer.encode(chunk)).tolist() for chunk in chunks]
    assert len({tuple(w) for w in words}) == TASKS
    policy = Reciter(words, vocabulary, kind, dim)
    if name == "fast":
        policy.tokenizer = tokenizer
        decoded = np.stack([tokenizer.decode(w, HORIZON, dim) for w in words])
    else:
        decoded = np.stack([tokenizer.decode(tokenizer.encode(chunk)) for chunk in chunks])
    low, high = -np.arange(1.0, dim + 1), np.full(dim, 5.0)
    path = vr.export_policy(policy, tmp_path / "p")
    for backend in BACKENDS:
        package = vr.load_policy(path, backend)
        assert package.spec.tokenizer["type"] == kind["type"]
        for task in range(TASKS):
            actual = package.sample({"task": [task]})
            expected = (decoded[task] + 1) / 2 * (high - low) + low
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)
            assert np.array_equal(actual, package.sample({"task": [task]}, seed=task))


class Head(nn.Module):
    """One evaluation; the second column answers standard deviations, a mixture's first ones its logits."""

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.config, self.spec = Config(2, (("observation.state", (3,), "float32"),)), spec
        size, count = HORIZON * 2, spec["num_components"]
        width = {"value": size, "normal": 2 * size, "mixture": count * (1 + 2 * size)}[spec["head"]]
        self.layer, self.normalizers = nn.Linear(3, width), {}

    def sampler_spec(self) -> dict[str, Any]:
        return self.spec

    def denoise(self, x: Tensor, t: Tensor, state: Tensor) -> Tensor:
        answer = self.layer(state)
        if self.spec["head"] == "value":
            return answer.view(-1, HORIZON, 2)
        if self.spec["head"] == "normal":
            mean, deviation = answer.view(-1, 2, HORIZON, 2).chunk(2, 1)
            return torch.cat([mean, nn.functional.softplus(deviation)], dim=1)
        parts = answer.view(-1, self.spec["num_components"], 1 + 4 * HORIZON)
        logits, mean, deviation = parts.split([1, 2 * HORIZON, 2 * HORIZON], dim=2)
        return torch.cat([logits, mean, nn.functional.softplus(deviation)], dim=2)


HEADS = [
    ("value", "mean", False),
    ("value", "mean", True),
    ("normal", "mean", True),
    ("normal", "mode", False),
    ("normal", "sample", False),
    ("normal", "sample", True),
    ("mixture", "mean", False),
    ("mixture", "mode", True),
    ("mixture", "sample", False),
]


def answer_of(spec: dict[str, Any], head: np.ndarray, seed: int) -> np.ndarray:
    """The chunk (T, D) that this head means, written out in numpy."""
    z = vr.samplers.noise(seed, 0, 1, (HORIZON, 2)).astype(np.float64)
    if spec["head"] == "value":
        chunk = head
    elif spec["head"] == "normal":
        chunk = head[0] + (head[1] * z if spec["mode"] == "sample" else 0)
    else:
        logits, rest = head[:, 0], head[:, 1:].reshape(len(head), 2, HORIZON, 2)
        weights = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        if spec["mode"] == "mean":
            chunk = np.einsum("m,mtd->td", weights, rest[:, 0])
        elif spec["mode"] == "mode":
            chunk = rest[logits.argmax(), 0]
        else:  # whichever component was drawn
            candidates = rest[:, 0] + rest[:, 1] * z
            return candidates.clip(-1, 1) if spec["clip_sample"] else candidates
    return np.asarray(chunk.clip(-1, 1) if spec["clip_sample"] else chunk)


@pytest.mark.parametrize(("head", "mode", "clip"), HEADS)
def test_a_head_travels_from_the_policy_to_raw_actions(
    head: str, mode: str, clip: bool, tmp_path: Path
) -> None:
    spec: dict[str, Any] = {"type": "direct", "head": head, "mode": mode, "clip_range": 1.0}
    spec |= {"num_components": 3 if head == "mixture" else 1, "clip_sample": clip}
    policy = Head(spec).eval()
    path = vr.export_policy(policy, tmp_path / "p")
    for backend in BACKENDS:
        package = vr.load_policy(path, backend)
        drawn = set()
        for seed in range(8):
            state = np.random.default_rng(seed % 4).normal(size=3) * 2
            with torch.no_grad():
                given = policy.denoise(torch.zeros(1), torch.zeros(1), torch.tensor(state[None]).float())
            expected = answer_of(spec, given[0].double().numpy(), seed)
            actual = package.sample({"observation.state": state}, seed=seed)
            if head == "mixture" and mode == "sample":
                nearest = int(np.abs(expected - actual).max(axis=(1, 2)).argmin())
                expected = expected[nearest]
                drawn.add(nearest)
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)
            if clip:
                assert np.abs(actual).max() <= 1
        assert head != "mixture" or mode != "sample" or len(drawn) > 1


SKILLS = vr.HybridActionSpace(
    {
        "pick": vr.ContinuousActionSpace([0.0, -1.0, 0.5], [1.0, 1.0, 2.5]),
        "follow": vr.ContinuousActionSpace([-2.0] * 6, [3.0] * 6),  # two waypoints
        "stop": None,
    }
)


def test_skills_with_parameters_and_waypoints_travel_through_a_package(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    waypoints = rng.uniform(-2, 3, (HORIZON, 2, 3))
    rows = {
        "pick": SKILLS.pack("pick", np.array([[0.2, 0.3, 1.7]]).repeat(HORIZON, 0)),
        "follow": SKILLS.pack("follow", waypoints.reshape(HORIZON, 6)),
        "stop": np.stack([SKILLS.pack("stop")] * HORIZON),
    }
    chunks = np.stack([SKILLS.normalize(chunk) for chunk in rows.values()])
    tokenizer = tokenizers.UniformTokenizer([-1.0], [1.0], 1023)
    words = [np.ravel(tokenizer.encode(chunk)).tolist() for chunk in chunks]
    kind = {"type": "uniform", "low": [-1.0], "high": [1.0], "num_bins": 1023}
    policy = Reciter(words, 1023, kind, SKILLS.dimension)
    identity = vr.Normalizer("identity")
    path = vr.export_policy(policy, tmp_path / "p", action_space=SKILLS, normalizer=identity)
    for backend in BACKENDS:
        package = vr.load_policy(path, backend)
        space = package.action_space
        assert isinstance(space, vr.HybridActionSpace)
        assert list(space.skills) == list(SKILLS.skills)
        for task, (name, expected) in enumerate(rows.items()):
            for row, sent in zip(package.sample({"task": [task]}), expected, strict=True):
                skill, parameters = space.unpack(space.denormalize(row))
                assert skill == name
                count = 0 if parameters is None else len(parameters)
                bound = 5 / 2046 + 1e-12  # half a bin of the widest parameter
                np.testing.assert_allclose(parameters, sent[1 : 1 + count], rtol=0, atol=bound)
                if name == "follow":
                    assert parameters.reshape(2, 3).shape == (2, 3)
