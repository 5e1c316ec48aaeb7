"""Whole networks in the native engine: small policies of each family, instruction sets, hostile files."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import vla_rt as vr
from exportable import OBSERVATION, TinyPolicy
from native_networks import opened, run_with, stages_of, step_error
from test_hostile_packages import WEIRD, places
from vla_rt import _core
from vla_rt.export import native
from vla_rt.export.network import Inputs, Network, capture
from vla_rt.export.stages import split


class FilmBlock(nn.Module):
    """Two convolutions with group norm and Mish, the first scaled and shifted by the condition."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv1d(outputs, outputs, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(4, outputs) for _ in range(2))
        self.film = nn.Sequential(nn.Mish(), nn.Linear(condition, 2 * outputs))
        self.skip = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h = F.mish(self.norms[0](self.first(x)))
        scale, shift = self.film(condition)[..., None].chunk(2, dim=1)
        h = F.mish(self.norms[1](self.second(h * (1 + scale) + shift)))
        skipped: Tensor = self.skip(x)
        return h + skipped


class Unet(nn.Module):
    """One level down and up, as the diffusion policy's network."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, 16), nn.Mish(), nn.Linear(16, 16))
        self.observe = nn.Linear(5, 16)
        self.down = FilmBlock(3, 16, 32)
        self.shrink = nn.Conv1d(16, 16, 3, 2, 1)
        self.middle = FilmBlock(16, 24, 32)
        self.grow = nn.ConvTranspose1d(24, 16, 4, 2, 1)
        self.up = FilmBlock(32, 16, 32)
        self.out = nn.Conv1d(16, 3, 1)

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        angles = t[:, None] * torch.exp(torch.arange(4) * -1.0)
        condition = torch.cat([self.time(torch.cat([angles.sin(), angles.cos()], -1)), self.observe(o)], -1)
        wide = self.down(x.transpose(1, 2), condition)
        h = self.grow(self.middle(self.shrink(wide), condition))
        answer: Tensor = self.out(self.up(torch.cat([h, wide], dim=1), condition))
        return answer.transpose(1, 2)


class Transformer(nn.Module):
    """Actions attend to themselves, causally, and to the observation."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs, self.memory, self.time = nn.Linear(3, 16), nn.Linear(5, 16), nn.Linear(1, 16)
        self.places = nn.Parameter(torch.randn(1, 8, 16))
        layer = nn.TransformerDecoderLayer(16, 2, 32, batch_first=True, norm_first=True, activation="gelu")
        self.decoder = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(16))
        self.outputs = nn.Linear(16, 3)

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        h = self.inputs(x) + self.places + self.time(t[:, None])[:, None]
        mask = nn.Transformer.generate_square_subsequent_mask(8)
        answer: Tensor = self.outputs(self.decoder(h, self.memory(o), tgt_mask=mask, tgt_is_causal=True))
        return answer


NETWORKS: dict[str, tuple[type[nn.Module], tuple[int, ...]]] = {
    "unet": (Unet, (1, 5)),
    "transformer": (Transformer, (1, 6, 5)),
}


def network(name: str) -> tuple[nn.Module, Tensor, tuple[Tensor, ...]]:
    torch.manual_seed(11)
    kind, observed = NETWORKS[name]
    policy = kind()
    for parameter in policy.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return policy, torch.randn(1, 8, 3), (torch.randn(observed),)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("instructions", ["portable", "avx2", "avx512"])
def test_networks(name: str, instructions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_with(instructions, monkeypatch)
    policy, x, observation = network(name)
    assert step_error(policy, tmp_path, x, observation, times=(0.0, 0.5, 3.0)) <= 1e-5


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_bits_again(name: str, tmp_path: Path) -> None:
    policy, x, observation = network(name)
    stages = stages_of(policy, x, 0.5, observation)
    answers = []
    for _ in range(2):
        engine = opened(stages, tmp_path, (8, 3))
        engine.prepare([0.5])
        for _ in range(2):
            engine.encode([o[0].numpy() for o in observation])
            answers.append(engine.step(x[0].numpy(), 0).tobytes())
    assert len(set(answers)) == 1


def test_bad_instruction_sets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("sse9", "AVX2", "avx512vnni"):
        monkeypatch.setenv("VLA_RT_INSTRUCTION_SET", word)
        with pytest.raises(vr.ConfigError, match="VLA_RT_INSTRUCTION_SET"):
            _core.instruction_set()


def test_a_native_package_runs_without_torch(tmp_path: Path) -> None:
    package = vr.export_policy(TinyPolicy(), tmp_path / "p", backends="native")
    expected = vr.load_policy(package).sample(OBSERVATION, seed=3)
    values = {name: value.tolist() for name, value in OBSERVATION.items()}
    code = (
        "import sys; sys.modules['torch'] = None\n"
        f"import vla_rt as vr\np = vr.load_policy({str(package)!r})\n"
        f"print(p.backend, p.sample({values!r}, seed=3).tobytes().hex())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["native", expected.tobytes().hex()]


class Exotic(TinyPolicy):
    def step(self, x: Tensor, t: Tensor, context: tuple[Tensor, Tensor]) -> Tensor:
        return torch.special.i0(super().step(x, t, context))


def test_what_the_engine_lacks_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    with pytest.raises(vr.ModelError, match=r"i0.*the torchscript backend takes it"):
        vr.export_policy(Exotic(), tmp_path / "p", backends=["native"])
    assert list(tmp_path.iterdir()) == []
    if _core.TORCH_VERSION is not None:
        spec = vr.load_policy(vr.export_policy(Exotic(), tmp_path / "p")).spec
        assert spec.backends == ["torchscript"]
        assert "i0" in str(spec.checks["native"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    policy, x, observation = network("unet")
    native.save(stages_of(policy, x, 0.5, observation), folder)
    return folder


def run(folder: Path) -> None:
    """Everything a package does to its network."""
    engine = _core.Network(folder, "native", [("o", (5,), "float32")], (8, 3), (8, 3))
    engine.prepare([0.0, 1.0])
    engine.encode([np.ones(5)])
    engine.step(np.ones((8, 3)), 1)


def changed(plan: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """One place of the plan deleted, replaced, or moved by a little or a lot."""
    result: dict[str, Any] = json.loads(json.dumps(plan))
    part = rng.choice([key for key in result if key != "schema_version"])
    entry = rng.randrange(len(result[part]))
    inside = places(result[part][entry])
    *parents, last = rng.choice(inside)
    target: Any = result[part][entry]
    for key in parents:
        target = target[key]
    match rng.randrange(4):
        case 0:
            del target[last]
        case 1:
            target[last] = rng.choice(WEIRD)
        case _ if isinstance(target[last], int | float):
            target[last] += rng.choice([-1, 1, 3, -target[last], 2**20, 2**28, 2**31, 2**62])
        case _:
            result[part].insert(rng.randrange(len(result[part])), result[part].pop(entry))
    return result


@pytest.mark.parametrize("seed", range(2))
def test_changed_plans_are_refused_or_run(files: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    shutil.copy(files / native.WEIGHTS_FILE, tmp_path)
    plan = json.loads((files / native.PLAN_FILE).read_text())
    refused = []
    for _ in range(60):
        (tmp_path / native.PLAN_FILE).write_text(json.dumps(changed(plan, rng)))
        try:
            run(tmp_path)
        except (vr.FormatError, vr.ModelError) as error:
            refused.append(error.name)
    assert len(refused) > 20
    assert all("plan.json" in name for name in refused)


def test_changed_weights_are_refused(files: Path, tmp_path: Path) -> None:
    shutil.copy(files / native.PLAN_FILE, tmp_path)
    data = (files / native.WEIGHTS_FILE).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    weights = tmp_path / native.WEIGHTS_FILE

    def refused(content: bytes) -> None:
        weights.write_bytes(content)
        with pytest.raises((vr.FormatError, vr.ModelError)):
            run(tmp_path)

    for cut in (0, 4, 8, 100, 8 + length - 1, 8 + length, len(data) // 2, len(data) - 1):
        refused(data[:cut])
    for claimed in (0, 1, length - 1, length + 1, len(data), 2**32, 2**63, 2**64 - 1):
        refused(claimed.to_bytes(8, "little") + data[8:])
    first = next(iter(header))
    for key, value in (
        ("dtype", "F16"),
        ("dtype", "I64"),
        ("shape", [2**40, 2**40]),
        ("shape", [-1]),
        ("shape", []),
        ("data_offsets", [0, 2**62]),
        ("data_offsets", [-4, 0]),
        ("data_offsets", [8, 4]),
        ("data_offsets", [1, 1 + header[first]["data_offsets"][1]]),
        ("data_offsets", [0]),
    ):
        text = json.dumps(header | {first: header[first] | {key: value}}).encode()
        refused(len(text).to_bytes(8, "little") + text + data[8 + length :])
    text = ("{" + ",".join(f'"a{i}":0' for i in range(20_000)) + "}").encode()
    refused(len(text).to_bytes(8, "little") + text)

    # 2^40 * 2^24 is 0 in 64 bits, and nothing would span it
    empty = header | {first: header[first] | {"shape": [2**40, 2**24], "data_offsets": [0, 0]}}
    text = json.dumps(empty).encode()
    weights.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    with pytest.raises(vr.FormatError, match=r"shape.*at most 2\^40 elements"):
        run(tmp_path)


def test_files_that_are_none(tmp_path: Path) -> None:
    for content in (b"", b"{", b"[]", b"null", b"\x00" * 64, b"[" * 10_000):
        (tmp_path / native.PLAN_FILE).write_bytes(content)
        (tmp_path / native.WEIGHTS_FILE).write_bytes(b"\x02" + bytes(7) + b"{}")
        with pytest.raises(vr.FormatError, match=r"plan\.json"):
            run(tmp_path)
    (tmp_path / native.WEIGHTS_FILE).unlink()
    with pytest.raises(vr.FormatError, match=r"model\.safetensors"):
        run(tmp_path)


class TokenDecoder(nn.Module):
    """One layer that attends to the tokens before, kept in caches, and to the observation."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(12, 16), nn.Embedding(6, 16)
        self.queries, self.keys, self.values = (nn.Linear(16, 16) for _ in range(3))
        self.memory = nn.Linear(5, 32)
        self.norm, self.outputs = nn.LayerNorm(16), nn.Linear(16, 12)

    def cache_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((2, 6, 8), (2, 6, 8))

    def next_logits(
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], observation: Tensor
    ) -> Tensor:
        def heads(x: Tensor) -> Tensor:
            return x.view(1, -1, 2, 8).transpose(1, 2)

        h = self.words(token) + self.places(position)
        keys, values = caches
        keys.index_copy_(2, position, heads(self.keys(h)))
        values.index_copy_(2, position, heads(self.values(h)))
        seen = torch.arange(6) <= position
        h = h + F.scaled_dot_product_attention(
            heads(self.queries(h)), keys, values, attn_mask=seen[None]
        ).flatten(1)
        memory, told = self.memory(observation).chunk(2, dim=-1)
        h = self.norm(h + F.scaled_dot_product_attention(heads(h), heads(memory), heads(told)).flatten(1))
        logits: Tensor = self.outputs(h)
        return logits


def test_tokens_with_caches(tmp_path: Path) -> None:
    torch.manual_seed(2)
    policy, observation = TokenDecoder(), torch.randn(1, 4, 5)
    caches = tuple(torch.zeros(1, *shape) for shape in policy.cache_shapes())
    inputs = Inputs(torch.zeros(1, 1), torch.zeros(1), caches, (observation,))
    engine = opened(split(capture(Network(policy), inputs)), tmp_path, (12,))
    engine.prepare([float(k) for k in range(6)])
    for _ in range(2):  # a second chunk starts with empty caches
        engine.encode([observation[0].numpy()])
        caches = tuple(torch.zeros(1, *shape) for shape in policy.cache_shapes())
        token = 0
        for k in range(6):
            with torch.no_grad():
                expected = policy.next_logits(torch.tensor([token]), torch.tensor([k]), caches, observation)[
                    0
                ]
            actual = engine.step(np.array([float(token)]), k)
            assert np.abs(actual - expected.numpy()).max() <= 1e-5 * float(expected.abs().max())
            token = int(expected.argmax())
